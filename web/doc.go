// Package web is jobhub's HTTP server: the API, the WebSocket protocol jobhub.v1 and
// the dashboard, all on one listener. It holds no state of its own: what it answers
// comes from the store, what it pushes from the hub, what it changes goes through the
// engine.
//
// routes.go has every route in one table, and docs/ describes them (openapi.json, asyncapi.json and the
// pages below /docs); answer.go has the one map from errors to statuses;
// socket.go the life of a WebSocket connection.
package web

// Package web is jobhub's HTTP server: the API, the live connections and the dashboard, all
// on one listener. It holds no state of its own: it reads from the store, pushes events of the
// hub, and makes changes through the engine.
//
// # Promises
//
//   - It answers only requests to one of the hub's host names, and from browsers only those of
//     its own pages or of listed origins.
//   - While it drains, open connections are ended in order and no new ones are accepted.
//
// This package is the front. It passes each request to one of the packages below, or through a
// route to an upstream:
//
//	ServeHTTP → Serve → gateway (route.go)
//	               └──→ pages, docs → batch → api → rest
//	                    live → rest
//
// Each of these packages imports only those to its right.
package web

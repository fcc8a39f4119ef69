// Package web is jobhub's HTTP server: the API, the live connections and the dashboard, all
// on one listener. It holds no state of its own: what it answers comes from the store, what
// it pushes from the hub, what it changes goes through the engine.
//
// # Promises
//
//   - Only requests that call the hub by one of its names, and only pages of its own or of
//     listed origins, are answered.
//   - While it drains, what is open is ended in order and nothing new is let in.
//
// This package is the front. It passes each request to one of its rooms, or through a route
// to an upstream:
//
//	ServeHTTP → Serve → gateway (route.go)
//	               └──→ pages, docs → batch → api → rest
//	                    live → rest
//
// A room knows only what stands right of it.
package web

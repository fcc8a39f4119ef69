// Package live pushes events to clients, over WebSocket (protocol jobhub.v1) and as
// server-sent events, and counts that for Prometheus.
//
// # Promises
//
//   - A subscription gives each event that it selects once and in order, from the position
//     that the client names; for events that are no longer kept it sends a gap message.
//   - A client that is slow costs a bounded amount of memory and delays nobody else.
//   - A connection is closed when its credentials are no longer valid; the close code says why.
//
// The life of a WebSocket is
//
//	socket → credentials (hello) → messages: subscribe, get, submit, … → subscribe
//	   └ writer: wakes when its cursor (package hub) has something, writes one frame at a time
//
// A stream of server-sent events (stream.go) is one subscription without messages.
package live

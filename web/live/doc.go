// Package live pushes events to clients, over WebSocket (protocol jobhub.v1) and as
// server-sent events, and has the figures of all that for Prometheus.
//
// # Promises
//
//   - A subscription gives each event that it selects once and in order, from the position
//     that the client names; what is no longer kept is told as a gap.
//   - A client that is slow costs a bounded amount of memory and delays nobody else.
//   - A connection ends when its credentials are no longer good, and tells why.
//
// The life of a WebSocket is
//
//	socket → credentials (hello) → messages: subscribe, get, submit, … → subscribe
//	   └ writer: wakes when its cursor (package hub) has something, writes one frame at a time
//
// A stream of server-sent events (stream.go) is one subscription without messages.
package live

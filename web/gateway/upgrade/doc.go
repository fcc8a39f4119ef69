// Package upgrade passes WebSocket connections of a route through to an upstream.
//
// What it promises:
//
//   - The handshake of both sides is checked as RFC 6455 says. The client's key goes to the
//     upstream, and the upstream's answer must prove that it read it. An upstream that answers
//     something else than 101 is passed on as an ordinary answer.
//   - Frames pass byte for byte, with their extensions. Only their headers are read: a frame that
//     is masked in the wrong direction, a control frame that is too long or a length that no
//     frame may have ends the connection with 1002, a message over the limit with 1009.
//   - A close frame of the hub stands between two frames, never inside one. When the hub drains
//     or a connection idles, both sides get 1001; when the caller's credentials end, the client
//     gets 1008. A side that does not answer with a close frame is cut after a grace time.
//   - Each direction has a buffer of 4 KiB. A side that takes no byte for the stall time ends the
//     connection, and so does one of which nothing came for the idle time in both directions.
//   - A connection does not belong to a table of routes: a reload does not end it. Counters may be
//     shared by the old and the new route.
//
// net/http/httputil.ReverseProxy passes upgrades, too, but copies bytes without reading frames:
// it cannot say why a connection ends, nor limit or drain it.
//
// Call tree:
//
//	Proxy.Serve                proxy.go
//	├── CheckRequest           handshake.go  of the client
//	├── offer, checkAnswer     handshake.go  of the upstream
//	└── tunnel.run             tunnel.go     both directions and the watch
//	    └── direction.run      direction.go  one direction
//	        └── parse          frame.go      a frame's header
//	Proxy.Drain                proxy.go
package upgrade

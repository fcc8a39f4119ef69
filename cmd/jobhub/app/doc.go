// Package app puts a hub together from options and a configuration file: the store, the
// engine, the handlers of jobs, the follower of the log and the HTTP server.
//
// What it promises:
//
//   - When Start returns, the hub answers. When Start fails, nothing is left behind: the
//     address and the store are free for the next one.
//   - Without keys the hub listens on loopback addresses only.
//   - A configuration file with an error changes nothing: the hub goes on with the one
//     before and says so in its log, at /readyz and in the dashboard.
//   - Options that were given as flags go before the configuration file.
//   - Close lets running jobs finish until its context ends. The others go back to their
//     queue.
//
// Who calls whom:
//
//	Start
//	├── LoadConfig              reads the file and checks what it says
//	├── listen                  takes the address
//	├── sqlite.Open, hub.New    the store and the follower of its log
//	├── spans.Open              traces, if they go anywhere
//	├── engine.Open             the engine; runs the handlers of call and webhook
//	├── web.New                 the HTTP side
//	└── configured.start        puts the configuration in force
//	    └── follow ── read ── apply    and again whenever the file changes
//	Run                         waits for the end of ctx or of the store
//	└── Close
package app

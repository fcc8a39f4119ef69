// Package app builds a hub from options and a configuration file: the store, the engine, the
// job handlers, the follower of the log and the HTTP server.
//
// What it promises:
//
//   - When Start returns, the hub answers. When Start fails, the address and the store are
//     free again.
//   - Without keys the hub listens on loopback addresses only.
//   - A configuration file with an error changes nothing: the hub keeps the one before, and
//     reports the error in its log, at /readyz and in the dashboard.
//   - Options that were given as flags override the configuration file.
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

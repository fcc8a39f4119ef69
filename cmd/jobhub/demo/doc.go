// Package demo is a hub with a sample API and clients that keep it busy, for people who want
// to see what jobhub does.
//
// What it promises:
//
//   - The jobs are real: they go through the hub's API like those of anybody, and its
//     handlers call the sample API over HTTP.
//   - A ledger checks from the outside that no job is lost: what the answers to submissions
//     count has to be what the events tell.
//   - The same seed means the same jobs.
//   - Nothing is left behind: the hub's store goes away with the demo.
//
// Who calls whom:
//
//	Run
//	├── startSampleAPI      twice: what jobs call, and what receives callbacks
//	├── startHub            app.Start on a temporary store, with routes to the sample API
//	├── startWorker         with Files: a process that takes jobs and computes a Digest
//	└── demo.run
//	    ├── watch           tells the ledger of all events
//	    ├── putSchedules
//	    ├── act             once for each of the actors
//	    ├── actBatches, actRoutes, actFiles, browse
//	    ├── settle, audit   waits for what is in flight, and asks for what was not told
//	    └── ledger.balance
package demo

// Package demo is a hub with a sample API and clients that submit jobs, for people who want to
// see what jobhub does.
//
// What it promises:
//
//   - The jobs are real: they are submitted through the hub's API, and its handlers call the
//     sample API over HTTP.
//   - A ledger checks from the outside that no job is lost: the jobs in the answers to
//     submissions must be the jobs in the events.
//   - The same seed gives the same jobs.
//   - Nothing is left behind: the hub's store is deleted at the end.
//
// Who calls whom:
//
//	Run
//	├── startSampleAPI      twice: what jobs call, and what receives callbacks
//	├── startHub            app.Start on a temporary store, with routes to the sample API
//	├── startWorker         with Files: a process that takes jobs and computes a Digest
//	└── demo.run
//	    ├── watch           enters all events into the ledger
//	    ├── putSchedules
//	    ├── act             once for each of the actors
//	    ├── actBatches, actRoutes, actFiles, browse
//	    ├── settle, audit   wait for jobs in flight, and read those without a final event
//	    └── ledger.balance
package demo

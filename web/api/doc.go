// Package api is the hub's JSON API over HTTP: jobs, queues, schedules, tokens and workers.
//
// # Promises
//
//   - What is answered with 2xx is stored, or was stored before.
//   - Input that can't be taken is answered with a 4xx problem that names each fault, and
//     nothing is stored.
//   - A call that waits (Prefer: wait) ends with its time, with its caller's credentials, and
//     when the hub shuts down; the job goes on.
//
// routes.go has all calls in one table. A submission goes
//
//	submit → jobs.DecodeSpec → Accept → jobs.Engine.Submit
//	                              ├ 202 with the document of the job, or
//	                              └ with Prefer: wait, its outcome (outcome.go)
package api

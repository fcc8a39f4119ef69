// Package api is the hub's JSON API over HTTP: jobs, queues, schedules, tokens and workers.
//
// # Promises
//
//   - What is answered with 2xx is stored, or was stored before.
//   - Invalid input is answered with a 4xx problem that names each error, and nothing is
//     stored.
//   - A request that waits (Prefer: wait) ends after that time, when its caller's credentials
//     become invalid, and when the hub shuts down; the job continues.
//
// routes.go lists all endpoints. A submission goes
//
//	submit → jobs.DecodeSpec → Accept → engine.Engine.Submit
//	                              ├ 202 with the document of the job, or
//	                              └ with Prefer: wait, its outcome (outcome.go)
package api

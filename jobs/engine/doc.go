// Package engine accepts jobs, runs them, tries them again, and keeps a log of all that
// happens to them.
//
// What its users may rely on:
//
//   - [Engine.Submit] returns a job only after it is durable, together with its idempotency
//     key and its first event. An error that is the context's says that nothing was stored.
//   - Every accepted job that somebody runs, or that has a queue timeout, comes to exactly
//     one final state (succeeded, failed or cancelled), which never changes.
//   - A job runs at least once. It runs again only after a crash, a lost lease or a lost
//     outcome, and a crash spends no attempt. What an attempt reports after its lease was
//     lost changes nothing.
//   - Each change of a job is one transaction with the event that tells of it. Events become
//     visible in the order of their numbers, and only once they are durable.
//   - A schedule never fires early, and one tick submits one job.
//
// Not promised: that a handler's side effects happen once, and that a job of a kind that
// nobody runs ever ends.
//
// A job goes
//
//	Submit → newJob → committer: one commit of what waits → Store.Commit
//	   claimer: ready jobs for free slots → execute → the handler → settle → committer
//	   timers: what is due → committer        upkeep: leases, rates, retention
//
// A whole program:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"jobhub/jobs"
//		"jobhub/jobs/engine"
//		"jobhub/jobs/sqlite"
//	)
//
//	func main() {
//		ctx := context.Background()
//		store, err := sqlite.Open(ctx, "data", sqlite.Options{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer store.Close()
//		e, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
//			"greet": jobs.Typed(func(ctx context.Context, run jobs.Run, name string) (string, error) {
//				return "hello, " + name, nil
//			}),
//		}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer e.Close(ctx)
//
//		accepted, err := e.Submit(ctx, jobs.Spec{Kind: "greet", Input: jobs.Value(`"world"`)})
//		if err != nil {
//			log.Fatal(err)
//		}
//		job, err := e.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(job.State, string(job.Result)) // succeeded "hello, world"
//	}
//
// Workers in other processes use the same engine through [Engine.Register], [Engine.Lease]
// and [Engine.Report].
package engine

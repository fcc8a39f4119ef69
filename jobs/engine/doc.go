// Package engine accepts jobs, runs them, retries them, and keeps a log of all their changes.
//
// What its users may rely on:
//
//   - [Engine.Submit] returns a job only after it is durable, together with its idempotency
//     key and its first event. If its error is that of the context, nothing was stored.
//   - Every accepted job with a handler or worker for its kind, or with a queue timeout, reaches
//     exactly one final state (succeeded, failed or cancelled), which never changes.
//   - A job runs at least once. Apart from retries it runs again only after a crash, a lost lease
//     or a lost outcome; a crash does not count as an attempt. Reports of an attempt that has
//     lost its lease change nothing.
//   - Each change of a job and its event are one transaction. Events become visible in the order
//     of their numbers, and only when they are durable.
//   - A schedule never fires early, and each tick submits at most one job.
//
// Not promised: that side effects of a handler happen only once, and that a job without a
// handler or worker for its kind ever ends.
//
// A job goes
//
//	Submit → newJob → Committer: all waiting changes in one commit → Store.Commit
//	   claims: ready jobs for free slots → attempts: the handler → transition.Settle → Committer
//	   due: what is due → transition.Due → Committer
//	   upkeep: Workers.expire, claims.refill, retention.run
//
// What can be understood alone has a package of its own: transition has the rules by which a
// job changes its state, commit stores the changes of many callers together, attempt takes what
// a running job says, and schedule (beside this package) has the rules of a schedule.
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
// Workers in other processes use the same engine through Engine.Workers: [Workers.Register],
// [Workers.Lease], [Workers.Report], [Workers.Complete]. Engine.Schedules has the schedules,
// and Engine.Queues the settings of queues.
package engine

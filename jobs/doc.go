// Package jobs is a durable queue of jobs as a library: it accepts jobs, runs them, tries
// them again, and keeps a log of all that happens to them.
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
// A program needs five types:
//
//   - [Spec] is a job to be done: its kind, its input, when and how often it is tried.
//   - [Handler] runs the jobs of one kind; [Typed] makes one of a Go function. Its function
//     gets a [Run], through which it says how far it is and what it has for the next attempt.
//     Errors of [Permanent], [After] and [Snooze] say what follows from a failure.
//   - [Engine] accepts and runs jobs: [Engine.Submit], [Engine.Wait], [Engine.Cancel], [Engine.Retry].
//   - [Job] is a job as it is stored: its [State], its result, its error.
//   - [Store] keeps the jobs. Package jobhub/jobs/sqlite has the one on disk.
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
//		engine, err := jobs.Open(ctx, jobs.Options{Store: store, Handlers: map[string]jobs.Handler{
//			"greet": jobs.Typed(func(ctx context.Context, run jobs.Run, name string) (string, error) {
//				return "hello, " + name, nil
//			}),
//		}})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer engine.Close(ctx)
//
//		accepted, err := engine.Submit(ctx, jobs.Spec{Kind: "greet", Input: jobs.Value(`"world"`)})
//		if err != nil {
//			log.Fatal(err)
//		}
//		job, err := engine.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(job.State, string(job.Result)) // succeeded "hello, world"
//	}
//
// Errors of callers are of type *[Problem], with a [Code] for programs; [errors.Is] finds
// [ErrNotFound], [ErrQueueFull] and the others, and the error of a context that ended.
//
// Workers in other processes use the same engine through [Engine.Register], [Engine.Lease]
// and [Engine.Report]. The rest of the package is what a Store and the packages that serve
// the engine to the network need.
package jobs

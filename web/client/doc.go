// Package client is the Go client of a hub: it submits and manages jobs over the HTTP API,
// follows them live over the WebSocket protocol jobhub.v1, and runs jobs as a worker.
//
// What its users may rely on:
//
//   - [Client.Submit] returns a job only after the hub has it on disk. After an error that
//     is [Unknown] the job may exist; submitting again with the same idempotency key returns
//     that job, and never a second one.
//   - The messages of [Client.Watch] come in the order of the hub's log, and each event once.
//     After a lost connection it connects again, after a pause, and resumes where it was. If
//     the hub can't resume, a message says so (see [Message.Missed]) and a fresh snapshot
//     follows. Events are never lost silently.
//   - A slow caller slows nobody but itself: nothing is buffered here, so the hub notices the
//     slow reader and waits.
//   - A [Worker] sends the outcome of a job until the hub has answered, also over a restart of
//     the hub. What it does after its lease was lost changes nothing.
//
// A program needs five types:
//
//   - [Client] calls one hub. The zero value calls one on this machine.
//   - [Submission] is a job to submit.
//   - [Job] is a job as the hub describes it.
//   - [Worker] runs jobs. Its handler gets a [Run], which has the same methods as that of
//     package jobhub/jobs; [Typed] makes one of a Go function.
//   - [Problem] is an error that the hub answered with. [errors.As] finds it, [errors.Is]
//     compares it by its Code, and finds the error of a context that ended.
//
// A program that submits a job and waits for its end:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"jobhub/web/client"
//	)
//
//	func main() {
//		ctx := context.Background()
//		hub := client.Client{Base: "https://hub.example.com", Token: "jh_…"}
//		job, err := hub.Submit(ctx, client.Submission{Kind: "greet", Input: "world"}, "greet-1")
//		if err != nil {
//			log.Fatal(err)
//		}
//		if job, err = hub.Wait(ctx, job.ID); err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(job.State, job.Result) // succeeded "hello, world"
//	}
//
// And the worker that runs it:
//
//	worker := client.Worker{Client: &hub, Kinds: []string{"greet"}, Handle: client.Typed(
//		func(ctx context.Context, run *client.Run, name string) (string, error) {
//			return "hello, " + name, nil
//		})}
//	err := worker.Run(ctx)
package client

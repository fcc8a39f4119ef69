package jobs_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/sqlite"
)

// The engine is a library, too: register a handler, submit, wait.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs-")
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	engine, err := jobs.Open(ctx, jobs.Options{Store: store, Handlers: map[string]jobs.Handler{
		"greet": {Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
			return jobs.Result{Value: jobs.Value(`"hello, ` + string(run.Job().Input[1:]))}, nil
		}},
	}})
	if err != nil {
		panic(err)
	}
	defer engine.Close(ctx)

	accepted, err := engine.Submit(ctx, jobs.Spec{Kind: "greet", Input: jobs.Value(`"world"`)})
	if err != nil {
		panic(err)
	}
	job, err := engine.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
	fmt.Println(job.State, string(job.Result), err)
	// Output: succeeded "hello, world" <nil>
}

// An error fails the attempt; a Failure says whether and when to try again.
func ExampleFailure() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs-")
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	engine, err := jobs.Open(ctx, jobs.Options{Store: store, Handlers: map[string]jobs.Handler{
		"flaky": {Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
			if run.Job().Attempt < 3 {
				return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("busy", "Busy", "Come back later."), After: time.Millisecond}
			}
			return jobs.Result{Value: jobs.Value(`"done"`)}, nil
		}},
	}})
	if err != nil {
		panic(err)
	}
	defer engine.Close(ctx)

	accepted, err := engine.Submit(ctx, jobs.Spec{Kind: "flaky", Backoff: jobs.Backoff{Initial: time.Millisecond, Max: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	job, err := engine.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
	fmt.Println(job.State, job.Attempt, err)
	// Output: succeeded 3 <nil>
}

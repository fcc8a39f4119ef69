package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
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
	engine, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
		"greet": jobs.Typed(func(ctx context.Context, run jobs.Run, name string) (string, error) {
			return "hello, " + name, nil
		}),
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

// An input that the function does not take is refused when the job is submitted.
func ExampleTyped() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs-")
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	type invoice struct {
		Net int `json:"net"`
		Tax int `json:"tax"`
	}
	type total struct {
		Gross int `json:"gross"`
	}
	engine, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
		"sum": jobs.Typed(func(ctx context.Context, run jobs.Run, in invoice) (total, error) {
			return total{in.Net + in.Tax}, nil
		}),
	}})
	if err != nil {
		panic(err)
	}
	defer engine.Close(ctx)

	accepted, err := engine.Submit(ctx, jobs.Spec{Kind: "sum", Input: jobs.Value(`{"net":100,"tax":19}`)})
	if err != nil {
		panic(err)
	}
	job, err := engine.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
	fmt.Println(job.State, string(job.Result), err)
	_, err = engine.Submit(ctx, jobs.Spec{Kind: "sum", Input: jobs.Value(`{"net":"a hundred"}`)})
	fmt.Println(err)
	// Output:
	// succeeded {"gross":119} <nil>
	// Invalid request: See errors for the members to correct. (/input/net: must be a whole number, not a string)
}

// An error fails the attempt; Permanent, After and Snooze say otherwise.
func ExampleAfter() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs-")
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	engine, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
		"flaky": jobs.Typed(func(ctx context.Context, run jobs.Run, _ any) (string, error) {
			if run.Job().Attempt < 3 {
				return "", jobs.After(time.Millisecond, errors.New("the service is busy"))
			}
			return "done", nil
		}),
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

// A handler reports its progress, and stores checkpoints from which the next attempt continues.
func ExampleTyped_checkpoint() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs-")
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	engine, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{
		"copy": jobs.Typed(func(ctx context.Context, run jobs.Run, pages int) (string, error) {
			done := 0
			if c := run.Job().Checkpoint; c != nil {
				if err := json.Unmarshal(c, &done); err != nil {
					return "", jobs.Permanent(err)
				}
			}
			first := done + 1
			for page := first; page <= pages; page++ {
				if page == 3 && run.Job().Attempt == 1 {
					return "", errors.New("the printer is offline")
				}
				if err := run.Checkpoint(page); err != nil {
					return "", err
				}
				run.Progress(float64(100*page/pages), fmt.Sprintf("page %d of %d", page, pages))
			}
			return fmt.Sprintf("copied from page %d", first), nil
		}),
	}})
	if err != nil {
		panic(err)
	}
	defer engine.Close(ctx)

	accepted, err := engine.Submit(ctx, jobs.Spec{Kind: "copy", Input: jobs.Value(`4`), Backoff: jobs.Backoff{Initial: time.Millisecond, Max: time.Millisecond}})
	if err != nil {
		panic(err)
	}
	job, err := engine.Wait(ctx, jobs.DefaultTenant, accepted.Job.ID)
	fmt.Println(job.State, string(job.Result), job.Progress.Message, err)
	// Output: succeeded "copied from page 3" page 4 of 4 <nil>
}

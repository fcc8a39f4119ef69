package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

type order struct {
	Article string `json:"article"`
	Pieces  int    `json:"pieces"`
}

func TestTyped(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"order": jobs.Typed(func(_ context.Context, _ jobs.Run, in order) (any, error) {
			switch in.Article {
			case "none":
				return nil, errors.New("sold out")
			case "channel":
				return make(chan int), nil
			}
			return map[string]int{in.Article: 2 * in.Pieces}, nil
		})}, 0)
		defer w.close(0)
		run := func(input string) jobs.Job {
			return w.await(w.submit(jobs.Spec{Kind: "order", Input: jobs.Value(input), MaxAttempts: 1}).ID)
		}
		job := run(`{"article":"tea","pieces":3}`)
		w.expect("its result", words(job.State, string(job.Result)), `succeeded {"tea":6}`)
		job = run(`{"article":"none"}`)
		w.expect("its error", words(job.State, job.Reason, job.Error), "failed exhausted The handler failed: sold out")
		job = run(`{"article":"channel"}`)
		if job.Reason != jobs.Rejected || !strings.Contains(job.Error.Detail, "can't be written as JSON") {
			t.Errorf("what is no JSON: %s %v", job.Reason, job.Error)
		}
		for input, pointer := range map[string]string{`{"article":1}`: "/input/article", `{"pieces":1.5}`: "/input/pieces", `{"colour":"red"}`: "/input/colour", `[]`: "/input"} {
			_, err := w.engine.Submit(context.Background(), jobs.Spec{Kind: "order", Input: jobs.Value(input)})
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
				t.Errorf("%s: %v", input, err)
			}
		}
	})
}

// TestTypedInputOfAFormerVersion: a job accepted when the handler took another input fails
// for good, and says what does not fit.
func TestTypedInputOfAFormerVersion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		id := w.submit(jobs.Spec{Kind: "order", Input: jobs.Value(`{"name":"tea"}`)}).ID
		w.close(0)
		w.open(handlers{"order": jobs.Typed(func(context.Context, jobs.Run, order) (int, error) { return 1, nil })}, 0)
		defer w.close(0)
		job := w.await(id)
		w.expect("it", words(job.State, job.Reason, job.Attempt, job.Error), "failed rejected 1 Input does not fit: The input is not what the handler of order takes; see errors. (/input/name: unknown member)")
	})
}

// TestVerdicts: the errors by which a handler says what is next, and what it leaves for the
// next attempt.
func TestVerdicts(t *testing.T) {
	cause := errors.New("sold out")
	for _, err := range []error{jobs.Permanent(cause), jobs.After(time.Second, cause)} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "sold out") {
			t.Errorf("%v does not wrap its cause", err)
		}
	}
	if jobs.Permanent(nil) != nil || jobs.After(time.Second, nil) != nil {
		t.Error("no error became one")
	}
	inWorld(t, func(w *world) {
		starts := 0
		w.open(handlers{
			"never": jobs.Typed(func(context.Context, jobs.Run, any) (any, error) { return nil, jobs.Permanent(cause) }),
			"later": jobs.Typed(func(_ context.Context, run jobs.Run, _ any) (any, error) {
				starts++
				switch starts {
				case 1:
					run.Progress(40, "page 4")
					return nil, errors.Join(run.Checkpoint(4), jobs.After(time.Hour, cause))
				case 2:
					run.Log("put off")
					return nil, jobs.Snooze(time.Hour)
				}
				if err := run.Checkpoint(strings.Repeat("x", jobs.MaxCheckpoint)); err == nil {
					t.Error("a checkpoint may be too large")
				}
				return run.Job().Checkpoint, nil
			}),
		}, 0)
		defer w.close(0)
		job := w.await(w.submit(jobs.Spec{Kind: "never"}).ID)
		w.expect("for good", words(job.State, job.Reason, job.Attempt, job.Error), "failed rejected 1 The handler failed: sold out")
		job = w.await(w.submit(jobs.Spec{Kind: "later"}).ID)
		w.expect("later", words(job.State, job.Attempt, job.Start, string(job.Result), job.FinishedAt.Sub(job.CreatedAt) >= 2*time.Hour), "succeeded 2 3 4 true")
		w.expect("its progress", words(*job.Progress.Percent, job.Progress.Message), "40 page 4")
	})
}

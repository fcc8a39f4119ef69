package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

// crash ends the engine as a killed process would: nothing of it reaches the store any more.
func (w *world) crash() {
	w.Helper()
	synctest.Wait() // reads that are under way need the store
	if err := w.store.Close(); err != nil {
		w.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.engine.Close(ctx)
}

// scripted is a handler that does one thing after the other, one for each start, and hangs
// where there is none.
func scripted(started chan<- int, script ...func() error) jobs.Handler {
	n := 0
	return jobs.Handler{Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
		n++
		at := n
		started <- at
		if at > len(script) || script[at-1] == nil {
			<-ctx.Done()
			return jobs.Result{}, context.Cause(ctx)
		}
		return jobs.Result{}, script[at-1]()
	}}
}

// TestPoisonOfTheHub: the third crash of the hub in a row with the same job running ends
// the job, whatever attempts it has left.
func TestPoisonOfTheHub(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan int, 100)
		h := handlers{"k": scripted(started)}
		w.open(h, 4)
		j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 100})
		for n := range 3 {
			w.expect("start", <-started, n+1)
			w.crash()
			w.open(h, 4)
		}
		defer w.close(time.Second)
		j = w.get(j.ID)
		w.expect("end", words(j.State, j.Reason, j.Error.Code, j.Attempt, j.Start), "failed worker_lost worker_lost 1 3")
		w.expect("story", w.story(j.ID), "queued started queued started queued started failed")
	})
}

// What ends a start otherwise than by a crash: it is no poison.
func TestCrashesInARow(t *testing.T) {
	failed := errors.New("no")
	tests := map[string]struct {
		script  []func() error
		starts  int // how many there are before it is looked at the job
		orderly int // the start during which the hub is closed, not killed
		want    string
	}{
		"a retry in between resets the count":  {[]func() error{nil, nil, func() error { return failed }, nil, nil}, 5, 0, "running 2 6"},
		"a snooze in between resets the count": {[]func() error{nil, nil, func() error { return jobs.Snooze(time.Second) }, nil, nil}, 5, 0, "running 1 6"},
		"an orderly restart does not count":    {nil, 3, 3, "running 1 4"},
		"an orderly restart resets nothing":    {nil, 4, 3, "failed 1 4"},
		"only crashes":                         {nil, 3, 0, "failed 1 3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				started := make(chan int, 100)
				h := handlers{"k": scripted(started, test.script...)}
				w.open(h, 4)
				defer w.close(0)
				j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 100, Backoff: jobs.Backoff{Initial: time.Second, Max: time.Second}})
				for n := 1; n <= test.starts; n++ {
					w.expect("start", <-started, n)
					switch {
					case n == test.orderly:
						w.close(0)
						w.open(h, 4)
					case n > len(test.script) || test.script[n-1] == nil:
						w.crash()
						w.open(h, 4)
					}
				}
				synctest.Wait()
				j = w.get(j.ID)
				w.expect("the job", words(j.State, j.Attempt, j.Start), test.want)
			})
		})
	}
}

// A crash of the hub is no lost lease of an outside worker, which may be at work still.
func TestCrashIsNoLossOfAWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		j := w.submit(jobs.Spec{Kind: "k"})
		token := engine.Token(&w.lease(w.register(1, "k"), 1, 0).Jobs[0])
		for range 5 {
			w.crash()
			w.open(handlers{}, 1)
		}
		defer w.close(time.Second)
		w.expect("complete", w.complete(token), nil)
		w.expect("end", w.get(j.ID).State, jobs.Succeeded)
	})
}

func TestCrashOfWhatMustNotRunAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan int, 100)
		h := handlers{"k": scripted(started)}
		w.open(h, 4)
		j := w.submit(jobs.Spec{Kind: "k", NeverRerun: true})
		<-started
		w.crash()
		w.open(h, 4)
		defer w.close(time.Second)
		j = w.get(j.ID)
		w.expect("end", words(j.State, j.Reason, j.Start), "failed worker_lost 1")
	})
}

// A cancelled job ends as cancelled, however often the hub crashed with it.
func TestCrashOfACancelledJob(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan int, 100)
		stubborn := make(chan struct{})
		h := handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			started <- 1
			<-stubborn
			return jobs.Result{}, nil
		}}}
		w.open(h, 4)
		j := w.submit(jobs.Spec{Kind: "k"})
		<-started
		if _, _, err := w.engine.Cancel(context.Background(), jobs.DefaultTenant, j.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.store.Close()
		close(stubborn)
		w.engine.Close(context.Background())
		w.open(h, 4)
		defer w.close(time.Second)
		j = w.get(j.ID)
		w.expect("end", words(j.State, j.Reason), "cancelled user")
	})
}

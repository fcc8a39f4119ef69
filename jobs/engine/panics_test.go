package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// explosive is an error that can't be written.
type explosive struct{}

func (explosive) Error() string { panic("boom") }

// TestNoJobEndsTheHub: what a handler makes of the data of one job may break that job, and
// nothing else.
func TestNoJobEndsTheHub(t *testing.T) {
	nan := math.NaN()
	inf := math.Inf(1)
	tests := map[string]struct {
		run  func(run jobs.Run) (jobs.Result, error)
		want string // state and code of the error
	}{
		"a panic":                      {func(jobs.Run) (jobs.Result, error) { panic("boom") }, "failed handler_failed"},
		"a panic with a strange value": {func(jobs.Run) (jobs.Result, error) { panic(explosive{}) }, "failed handler_failed"},
		"an error that panics":         {func(jobs.Run) (jobs.Result, error) { return jobs.Result{}, explosive{} }, "failed handler_failed"},
		"an error that is not UTF-8":   {func(jobs.Run) (jobs.Result, error) { return jobs.Result{}, errors.New("caf\xe9") }, "failed handler_failed"},
		"a problem that is not UTF-8": {func(jobs.Run) (jobs.Result, error) {
			return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("x", "caf\xe9", "%s", "caf\xe9"), Never: true}
		}, "failed x"},
		"a failure without a problem": {func(jobs.Run) (jobs.Result, error) { return jobs.Result{}, &jobs.Failure{Never: true} }, "failed handler_failed"},
		"progress that is not UTF-8": {func(run jobs.Run) (jobs.Result, error) {
			run.Report(jobs.Progress{Message: "caf\xe9"})
			time.Sleep(time.Second)
			return jobs.Result{}, nil
		}, "succeeded "},
		"progress that is no number": {func(run jobs.Run) (jobs.Result, error) {
			run.Report(jobs.Progress{Percent: &nan})
			time.Sleep(time.Second)
			run.Report(jobs.Progress{Percent: &inf})
			return jobs.Result{}, nil
		}, "succeeded "},
		"progress that is no JSON": {func(run jobs.Run) (jobs.Result, error) {
			run.Report(jobs.Progress{Data: jobs.Value(`{"a":`)})
			time.Sleep(time.Second)
			return jobs.Result{}, nil
		}, "succeeded "},
		"a partial result's bad report": {func(run jobs.Run) (jobs.Result, error) {
			run.Partial(jobs.Value(`1`), jobs.Progress{Percent: &nan, Message: "\xff", Data: jobs.Value("\xff")})
			time.Sleep(time.Second)
			return jobs.Result{}, nil
		}, "succeeded "},
		"output that is not UTF-8": {func(run jobs.Run) (jobs.Result, error) {
			run.Output("caf\xe9", []byte("\xff\xc3"))
			return jobs.Result{}, nil
		}, "succeeded "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) { return test.run(run) }},
					"good": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}, jobs.KindWebhook: {Run: deliver}}, 4)
				defer w.close(time.Second)
				j := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 2, Backoff: jobs.Backoff{Initial: time.Second, Max: time.Second}, Callbacks: []jobs.Callback{{URL: "https://a.example"}}}).ID)
				code := jobs.Code("")
				if j.Error != nil {
					code = j.Error.Code
				}
				w.expect("end", words(j.State, code), test.want)
				w.expect("another job", w.await(w.submit(jobs.Spec{Kind: "good"}).ID).State, jobs.Succeeded)
				w.expect("told", w.types(j.ID), "job."+j.State.String())
				w.expect("the store", w.engine.Err(), nil)
			})
		})
	}
}

// Foreign answers that say they are JSON and are none: the job ends, its callback is
// sent, and the hub still works.
func TestNoAnswerEndsTheHub(t *testing.T) {
	for _, body := range []string{`{"a":1,"a":2}`, `{"a":"\ud800"}`, "{\"n\":\"caf\xe9\"}", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), "{", "\xff"} {
		inWorld(t, func(w *world) {
			w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
				return jobs.Result{Response: &jobs.Response{Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-\xff": {"\xff"}}, Body: []byte(body)}}, nil
			}}, jobs.KindWebhook: {Run: deliver}}, 4)
			defer w.close(time.Second)
			j := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1, Callbacks: []jobs.Callback{{URL: "https://a.example"}}}).ID)
			w.expect("told", w.types(j.ID), "job."+j.State.String())
			w.expect("the store", w.engine.Err(), nil)
		})
	}
}

// A check that panics is answered with 500.
func TestChecksThatPanic(t *testing.T) {
	inWorld(t, func(w *world) {
		bomb := jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, errors.New("no") },
			Check: func(input jobs.Value, _ jobs.Via) error {
				if string(input) == `"boom"` {
					panic("boom")
				}
				return nil
			},
			Repeat: func(*jobs.Job, []string) (jobs.Value, error) { panic("boom") }}
		w.open(handlers{"k": bomb, jobs.KindWebhook: {Run: deliver, Check: func(jobs.Value, jobs.Via) error { panic("boom") }}}, 4)
		defer w.close(time.Second)
		status := func(what string, err error) {
			t.Helper()
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 500 || p.Code != jobs.Internal {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := w.engine.Submit(bg, jobs.Spec{Kind: "k", Input: jobs.Value(`"boom"`)})
		status("submit", err)
		_, err = w.engine.Submit(bg, jobs.Spec{Kind: "k", Callbacks: []jobs.Callback{{URL: "https://a.example"}}})
		status("callbacks", err)
		old := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1}).ID)
		_, err = w.engine.Retry(bg, jobs.DefaultTenant, old.ID, engine.RetryOptions{Targets: []string{"a"}})
		status("repeat", err)
		_, err = w.engine.Retry(bg, jobs.DefaultTenant, old.ID, engine.RetryOptions{Input: jobs.Value(`"boom"`)})
		status("retry", err)
	})
}

// explodes is a store that panics once.
type explodes struct {
	*sqlite.Store
	armed atomic.Bool
}

func (s *explodes) Commit(ctx context.Context, b *jobs.Batch) error {
	if s.armed.Load() && len(b.Changes) > 0 {
		panic("boom")
	}
	return s.Store.Commit(ctx, b)
}

// A store that panics has failed: nothing is accepted any more, and the hub ends in order.
func TestStoreThatPanics(t *testing.T) {
	inWorld(t, func(w *world) {
		store, err := sqlite.Open(bg, w.dir, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		bad := &explodes{Store: store}
		w.store = store
		if w.engine, err = engine.Open(bg, engine.Options{Store: bad, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.engine.Close(bg); err == nil {
				t.Error("Close does not say that the store failed")
			}
			store.Close()
		}()
		bad.armed.Store(true)
		if _, err := w.engine.Submit(bg, jobs.Spec{Kind: "k"}); err == nil {
			t.Error("accepted")
		}
		<-w.engine.Failed()
	})
}

package engine_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/schedule"
)

// unkept are values that can't be kept with a job, whoever brings them.
var unkept = []jobs.Value{jobs.Value(`{"a":1,"a":2}`), jobs.Value(`"\ud800"`), jobs.Value("\"\xe9\""), jobs.Value(strings.Repeat("[", 73) + strings.Repeat("]", 73)), jobs.Value(strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), jobs.Value("{"), jobs.Value("1 2")}

// TestHandlersThatReturnNoJSON: such a result fails the attempt for good, and what a handler
// says in between is left out or written so that it can be shown.
func TestHandlersThatReturnNoJSON(t *testing.T) {
	inWorld(t, func(w *world) {
		var value jobs.Value
		nan := math.NaN()
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			run.Report(jobs.Progress{Percent: &nan, Message: "\xff", Data: value})
			run.Partial(value, jobs.Progress{Message: "\xff", Data: value})
			run.Output("\xff\n", []byte("\xff"))
			return jobs.Result{Value: value}, nil
		}}}, 1)
		defer w.close(time.Second)
		for _, value = range unkept {
			j := w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
			if j.State != jobs.Failed || j.Reason != jobs.Rejected || !strings.Contains(j.Error.Detail, "can't be kept") {
				t.Errorf("%.20q: %s %s %+v", value, j.State, j.Reason, j.Error)
			}
			if b := append(j.AppendMembers([]byte{'{'}, jobs.Position{}), '}'); !jobs.Value(b).IsValid() {
				t.Errorf("%.20q: %s", value, b)
			}
			events, err := w.store.Read(context.Background(), jobs.ReadQuery{Job: j.ID})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if !e.Data.IsValid() {
					t.Errorf("%.20q: %s %s", value, e.Type, e.Data)
				}
			}
		}
		value = jobs.Value("{\n\"a\": [ 1.50 ]\r\n}")
		if j := w.await(w.submit(jobs.Spec{Kind: "k"}).ID); j.State != jobs.Succeeded || string(j.Result) != `{"a":[1.50]}` {
			t.Errorf("%s %s", j.State, j.Result)
		}
	})
}

// TestDoorsOfTheEngine: what is not JSON is refused by the engine itself, with 422 and the member.
func TestDoorsOfTheEngine(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		refused := func(what, pointer string, err error) {
			t.Helper()
			p, ok := errors.AsType[*jobs.Problem](err)
			if !ok || p.Status != 422 || len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Pointer, pointer) {
				t.Errorf("%s: %v", what, err)
			}
		}
		id := w.register(1, "k")
		old := w.submit(jobs.Spec{Kind: "k"})
		token := engine.Token(w.leaseOne(id))
		for _, value := range unkept {
			_, err := w.engine.Submit(bg, jobs.Spec{Kind: "k", Input: value})
			refused("submit", "/input", err)
			_, _, err = w.engine.Schedules.Put(bg, jobs.DefaultTenant, schedule.Schedule{Name: "s", Cron: "* * * * *", Job: value})
			refused("schedule", "/job", err)
			_, _, err = w.engine.Workers.Complete(bg, jobs.DefaultTenant, token, value)
			refused("complete", "/result", err)
			_, _, err = w.engine.Workers.Release(bg, jobs.DefaultTenant, token, value)
			refused("release", "/checkpoint", err)
			_, _, err = w.engine.Workers.Report(bg, jobs.DefaultTenant, token, []attempt.Report{{N: 1, Checkpoint: value}})
			refused("checkpoint", "/data", err)
		}
		if _, _, err := w.engine.Workers.Fail(bg, jobs.DefaultTenant, token, &jobs.Failure{Never: true, Problem: &jobs.Problem{Title: "\xff", Detail: "\x00\xe9", Code: "\xff"}}); err != nil {
			t.Error(err)
		}
		if j := w.get(old.ID); j.State != jobs.Failed || j.Error.Detail != "\x00\ufffd" {
			t.Errorf("%s %+v", j.State, j.Error)
		}
		for _, value := range unkept {
			_, err := w.engine.Retry(bg, jobs.DefaultTenant, old.ID, engine.RetryOptions{Input: value})
			refused("retry", "/input", err)
		}
		// What a submission over HTTP may not say, a library's user may not say either.
		for pointer, s := range map[string]jobs.Spec{"/kind": {}, "/queue": {Kind: "k", Queue: "No Way/"}, "/priority": {Kind: "k", Priority: 101}, "/tags/0": {Kind: "k", Tags: []string{"\xff"}},
			"/fair_key": {Kind: "k", FairKey: "\xff"}, "/ordering_key": {Kind: "k", OrderingKey: "\n"}, "/delay": {Kind: "k", Delay: -time.Hour}, "/timeout": {Kind: "k", Timeout: -1},
			"/retry/max_attempts": {Kind: "k", MaxAttempts: -1}} {
			_, err := w.engine.Submit(bg, s)
			refused("submit", pointer, err)
		}
		w.submit(jobs.Spec{Kind: "k", Caller: "\xff"})
		if err := w.engine.Queues.Pause(bg, jobs.DefaultTenant, "q", "\xff", "\xff"); err != nil {
			t.Error(err)
		}
		if err := w.engine.Queues.Configure(bg, jobs.DefaultTenant, "q", func(s *jobs.QueueSettings) error {
			s.Callbacks = []jobs.Callback{{URL: "http://\xff"}}
			s.Paused = &jobs.Pause{By: "\xff"}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if w.engine.Err() != nil {
			t.Error(w.engine.Err())
		}
	})
}

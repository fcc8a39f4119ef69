package engine_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/sqlite"
)

// TestStart: each start has the next number, whether it spends an attempt or not, and what
// is reported in it says so.
func TestStart(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan int, 100)
		says := func(next jobs.Handler) jobs.Handler {
			return jobs.Handler{Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
				run.Output("out", []byte("one "))
				run.Output("err", []byte("two"))
				run.Report(jobs.Progress{Message: "half"})
				return next.Run(ctx, run)
			}}
		}
		later := func() error { return jobs.Snooze(time.Second) }
		fails := func() error { return &jobs.Failure{Problem: jobs.NewProblem("no", "No", "no")} }
		h := handlers{"k": says(scripted(started, nil, nil, later, fails, func() error { return nil }))}
		w.open(h, 4)
		j := w.submit(jobs.Spec{Kind: "k", Backoff: jobs.Backoff{Initial: time.Second, Max: time.Second}})
		w.expect("before its first start", j.Start, 0)
		<-started
		time.Sleep(time.Second) // until it is in the log
		w.crash()
		w.open(h, 4)
		<-started
		w.close(0)
		w.open(h, 4)
		defer w.close(time.Second)
		j = w.await(j.ID)
		w.expect("attempt and start", words(j.Attempt, j.Start), "2 5")

		events, err := w.store.Read(context.Background(), jobs.ReadQuery{Job: j.ID})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		start, off := 0, 0
		for _, e := range events {
			var data struct{ Start int }
			if err := json.Unmarshal(e.Data, &data, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatal(err)
			}
			switch e.Type {
			case jobs.JobStarted:
				start, off = start+1, 0
			case jobs.JobOutput:
				o := decodeOutput(t, e.Data)
				w.expect("off", o.Off, off)
				off += len(o.bytes())
			case jobs.JobProgress:
			default:
				continue
			}
			w.expect(e.Type.String()+" of start", data.Start, start)
			got = append(got, strings.TrimPrefix(e.Type.String(), "job."))
		}
		w.expect("starts", start, 5)
		if n := len(slices.DeleteFunc(got, func(s string) bool { return s != "output" })); n != 10 {
			t.Errorf("%d events of output, want 10", n)
		}
	})
}

// unread is a store whose log of single jobs must not be read.
type unread struct {
	*sqlite.Store
	t *testing.T
}

func (u unread) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	if q.Job != (jobs.ID{}) {
		u.t.Error("the engine reads all that a job has written")
	}
	return u.Store.Read(ctx, q)
}

// A worker that goes on after a restart of the hub writes on where it was, and the hub need
// not read what there is to know where that is.
func TestOutputGoesOnAfterARestart(t *testing.T) {
	for name, end := range map[string]func(w *world){"crash": (*world).crash, "close": func(w *world) { w.close(0) }} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(handlers{}, 1)
				j := w.submit(jobs.Spec{Kind: "k"})
				token := engine.Token(&w.lease(w.register(1, "k"), 1, 0).Jobs[0])
				report := func(n uint64, text string) {
					t.Helper()
					if _, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, token, []attempt.Report{{N: n, Stream: "out", Output: []byte(text)}, {N: n + 1, Stream: "err", Output: []byte("!")}}); err != nil {
						t.Fatal(err)
					}
				}
				report(1, strings.Repeat("x", 100_000))
				for n := range 2 {
					end(w)
					var err error
					if w.store, err = sqlite.Open(bg, w.dir, sqlite.Options{}); err != nil {
						t.Fatal(err)
					}
					if w.engine, err = engine.Open(bg, engine.Options{Store: unread{w.store, t}, Logger: slog.New(slog.DiscardHandler)}); err != nil {
						t.Fatal(err)
					}
					report(uint64(3+2*n), "more")
				}
				defer w.close(0)
				synctest.Wait()
				w.expect("stored", w.get(j.ID).Output, 100_001+2*5)
				events, err := w.store.Read(bg, jobs.ReadQuery{Job: j.ID})
				if err != nil {
					t.Fatal(err)
				}
				off := 0
				for _, e := range events {
					if e.Type == jobs.JobOutput {
						o := decodeOutput(t, e.Data)
						w.expect("start and off", words(o.Start, o.Off), words(1, off))
						off += len(o.bytes())
					}
				}
				w.expect("in all", off, 100_001+2*5)
			})
		})
	}
}

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func TestWorkerLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""), task("b", `,"more":1`))
		stop := work(t, f, Worker{Queues: []string{"q"}, Slots: 2, Handle: func(ctx context.Context, r *Run) (any, error) {
			if r.Job.lease == "b" {
				return nil, errors.New("no luck")
			}
			if string(r.Job.Input) != `{"n":1.10}` || r.Job.ID != "job-a" || r.Job.Timeout != 5*time.Minute || r.Job.MaxAttempts != 5 {
				t.Errorf("job %+v", r.Job)
			}
			r.Progress(10, "soon replaced")
			r.Output("stdout", []byte("one "))
			r.Output("stdout", []byte("two"))
			r.Progress(250, "late")
			r.Log("a line")
			r.Output("stdout", []byte{0xff})
			if err := r.Checkpoint(map[string]int{"page": 3}); err != nil {
				t.Error(err)
			}
			if err := r.Checkpoint(strings.Repeat("x", 65<<10)); err == nil {
				t.Error("a large checkpoint is taken")
			}
			time.Sleep(time.Second)
			r.Progress(-1, "can't tell")
			return jsontext.Value(`{"total":12345678901234567890.10}`), nil
		}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		want(t, f.said("^POST /v1/workers "), `POST /v1/workers {"name":"test","kinds":["k"],"queues":["q"],"slots":2}`)
		want(t, f.said("/a/"), `POST /v1/leases/a/events {"n":1,"type":"output","stream":"stdout","text":"one two"}
{"n":2,"type":"progress","percent":100,"message":"late"}
{"n":3,"type":"output","stream":"log","text":"a line\n"}
{"n":4,"type":"output","stream":"stdout","base64":"/w=="}
{"n":5,"type":"checkpoint","data":{"page":3}}`,
			`POST /v1/leases/a/events {"n":6,"type":"progress","message":"can't tell"}`,
			`POST /v1/leases/a/complete {"result":{"total":12345678901234567890.10}}`)
		if events, result := f.types["/v1/leases/a/events"], f.types["/v1/leases/a/complete"]; events != "application/x-ndjson" || result != "application/json" {
			t.Errorf("reports are sent as %s, a result as %s", events, result)
		}
		want(t, f.said("/b/"), `POST /v1/leases/b/fail {"error":{"title":"The handler failed","detail":"no luck","code":""},"retry":"auto"}`)
		if polls := f.said("/lease "); len(polls) != 4 || polls[0] != `POST /v1/workers/w1/lease {"max":2,"wait":"25s"}` {
			t.Errorf("polls %q", polls)
		}
		if beats := f.said("/beat"); len(beats) != 0 {
			t.Errorf("an idle worker renews: %q", beats)
		}
		if calls := f.said("quiet|DELETE"); len(calls) != 2 || calls[1] != "DELETE /v1/workers/w1" {
			t.Errorf("the end: %q", calls)
		}
	})
}

func TestWorkerOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		result any
		err    error
		cause  error
		want   string
	}{
		"nothing":           {want: `complete {"result":null}`},
		"result":            {result: []int{1}, want: `complete {"result":[1]}`},
		"no JSON":           {result: make(chan int), want: `fail {"error":{"title":"The handler failed","detail":"the result can't be written as JSON: `},
		"permanent":         {err: fmt.Errorf("so: %w", Permanent(errors.New("no"))), want: `fail {"error":{"title":"The handler failed","detail":"so: no","code":""},"retry":"never"}`},
		"after":             {err: After(5*time.Second, errors.New("busy")), want: `fail {"error":{"title":"The handler failed","detail":"busy","code":""},"retry":"after 5s"}`},
		"problem":           {err: fmt.Errorf("so: %w", &Problem{Title: "No", Code: "nope"}), want: `fail {"error":{"title":"No","code":"nope"},"retry":"auto"}`},
		"snooze":            {err: Snooze(time.Minute), want: `snooze {"delay":"1m0s"}`},
		"release":           {err: Release(nil), want: `release {}`},
		"release with":      {err: Release([]int{7}), cause: ErrDraining, want: `release {"checkpoint":[7]}`},
		"drained":           {err: errors.New("killed"), cause: ErrDraining, want: `release `},
		"drained, but done": {result: 1, cause: ErrDraining, want: `complete {"result":1}`},
		"timeout":           {err: errors.New("killed"), cause: ErrTimeout, want: `fail {"error":{"title":"Timed out","detail":"killed","code":"timeout"},"retry":"auto"}`},
		"cancelled":         {err: errors.New("killed"), cause: ErrCancelled, want: `fail {"error":{"title":"The handler failed","detail":"killed","code":""},"retry":"auto"}`},
	} {
		o := conclude(c.result, c.err, c.cause)
		if got := o.verb + " " + string(o.body); got != c.want && (name != "no JSON" || !strings.HasPrefix(got, c.want) || !strings.Contains(got, "never")) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Whatever fails is sent again, as it was, until it is answered.
func TestWorkerSendsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		f.refuse = func(path string, n int) int {
			if n < 4 {
				return []int{0, 500, 429, 503}[n]
			}
			return 0
		}
		stop := work(t, f, Worker{Handle: func(_ context.Context, r *Run) (any, error) {
			r.Output("stdout", []byte("once"))
			return 1, nil
		}})
		time.Sleep(5 * time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		line := `POST /v1/leases/a/events {"n":1,"type":"output","stream":"stdout","text":"once"}`
		end := `POST /v1/leases/a/complete {"result":1}`
		want(t, f.said("/a/"), line, line, line, line, end, end, end, end)
	})
}

func TestWorkerRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman()
		f.refuse = func(path string, n int) int { return 422 }
		stop := work(t, f, Worker{})
		synctest.Wait()
		if p, ok := problem(stop()); !ok || p.Status != 422 {
			t.Errorf("%v", p)
		}
		f = newForeman(task("a", ""), task("b", ""), task("c", ""))
		f.refuse = func(path string, n int) int {
			return map[string]int{"/v1/leases/a/complete": 413, "/v1/leases/b/complete": 409, "/v1/leases/c/events": 422}[path]
		}
		stop = work(t, f, Worker{Slots: 3, Handle: func(_ context.Context, r *Run) (any, error) {
			if r.Job.lease == "c" {
				r.Progress(1, "")
			}
			return 1, nil
		}})
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		want(t, f.said("/a/"), `POST /v1/leases/a/complete {"result":1}`, `POST /v1/leases/a/fail {"error":{"title":"Refused","status":413,"code":"too_large"},"retry":"never"}`)
		want(t, f.said("/b/"), `POST /v1/leases/b/complete {"result":1}`)
		want(t, f.said("/c/"), `POST /v1/leases/c/events {"n":1,"type":"progress","percent":1}`, `POST /v1/leases/c/complete {"result":1}`)
	})
}

// A command comes at once, also while all slots are taken. What a lost attempt says is
// not even sent.
func TestWorkerCommands(t *testing.T) {
	for state, cause := range map[string]error{"cancel": ErrCancelled, "lost": ErrLeaseLost} {
		for _, slots := range []int{1, 2} {
			synctest.Test(t, func(t *testing.T) {
				f := newForeman(task("a", ""))
				ended := make(chan error, 1)
				stop := work(t, f, Worker{Slots: slots, Handle: func(ctx context.Context, r *Run) (any, error) {
					<-ctx.Done()
					r.Progress(1, "stopping")
					ended <- context.Cause(ctx)
					return nil, ctx.Err()
				}})
				time.Sleep(3 * time.Second)
				f.tell(func() { f.states["a"] = state })
				synctest.Wait()
				select {
				case err := <-ended:
					if err != cause {
						t.Errorf("%s: %v", state, err)
					}
				default:
					t.Errorf("%s is not heard with %d slots", state, slots)
				}
				time.Sleep(time.Second)
				stop()
				if calls := f.said("/a/"); len(calls) != map[string]int{"cancel": 2, "lost": 0}[state] {
					t.Errorf("%s: %q", state, calls)
				}
			})
		}
	}
}

// A forgotten worker registers again and says first which leases it has.
func TestWorkerForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		stop := work(t, f, Worker{Slots: 2, Handle: func(ctx context.Context, r *Run) (any, error) {
			time.Sleep(35 * time.Second)
			return nil, ctx.Err()
		}})
		time.Sleep(15 * time.Second)
		f.tell(func() { f.id++ })
		time.Sleep(time.Minute)
		stop()
		calls := f.said("workers")
		again := slices.IndexFunc(calls, func(line string) bool { return strings.Contains(line, "/w3/") })
		if again < 1 || calls[again] != `POST /v1/workers/w3/beat {"leases":["a"],"wait":"0s"}` {
			t.Errorf("calls\n%s", strings.Join(calls, "\n"))
		}
		want(t, f.said("/a/"), `POST /v1/leases/a/complete {"result":null}`)
	})
}

// A lease that the worker has never heard of goes back at once.
func TestWorkerUnknownLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman()
		stop := work(t, f, Worker{})
		synctest.Wait()
		f.tell(func() { f.states["x"], f.states["y"] = "ok", "lost" })
		time.Sleep(time.Second)
		stop()
		want(t, f.said("leases/"), "POST /v1/leases/x/release")
	})
}

// An answer that was under way while an outcome was settled still names its lease.
func TestWorkerSettledLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		stop := work(t, f, Worker{Handle: func(context.Context, *Run) (any, error) { return 1, nil }})
		time.Sleep(time.Second)
		f.tell(func() { f.states["a"] = "ok" })
		time.Sleep(time.Second)
		stop()
		want(t, f.said("leases/"), `POST /v1/leases/a/complete {"result":1}`)
	})
}

// A lease that the hub says is lost while its outcome is on the way may be lost because
// that has arrived: the answer to the outcome tells.
func TestWorkerLostWhileSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		f.refuse = func(path string, n int) int {
			if strings.HasSuffix(path, "/complete") && n < 3 {
				return down
			}
			return 0
		}
		stop := work(t, f, Worker{Slots: 2, Handle: func(context.Context, *Run) (any, error) {
			f.tell(func() { f.states["a"] = "lost" })
			return 1, nil
		}})
		time.Sleep(10 * time.Second)
		stop()
		end := `POST /v1/leases/a/complete {"result":1}`
		want(t, f.said("leases/"), end, end, end)
	})
}

// Calls that wait for the hub continue as soon as the hub answers any call.
func TestWorkerGoesOnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""), task("b", ""), task("c", ""))
		away := false // protected by f.mu
		f.refuse = func(string, int) int {
			if away {
				return down
			}
			return 0
		}
		stop := work(t, f, Worker{Slots: 3, Handle: func(context.Context, *Run) (any, error) {
			time.Sleep(time.Second)
			f.tell(func() { away = true })
			return 1, nil
		}})
		time.Sleep(30 * time.Second)
		f.tell(func() { away = false; f.id++ })
		time.Sleep(mostPause)
		settled := len(f.said("complete"))
		time.Sleep(time.Minute)
		if all := len(f.said("complete")); all != settled {
			t.Errorf("%s after the hub came back, %d outcomes were not settled", mostPause, all-settled)
		}
		stop()
	})
}

func TestWorkerSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman()
		for i := range 20 {
			f.jobs = append(f.jobs, task(fmt.Sprint("t", i), ""))
		}
		var mu sync.Mutex
		running, most := 0, 0
		stop := work(t, f, Worker{Slots: 3, Handle: func(ctx context.Context, r *Run) (any, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil, nil
		}})
		time.Sleep(10 * time.Second)
		stop()
		if n := len(f.said("complete")); n != 20 || most != 3 {
			t.Errorf("%d done, %d at a time", n, most)
		}
	})
}

func TestWorkerDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("quick", ""), task("slow", ""), task("stuck", ""))
		stop := work(t, f, Worker{Slots: 3, Grace: 5 * time.Second, Handle: func(ctx context.Context, r *Run) (any, error) {
			switch r.Job.lease {
			case "quick":
				time.Sleep(4 * time.Second)
				return 1, nil
			case "slow":
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			time.Sleep(time.Minute)
			return 3, nil
		}})
		time.Sleep(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 15*time.Second || took > 16*time.Second {
			t.Errorf("took %s", took)
		}
		want(t, f.said("leases/"), `POST /v1/leases/quick/complete {"result":1}`, "POST /v1/leases/slow/release", "POST /v1/leases/stuck/release")
		if len(f.said("/beat")) == 0 {
			t.Error("leases are not renewed while the worker drains")
		}
		time.Sleep(time.Minute) // the stuck handler returns, which changes nothing
		if n := len(f.said("leases/stuck")); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestWorkerDirectives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		stop := work(t, f, Worker{Slots: 2, Handle: func(ctx context.Context, r *Run) (any, error) {
			time.Sleep(time.Minute)
			return nil, nil
		}})
		time.Sleep(time.Second)
		f.tell(func() { f.directive = "quiet" })
		time.Sleep(2 * time.Minute)
		if polls := f.said("/lease "); len(polls) != 2 {
			t.Errorf("a quiet worker polls: %q", polls)
		}
		want(t, f.said("/a/"), `POST /v1/leases/a/complete {"result":null}`)
		before := len(f.said("/beat"))
		f.tell(func() { f.directive = "terminate" })
		time.Sleep(11 * time.Second)
		if calls := f.said("DELETE"); len(calls) != 1 || before < 10 {
			t.Errorf("%d renewals, then %q", before, calls)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Output waits while the hub does not accept reports, and loses nothing.
func TestWorkerHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeman(task("a", ""))
		var mu sync.Mutex
		down := true
		f.refuse = func(path string, n int) int {
			mu.Lock()
			defer mu.Unlock()
			if down && strings.HasSuffix(path, "/events") {
				return 503
			}
			return 0
		}
		const pieces = 2000
		written := 0
		stop := work(t, f, Worker{Handle: func(ctx context.Context, r *Run) (any, error) {
			for i := range pieces {
				r.Output("stdout", fmt.Appendf(nil, "%01023d\n", i))
				mu.Lock()
				written++
				mu.Unlock()
			}
			return nil, nil
		}})
		time.Sleep(time.Minute)
		mu.Lock()
		if kib := written; kib < 256 || kib > 513 {
			t.Errorf("%d KiB are held", kib)
		}
		down = false
		mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		var text strings.Builder
		n := uint64(0)
		for _, call := range f.said("/events") {
			for line := range strings.Lines(strings.TrimPrefix(call, "POST /v1/leases/a/events ")) {
				var p report
				if err := json.Unmarshal([]byte(line), &p); err != nil {
					t.Fatal(err)
				}
				if p.N > n {
					n = p.N
					text.WriteString(p.Text)
				}
			}
		}
		if lines := strings.Fields(text.String()); len(lines) != pieces || strings.TrimLeft(lines[pieces-1], "0") != fmt.Sprint(pieces-1) {
			t.Errorf("%d lines", len(lines))
		}
		if len(f.said("complete")) != 1 {
			t.Error("not completed")
		}
	})
}

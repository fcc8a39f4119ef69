package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// world is an engine on a real store, in time that the test controls.
type world struct {
	*testing.T
	dir    string
	store  *sqlite.Store
	engine *engine.Engine

	allowed func(tenant, caller string) error // of the engine's options
}

// inWorld runs a test inside a synctest bubble: time moves when all wait.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { test(&world{T: t, dir: dir}) })
}

type handlers = map[string]jobs.Handler

func (w *world) open(h handlers, slots int) {
	w.Helper()
	var err error
	if w.store, err = sqlite.Open(context.Background(), w.dir, sqlite.Options{}); err != nil {
		w.Fatal(err)
	}
	if w.engine, err = engine.Open(context.Background(), engine.Options{Store: w.store, Handlers: h, Slots: slots, Allowed: w.allowed, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) close(grace time.Duration) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := w.engine.Close(ctx); err != nil {
		w.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.Error(err)
	}
}

func (w *world) submit(s jobs.Spec) jobs.Job {
	w.Helper()
	a, err := w.engine.Submit(context.Background(), s)
	if err != nil {
		w.Fatal(err)
	}
	return a.Job
}

func (w *world) get(id jobs.ID) jobs.Job {
	w.Helper()
	j, _, err := w.store.Job(context.Background(), jobs.DefaultTenant, id)
	if err != nil {
		w.Fatal(err)
	}
	return j
}

// await follows the log until the job is final.
func (w *world) await(id jobs.ID) jobs.Job {
	w.Helper()
	for {
		head := w.store.Head().Seq
		if j := w.get(id); j.State.Final() {
			return j
		}
		if err := w.store.Wait(context.Background(), head); err != nil {
			w.Fatal(err)
		}
	}
}

// story is the job's events in short.
func (w *world) story(id jobs.ID) string {
	w.Helper()
	events, err := w.store.Read(context.Background(), jobs.ReadQuery{Job: id})
	if err != nil {
		w.Fatal(err)
	}
	var words []string
	for i, e := range events {
		if i > 0 && (e.Prev != events[i-1].Seq || e.Version < events[i-1].Version) {
			w.Errorf("event %d follows %d and says it follows %d", e.Seq, events[i-1].Seq, e.Prev)
		}
		words = append(words, strings.TrimPrefix(e.Type.String(), "job."))
	}
	return strings.Join(words, " ")
}

func (w *world) expect(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: %v, want %v", what, got, want)
	}
}

// words puts values into one text with spaces between them.
func words(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func TestSuccess(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			half := 50.0
			run.Report(jobs.Progress{Percent: &half, Message: "half", Data: jobs.Value(` {"n": 1} `)})
			return jobs.Result{Value: append(jobs.Value(`{"got":`), append(run.Job().Input, '}')...)}, nil
		}}}, 2)
		defer w.close(time.Second)
		j := w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`12345678901234567890.10`)})
		w.expect("accepted", j.State, "queued")
		j = w.await(j.ID)
		w.expect("state", j.State, jobs.Succeeded)
		w.expect("result", string(j.Result), `{"got":12345678901234567890.10}`)
		w.expect("progress", string(j.Progress.Data), `{"n":1}`)
		w.expect("attempt and version", words(j.Attempt, j.Version), "1 3")
		w.expect("story", w.story(j.ID), "queued started progress succeeded")
	})
}

func TestRetries(t *testing.T) {
	fail := func(err error) handlers {
		return handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, err }}}
	}
	problem := jobs.NewProblem("teapot", "I'm a teapot", "Short and stout.")
	for name, c := range map[string]struct {
		err         error
		backoff     jobs.Backoff
		reason      jobs.Reason
		attempts    int
		least, most time.Duration
		code        jobs.Code
	}{
		"exponential": {errors.New("no"), jobs.Backoff{Kind: jobs.Exponential, Initial: time.Second, Max: time.Hour}, jobs.Exhausted, 4, 5600 * time.Millisecond, 7100 * time.Millisecond, "handler_failed"},
		"linear":      {errors.New("no"), jobs.Backoff{Kind: jobs.Linear, Initial: time.Second, Max: time.Hour}, jobs.Exhausted, 4, 4800 * time.Millisecond, 6100 * time.Millisecond, "handler_failed"},
		"fixed":       {errors.New("no"), jobs.Backoff{Kind: jobs.Fixed, Initial: time.Second, Max: time.Hour}, jobs.Exhausted, 4, 2400 * time.Millisecond, 3100 * time.Millisecond, "handler_failed"},
		"capped":      {errors.New("no"), jobs.Backoff{Kind: jobs.Exponential, Initial: time.Second, Max: time.Second}, jobs.Exhausted, 4, 2400 * time.Millisecond, 3100 * time.Millisecond, "handler_failed"},
		"told when":   {&jobs.Failure{Problem: problem, After: time.Minute}, jobs.Backoff{Initial: time.Second, Max: time.Second}, jobs.Exhausted, 4, 3 * time.Minute, 3*time.Minute + 100*time.Millisecond, "teapot"},
		"told never":  {&jobs.Failure{Problem: problem, Never: true}, jobs.Backoff{}, jobs.Rejected, 1, 0, 100 * time.Millisecond, "teapot"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(fail(c.err), 2)
				defer w.close(time.Second)
				begin := time.Now()
				j := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 4, Backoff: c.backoff}).ID)
				if took := time.Since(begin); took < c.least || took > c.most {
					t.Errorf("it took %s, want %s to %s", took, c.least, c.most)
				}
				w.expect("end", words(j.State, j.Reason, j.Attempt, j.Error.Code), words(jobs.Failed, c.reason, c.attempts, c.code))
				if c.attempts == 4 {
					w.expect("story", w.story(j.ID), "queued started retrying queued started retrying queued started retrying queued started failed")
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
			<-ctx.Done()
			return jobs.Result{}, ctx.Err()
		}}}, 2)
		defer w.close(time.Second)
		begin := time.Now()
		j := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 2, Timeout: time.Minute, Backoff: jobs.Backoff{Kind: jobs.Fixed, Initial: time.Second}}).ID)
		if took := time.Since(begin); took < 2*time.Minute || took > 2*time.Minute+2*time.Second {
			t.Errorf("two attempts of a minute took %s", took)
		}
		w.expect("end", words(j.State, j.Reason, j.Error.Code), "failed timeout timeout")
	})
}

func TestPanicFailsTheAttemptOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { panic("oh") }}}, 1)
		defer w.close(time.Second)
		j := w.await(w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1}).ID)
		w.expect("end", words(j.State, j.Reason, strings.Contains(j.Error.Detail, "oh")), "failed exhausted true")
	})
}

func TestDelayIsNeverEarly(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan time.Time, 1)
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			started <- time.Now()
			return jobs.Result{}, nil
		}}}, 1)
		defer w.close(time.Second)
		at := time.Now().Add(time.Hour + 123456*time.Nanosecond)
		j := w.submit(jobs.Spec{Kind: "k", RunAt: at})
		w.expect("accepted", j.State, jobs.Scheduled)
		w.await(j.ID)
		if late := (<-started).Sub(at); late < 0 || late > 50*time.Millisecond {
			t.Errorf("it started %s after its time", late)
		}
		w.expect("story", w.story(j.ID), "scheduled queued started succeeded")
	})
}

func TestQueueTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		begin := time.Now()
		j := w.await(w.submit(jobs.Spec{Kind: "nobody", QueueTimeout: 30 * time.Second}).ID)
		w.expect("end", words(j.State, j.Reason, j.Attempt, j.Error.Code), "failed expired 0 expired")
		if took := time.Since(begin); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("it expired after %s", took)
		}
		late := w.await(w.submit(jobs.Spec{Kind: "nobody", Delay: time.Minute, QueueTimeout: 30 * time.Second}).ID)
		w.expect("story", w.story(late.ID), "scheduled queued failed")
	})
}

func TestCancel(t *testing.T) {
	told := make(chan error, 1)
	obedient := func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
		<-ctx.Done()
		told <- context.Cause(ctx)
		return jobs.Result{}, ctx.Err()
	}
	completes := func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
		<-ctx.Done()
		time.Sleep(time.Second)
		return jobs.Result{Value: jobs.Value(`"done"`)}, nil
	}
	deaf := func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
		time.Sleep(time.Minute)
		return jobs.Result{Value: jobs.Value(`"late"`)}, nil
	}
	inWorld(t, func(w *world) {
		w.open(handlers{"obedient": {Run: obedient}, "completes": {Run: completes}, "deaf": {Run: deaf}}, 8)
		defer w.close(2 * time.Minute)
		cancel := func(id jobs.ID) jobs.Job {
			t.Helper()
			j, _, err := w.engine.Cancel(context.Background(), jobs.DefaultTenant, id)
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		for _, s := range []jobs.Spec{{Kind: "nobody"}, {Kind: "obedient", Delay: time.Hour}} {
			j := cancel(w.submit(s).ID)
			w.expect("not running", words(j.State, j.Reason), "cancelled user")
			w.expect("again", cancel(j.ID).Version, j.Version)
		}
		for kind, want := range map[string]string{
			"obedient":  "cancelled user queued started cancel_requested cancelled",
			"completes": "succeeded  queued started cancel_requested succeeded",
			"deaf":      "cancelled user queued started cancel_requested cancelled",
		} {
			j := w.submit(jobs.Spec{Kind: kind})
			synctest.Wait() // it runs
			begin := time.Now()
			told := cancel(j.ID)
			w.expect("running", words(told.State, told.CancelRequested), "running true")
			j = w.await(j.ID)
			w.expect(kind, words(j.State, j.Reason, w.story(j.ID)), want)
			if took := time.Since(begin); took > jobs.CancelGrace+time.Second || (kind == "deaf" && took < jobs.CancelGrace) {
				t.Errorf("%s ended after %s", kind, took)
			}
		}
		if cause := <-told; cause != jobs.ErrCancelRequested {
			t.Errorf("the cause of the handler's context is %v", cause)
		}
		if _, _, err := w.engine.Cancel(context.Background(), jobs.DefaultTenant, jobs.ID{1}); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("cancelling an unknown job: %v", err)
		}
	})
}

func TestDrainReleasesAndRestartRunsAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		var attempts atomic.Int32
		h := handlers{"slow": {Run: func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
			if attempts.Add(1) > 1 {
				return jobs.Result{}, nil
			}
			<-ctx.Done()
			return jobs.Result{}, ctx.Err()
		}}, "quick": {Run: func(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
			time.Sleep(2 * time.Second)
			return jobs.Result{}, nil
		}}}
		w.open(h, 8)
		slow, quick := w.submit(jobs.Spec{Kind: "slow"}), w.submit(jobs.Spec{Kind: "quick"})
		synctest.Wait()
		w.close(5 * time.Second)
		w.open(h, 8)
		defer w.close(time.Second)
		j := w.await(slow.ID)
		w.expect("released", words(j.State, j.Attempt, w.story(j.ID)), "succeeded 1 queued started queued started succeeded")
		w.expect("finished in the grace", w.story(quick.ID), "queued started succeeded")
	})
}

// TestCrash: what ran when the process died is queued again and spends no attempt.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	hold := make(chan struct{})
	block := handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
		<-hold
		return jobs.Result{}, errors.New("too late")
	}}}
	w := &world{T: t, dir: dir}
	w.open(block, 4)
	j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1})
	for w.get(j.ID).State != jobs.Running {
		if err := w.store.Wait(t.Context(), w.store.Head().Seq-1); err != nil {
			t.Fatal(err)
		}
	}
	w.store.Close() // the process is gone: nothing of it reaches the store any more
	dead := w.engine
	w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 4)
	defer w.close(time.Second)
	j = w.await(j.ID)
	w.expect("after the crash", words(j.State, j.Attempt, w.story(j.ID)), "succeeded 1 queued started queued started succeeded")
	close(hold)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dead.Close(ctx)
	w.expect("the old process changed nothing", w.get(j.ID).Version, j.Version)
}

func TestSlotsAndPriorities(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		var order []string
		running, most := 0, 0
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			mu.Lock()
			running++
			most = max(most, running)
			order = append(order, string(run.Job().Input))
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return jobs.Result{}, nil
		}}}, 1)
		defer w.close(time.Second)
		for i, priority := range []int{0, 0, 5, -5, 5} {
			w.submit(jobs.Spec{Kind: "k", Priority: priority, Input: jobs.Value(fmt.Sprint(i))})
			synctest.Wait()
		}
		w.await(w.submit(jobs.Spec{Kind: "k", Priority: -100, Input: jobs.Value(`9`)}).ID)
		w.expect("order", order, "[0 2 4 1 3 9]")
		w.expect("at once", most, 1)
	})
}

func TestIdempotencyKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		key := func(print string) *jobs.Key {
			return &jobs.Key{Scope: "s", Key: "k", Fingerprint: []byte(print), Until: time.Now().Add(time.Hour)}
		}
		var wg sync.WaitGroup
		ids := make([]jobs.ID, 20)
		for i := range ids {
			wg.Go(func() {
				a, err := w.engine.Submit(context.Background(), jobs.Spec{Kind: "k", Key: key("one")})
				if err != nil {
					t.Error(err)
				}
				ids[i] = a.Job.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			w.expect("one job for all", id, ids[0])
		}
		_, err := w.engine.Submit(context.Background(), jobs.Spec{Kind: "k", Key: key("two")})
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 {
			t.Errorf("another request under the key: %v", err)
		}
	})
}

// TestCloseWaitsForWhatWasJustClaimed: a claim that is under way when the engine closes
// still brings its job to run, and that run is waited for.
func TestCloseWaitsForWhatWasJustClaimed(t *testing.T) {
	w := &world{T: t, dir: t.TempDir()}
	for range 60 {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 4)
		w.submit(jobs.Spec{Kind: "k"})
		w.close(time.Second)
	}
}

// hooked calls a function in the middle of commits that claim.
type hooked struct {
	jobs.Store
	claiming func()
}

func (s *hooked) Commit(ctx context.Context, b *jobs.Batch) error {
	err := s.Store.Commit(ctx, b)
	if len(b.Claims) > 0 {
		s.claiming()
	}
	return err
}

// TestHandlerAddedDuringAClaim: jobs that wait for a handler start when it comes, also if
// the engine is just asking for others.
func TestHandlerAddedDuringAClaim(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		job := w.submit(jobs.Spec{Kind: "late"})
		if err := w.engine.Close(context.Background()); err != nil {
			w.Fatal(err)
		}
		opened, added := make(chan struct{}), make(chan struct{}, 100)
		store := &hooked{w.store, func() {
			<-opened
			if len(added) == 0 {
				w.engine.Handle("late", jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }})
			}
			added <- struct{}{}
		}}
		var err error
		if w.engine, err = engine.Open(context.Background(), engine.Options{Store: store}); err != nil {
			w.Fatal(err)
		}
		close(opened)
		synctest.Wait()
		w.expect("the job that waited", w.get(job.ID).State, jobs.Succeeded)
		w.close(0)
	})
}

package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/schedule"
	"jobhub/jobs/sqlite"
)

// barrier is a store whose commits the test holds up, or fails.
type barrier struct {
	jobs.Store

	mu   sync.Mutex // protects the fields below
	step chan error // every commit takes an element from it, nil or its outcome; nil if none is held up
}

func (g *barrier) Commit(ctx context.Context, b *jobs.Batch) error {
	g.mu.Lock()
	step := g.step
	g.mu.Unlock()
	if step != nil {
		if err := <-step; err != nil {
			return err
		}
	}
	return g.Store.Commit(ctx, b)
}

// shut holds up the commits that begin from now on. Each takes an element, if the channel
// is not closed; with open no further one is held up.
func (g *barrier) shut() (step chan error, open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	step = make(chan error)
	g.step = step
	return step, func() {
		g.mu.Lock()
		g.step = nil
		g.mu.Unlock()
		close(step)
	}
}

// openGated is open with a barrier before the store.
func (w *world) openGated(h handlers) *barrier {
	w.Helper()
	var err error
	if w.store, err = sqlite.Open(context.Background(), w.dir, sqlite.Options{}); err != nil {
		w.Fatal(err)
	}
	g := &barrier{Store: w.store}
	if w.engine, err = engine.Open(context.Background(), engine.Options{Store: g, Handlers: h, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	return g
}

// known reports whether an error says that nothing was stored.
func known(err error) bool {
	p, ok := errors.AsType[*jobs.Problem](err)
	return errors.Is(err, context.Canceled) || ok && p.Status == 503
}

// TestCallersThatLeaveHearTheTruth cancels every method that changes something while its
// change is on its way into the store: what it then returns is what became of the change.
func TestCallersThatLeaveHearTheTruth(t *testing.T) {
	calls := map[string]func(ctx context.Context, w *world) (changed func() bool, call func() error){
		"submit": func(ctx context.Context, w *world) (func() bool, func() error) {
			n := w.count(jobs.Filter{})
			return func() bool { return w.count(jobs.Filter{}) > n }, func() error {
				_, err := w.engine.Submit(ctx, jobs.Spec{Kind: "nobody"})
				return err
			}
		},
		"submit in a group": func(ctx context.Context, w *world) (func() bool, func() error) {
			n := w.count(jobs.Filter{})
			return func() bool { return w.count(jobs.Filter{}) > n }, func() error {
				ctx, leave := commit.NewGroup(1).Join(ctx)
				defer leave()
				_, err := w.engine.Submit(ctx, jobs.Spec{Kind: "nobody"})
				return err
			}
		},
		"retry": func(ctx context.Context, w *world) (func() bool, func() error) {
			j := w.submit(jobs.Spec{Kind: "nobody"})
			w.engine.Cancel(bg, jobs.DefaultTenant, j.ID)
			n := w.count(jobs.Filter{})
			return func() bool { return w.count(jobs.Filter{}) > n }, func() error {
				_, err := w.engine.Retry(ctx, jobs.DefaultTenant, j.ID, engine.RetryOptions{})
				return err
			}
		},
		"cancel": func(ctx context.Context, w *world) (func() bool, func() error) {
			j := w.submit(jobs.Spec{Kind: "nobody"})
			return func() bool { return w.get(j.ID).State == jobs.Cancelled }, func() error {
				_, _, err := w.engine.Cancel(ctx, jobs.DefaultTenant, j.ID)
				return err
			}
		},
		"configure": func(ctx context.Context, w *world) (func() bool, func() error) {
			w.engine.Queues.Resume(bg, jobs.DefaultTenant, "other")
			return func() bool {
					queues, _, _ := w.store.Queues(bg, jobs.DefaultTenant)
					stored := slices.ContainsFunc(queues, func(q jobs.QueueInfo) bool { return q.Name == "other" && q.Settings.Paused != nil })
					return stored && w.engine.Queues.Settings(jobs.DefaultTenant, "other").Paused != nil
				}, func() error {
					return w.engine.Queues.Pause(ctx, jobs.DefaultTenant, "other", "me", "")
				}
		},
		"schedule": func(ctx context.Context, w *world) (func() bool, func() error) {
			w.engine.Schedules.Delete(bg, jobs.DefaultTenant, "s")
			return func() bool { _, err := w.engine.Schedules.Get(bg, jobs.DefaultTenant, "s"); return err == nil }, func() error {
				_, _, err := w.engine.Schedules.Put(ctx, jobs.DefaultTenant, schedule.Schedule{Name: "s", Cron: "0 0 1 1 *", Job: jobs.Value(`{"kind":"nobody"}`)})
				return err
			}
		},
		"delete schedule": func(ctx context.Context, w *world) (func() bool, func() error) {
			w.engine.Schedules.Put(bg, jobs.DefaultTenant, schedule.Schedule{Name: "t", Cron: "0 0 1 1 *", Job: jobs.Value(`{"kind":"nobody"}`)})
			return func() bool { _, err := w.engine.Schedules.Get(bg, jobs.DefaultTenant, "t"); return err != nil }, func() error {
				return w.engine.Schedules.Delete(ctx, jobs.DefaultTenant, "t")
			}
		},
		"run schedule": func(ctx context.Context, w *world) (func() bool, func() error) {
			w.engine.Schedules.Put(bg, jobs.DefaultTenant, schedule.Schedule{Name: "u", Cron: "0 0 1 1 *", Job: jobs.Value(`{"kind":"nobody"}`)})
			n := w.count(jobs.Filter{})
			return func() bool { return w.count(jobs.Filter{}) > n }, func() error {
				_, err := w.engine.Schedules.Run(ctx, jobs.DefaultTenant, "u")
				return err
			}
		},
	}
	held := func(end func(ctx context.Context, w *world, token string) error) func(ctx context.Context, w *world) (func() bool, func() error) {
		return func(ctx context.Context, w *world) (func() bool, func() error) {
			w.submit(jobs.Spec{Kind: "outside"})
			j := w.leaseOne(w.register(1, "outside"))
			before := w.get(j.ID)
			return func() bool {
					now := w.get(j.ID)
					return now.State != jobs.Running || now.Reported > before.Reported
				}, func() error {
					return end(ctx, w, engine.Token(j))
				}
		}
	}
	calls["complete"] = held(func(ctx context.Context, w *world, token string) error {
		_, _, err := w.engine.Workers.Complete(ctx, jobs.DefaultTenant, token, nil)
		return err
	})
	calls["fail"] = held(func(ctx context.Context, w *world, token string) error {
		_, _, err := w.engine.Workers.Fail(ctx, jobs.DefaultTenant, token, &jobs.Failure{Problem: jobs.NewProblem("x", "x", "x")})
		return err
	})
	calls["snooze"] = held(func(ctx context.Context, w *world, token string) error {
		_, _, err := w.engine.Workers.Snooze(ctx, jobs.DefaultTenant, token, time.Hour)
		return err
	})
	calls["release"] = held(func(ctx context.Context, w *world, token string) error {
		_, _, err := w.engine.Workers.Release(ctx, jobs.DefaultTenant, token, nil)
		return err
	})
	calls["report"] = held(func(ctx context.Context, w *world, token string) error {
		_, _, err := w.engine.Workers.Report(ctx, jobs.DefaultTenant, token, []attempt.Report{{N: 1, Stream: "out", Output: []byte("x")}})
		return err
	})
	for name, prepare := range calls {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				g := w.openGated(handlers{})
				defer w.close(time.Second)
				ctx, cancel := context.WithCancel(bg)
				changed, call := prepare(ctx, w)
				synctest.Wait()
				_, open := g.shut()
				done := make(chan error, 1)
				go func() { done <- call() }()
				time.Sleep(time.Second) // its change is in a commit that is held up
				cancel()
				synctest.Wait()
				select {
				case err := <-done:
					if open(); known(err) {
						synctest.Wait()
						t.Errorf("it returned %v before the commit was over; then changed=%t", err, changed())
					}
					return
				default:
				}
				open()
				if err := <-done; err != nil || !changed() {
					t.Errorf("outcome %v, changed=%t", err, changed())
				}

				// Who has left before the change is handed in hears that nothing was stored.
				changed, call = prepare(ctx, w)
				if err := call(); !errors.Is(err, context.Canceled) || changed() {
					t.Errorf("given up before: %v, changed=%t", err, changed())
				}
			})
		})
	}
}

// A submission that no store took is known not to be stored, also in a group.
func TestWhatWaitsForRoomIsGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.openGated(handlers{})
		defer w.close(time.Second)
		_, open := g.shut()
		large := jobs.Value(`"` + strings.Repeat("x", 30<<20) + `"`)
		var filling sync.WaitGroup
		for range 4 { // one is in the commit that is held up, two wait, and one finds no room
			filling.Go(func() { w.engine.Submit(bg, jobs.Spec{Kind: "nobody", Input: large}) })
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(bg)
		done := make(chan error, 1)
		go func() {
			_, err := w.engine.Submit(ctx, jobs.Spec{Kind: "unwanted", Input: large})
			done <- err
		}()
		synctest.Wait()
		cancel()
		err := <-done
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 503 || !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		_, err = w.engine.Submit(bg, jobs.Spec{Kind: "unwanted", Input: large}) // which does not wait for ever
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 503 {
			t.Errorf("no room for long: %v", err)
		}
		open()
		filling.Wait()
		page, err := w.store.List(bg, jobs.Filter{Kind: "unwanted"})
		if err != nil || len(page.Jobs) > 0 {
			t.Errorf("stored all the same: %v %v", page.Jobs, err)
		}
	})
}

// A member of a group that leaves while the others are awaited takes back its submission.
func TestLeavingAGroup(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		group := commit.NewGroup(2)
		parent, cancel := context.WithCancel(bg)
		ctx, leave := group.Join(parent)
		done := make(chan error, 1)
		go func() {
			defer leave()
			_, err := w.engine.Submit(ctx, jobs.Spec{Kind: "unwanted"})
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !known(err) {
			t.Errorf("left: %v", err)
		}
		other, leave := group.Join(bg)
		defer leave()
		if _, err := w.engine.Submit(other, jobs.Spec{Kind: "wanted"}); err != nil {
			t.Error(err)
		}
		w.expect("jobs", w.count(jobs.Filter{}), 1)
	})
}

// TestFailedStoreWhileClosing fails a flush after Close has closed the committer: nothing
// is acknowledged from then on.
func TestFailedStoreWhileClosing(t *testing.T) {
	for _, cause := range []error{errors.New("the flush failed"), jobs.ErrClosed} {
		inWorld(t, func(w *world) {
			let := make(chan struct{})
			g := w.openGated(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { <-let; return jobs.Result{}, nil }}})
			w.submit(jobs.Spec{Kind: "k"})
			synctest.Wait()
			closed := make(chan error, 1)
			go func() { closed <- w.engine.Close(bg) }()
			synctest.Wait() // it waits for the handler
			step, open := g.shut()
			outcomes := make(chan error, 3000)
			submit := func() { _, err := w.engine.Submit(bg, jobs.Spec{Kind: "nobody"}); outcomes <- err }
			go submit()
			synctest.Wait() // this one is in a blocked commit, and all others wait for it
			close(let)
			synctest.Wait()
			for range 2500 {
				go submit()
			}
			synctest.Wait()
			step <- nil
			step <- nil // the handler's outcome is stored, so that Close continues
			synctest.Wait()
			step <- cause
			open()
			acknowledged := 0
			for range 2501 {
				err := <-outcomes
				if err == nil {
					acknowledged++
				} else if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 0 || p.Code != jobs.Internal || !errors.Is(err, cause) {
					t.Fatalf("after a flush failed: %v", err)
				}
			}
			w.expect("acknowledged", acknowledged, 1+999)
			if err := <-closed; !errors.Is(err, cause) {
				t.Errorf("Close: %v", err)
			}
			select {
			case <-w.engine.Failed():
			default:
				t.Error("Failed is open")
			}
			if err := w.engine.Err(); !errors.Is(err, cause) {
				t.Errorf("Err: %v", err)
			}
			if _, err := w.engine.Submit(bg, jobs.Spec{Kind: "nobody"}); err == nil || known(err) {
				t.Errorf("afterwards: %v", err)
			}
			w.expect("jobs", w.count(jobs.Filter{}), 1+1000)
			if err := w.store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Those who wait for room hear of a failed store at once.
func TestFailedStoreTellsThoseWhoWait(t *testing.T) {
	broken := errors.New("the flush failed")
	inWorld(t, func(w *world) {
		g := w.openGated(handlers{})
		defer w.store.Close()
		defer w.engine.Close(bg)
		step, open := g.shut()
		large := jobs.Value(`"` + strings.Repeat("x", 30<<20) + `"`)
		outcomes := make(chan error, 6)
		for range 6 {
			go func() { _, err := w.engine.Submit(bg, jobs.Spec{Kind: "nobody", Input: large}); outcomes <- err }()
			synctest.Wait()
		}
		begin := time.Now()
		step <- broken
		open()
		for range 6 {
			if err := <-outcomes; !errors.Is(err, broken) {
				t.Error(err)
			}
		}
		w.expect("waited", time.Since(begin), time.Duration(0))
	})
}

func TestCloseTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		let := make(chan struct{})
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { <-let; return jobs.Result{}, nil }}}, 1)
		j := w.submit(jobs.Spec{Kind: "k"})
		synctest.Wait()
		var over sync.WaitGroup
		for range 3 {
			over.Go(func() {
				if err := w.engine.Close(bg); err != nil {
					t.Error(err)
				}
				w.expect("state when Close has returned", w.get(j.ID).State, jobs.Succeeded)
			})
		}
		synctest.Wait()
		close(let)
		over.Wait()
		if err := w.engine.Close(bg); err != nil {
			t.Error(err)
		}
		if _, err := w.engine.Submit(bg, jobs.Spec{Kind: "k"}); !errors.Is(err, jobs.ErrClosed) || !known(err) {
			t.Errorf("after Close: %v", err)
		}
		w.store.Close()
	})
}

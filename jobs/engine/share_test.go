package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// gated are attempts that run until the test ends them, counted by tenant and key.
type gated struct {
	mu      sync.Mutex // protects the fields below
	running map[string]int
	gates   map[string]chan struct{}
}

func newGated() *gated { return &gated{running: map[string]int{}, gates: map[string]chan struct{}{}} }

func (g *gated) gate(name string) chan struct{} {
	if g.gates[name] == nil {
		g.gates[name] = make(chan struct{})
	}
	return g.gates[name]
}

func (g *gated) run(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	name := run.Job().Tenant + run.Job().FairKey
	g.mu.Lock()
	g.running[name]++
	gate := g.gate(name)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.running[name]--; g.running[name] == 0 {
			delete(g.running, name)
		}
	}()
	select {
	case <-gate:
	case <-ctx.Done():
	}
	return jobs.Result{}, nil
}

// letGo ends n attempts, one after the other.
func (g *gated) letGo(name string, n int) {
	g.mu.Lock()
	gate := g.gate(name)
	g.mu.Unlock()
	for range n {
		gate <- struct{}{}
		synctest.Wait()
	}
}

// now are the attempts that run, once all is quiet.
func (g *gated) now() string {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprint(maps.Clone(g.running))
}

// openShared opens an engine of 64 slots whose handlers g runs.
func (w *world) openShared(g *gated, several bool) {
	w.Helper()
	var err error
	if w.store, err = sqlite.Open(context.Background(), w.dir, sqlite.Options{}); err != nil {
		w.Fatal(err)
	}
	if w.engine, err = engine.Open(context.Background(), engine.Options{Store: w.store, Handlers: handlers{"k": {Run: g.run}}, Slots: 64,
		SeveralTenants: func() bool { return several }, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) flood(n int, s jobs.Spec) {
	w.Helper()
	s.Kind, s.Timeout = "k", 24*time.Hour
	for range n {
		w.submit(s)
	}
}

// TestTenantsShareSlots: a tenant that floods the hub with slow jobs leaves room for the
// first job of any other, also of one that has never been there.
func TestTenantsShareSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, true)
		defer w.close(0)
		began := time.Now()
		w.flood(100, jobs.Spec{Tenant: "a", Priority: 100})
		w.flood(100, jobs.Spec{Tenant: "a", Queue: "other"})
		w.expect("a alone", g.now(), "map[a:32]")
		w.flood(1, jobs.Spec{Tenant: "b", Priority: -100})
		w.expect("the first of b", g.now(), "map[a:32 b:1]")
		w.flood(100, jobs.Spec{Tenant: "b"})
		w.expect("a and b", g.now(), "map[a:32 b:16]")
		w.flood(100, jobs.Spec{Tenant: "c"})
		w.expect("three tenants", g.now(), "map[a:32 b:16 c:8]")
		w.flood(1, jobs.Spec{Tenant: "d"})
		w.expect("the first of d", g.now(), "map[a:32 b:16 c:8 d:1]")
		w.expect("time passed", time.Since(began), time.Duration(0))

		// What a gives back goes to those who hold less.
		g.letGo("a", 16)
		w.expect("after a's first ended", g.now(), "map[a:16 b:16 c:15 d:1]")
	})
}

// Two tenants that both have more than enough to do come to hold the same.
func TestSharesBecomeEqual(t *testing.T) {
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, true)
		defer w.close(0)
		w.flood(500, jobs.Spec{Tenant: "a"})
		w.flood(500, jobs.Spec{Tenant: "b"})
		for range 100 {
			g.now()
			g.letGo("a", 1)
			g.letGo("b", 1)
		}
		var a, b int
		now := g.now()
		if fmt.Sscanf(now, "map[a:%d b:%d]", &a, &b); min(a, b) < 20 || max(a, b) > 22 || max(a, b)-min(a, b) > 1 {
			t.Errorf("at the end %s", now)
		}
		g.letGo("a", 400) // all that a has
		w.expect("b alone", g.now(), "map[b:32]")
	})
}

// The only tenant has all slots, until another one comes.
func TestOnlyTenantHasAllSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, false)
		w.flood(200, jobs.Spec{Tenant: "a"})
		w.expect("a alone", g.now(), "map[a:64]")
		w.flood(40, jobs.Spec{Tenant: "b", Priority: -100})
		w.expect("no slot is free", g.now(), "map[a:64]")
		g.letGo("a", 1)
		w.expect("the first that is free", g.now(), "map[a:63 b:1]")
		g.letGo("a", 40)
		w.expect("they share", g.now(), "map[a:23 b:20]")
		w.close(0)
		g = newGated() // after a restart it is known from the store that there are two
		w.openShared(g, false)
		defer w.close(0)
		w.expect("after a restart", g.now(), "map[a:32 b:16]")
	})
}

// TestFairKeysShareSlots: one fair key does not take all slots, nor all of its tenant's.
func TestFairKeysShareSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, false)
		defer w.close(0)
		w.flood(200, jobs.Spec{FairKey: "noisy", Priority: 100})
		w.expect("a key alone", g.now(), "map[defaultnoisy:32]")
		w.flood(1, jobs.Spec{FairKey: "quiet"})
		w.expect("another key", g.now(), "map[defaultnoisy:32 defaultquiet:1]")
		w.flood(200, jobs.Spec{})
		w.expect("jobs without a key", g.now(), "map[default:31 defaultnoisy:32 defaultquiet:1]")
		g.letGo("default", 200)
		w.expect("when they have ended", g.now(), "map[defaultnoisy:32 defaultquiet:1]")
	})
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, true)
		defer w.close(0)
		w.flood(200, jobs.Spec{Tenant: "a", FairKey: "noisy"})
		w.expect("a key of a tenant", g.now(), "map[anoisy:21]")
		w.flood(200, jobs.Spec{Tenant: "a", FairKey: "next"})
		w.expect("another key of it", g.now(), "map[anext:7 anoisy:21]")
		w.flood(200, jobs.Spec{Tenant: "b"})
		w.expect("another tenant", g.now(), "map[anext:7 anoisy:21 b:18]")
	})
}

// countedCommits counts the commits of a store.
type countedCommits struct {
	*sqlite.Store
	n atomic.Int64
}

func (c *countedCommits) Commit(ctx context.Context, b *jobs.Batch) error {
	c.n.Add(1)
	return c.Store.Commit(ctx, b)
}

// Who waits for a slot costs nothing meanwhile, also where a queue with a rate has tokens.
func TestWaitingForASlotIsIdle(t *testing.T) {
	inWorld(t, func(w *world) {
		g := newGated()
		w.openShared(g, true)
		w.close(0)
		store, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		counted := &countedCommits{Store: store}
		engine, err := engine.Open(context.Background(), engine.Options{Store: counted, Handlers: handlers{"k": {Run: g.run}}, SeveralTenants: func() bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		w.store, w.engine = store, engine
		defer w.close(0)
		if err := engine.Queues.Configure(context.Background(), "a", "rated", func(s *jobs.QueueSettings) error {
			s.Rate = jobs.Rate{N: 100, Per: jobs.Duration(time.Second)}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		w.flood(100, jobs.Spec{Tenant: "a"})
		w.expect("running", g.now(), "map[a:32]")
		before := counted.n.Load()
		time.Sleep(10 * time.Second)
		if n := counted.n.Load() - before; n > 10 {
			t.Errorf("%d commits in 10 s in which nothing happened", n)
		}
	})
}

package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/schedule"
	"jobhub/jobs/sqlite"
	"jobhub/web"
	"jobhub/web/gateway"
)

// still is a hub on a clock of its own, with one page that somebody watches.
type still struct {
	t      *testing.T
	store  *sqlite.Store
	hub    *hub.Hub
	engine *engine.Engine
	web    *web.Server
}

// onPage runs a test with a hub, of which a view is watched and drawn.
func onPage(t *testing.T, page, of string, prepare, run func(*still)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, ctx := &still{t: t}, t.Context()
		var err error
		if w.store, err = sqlite.Open(ctx, dir, sqlite.Options{}); err != nil {
			t.Fatal(err)
		}
		defer w.store.Close()
		if w.hub, err = hub.New(ctx, hub.Options{Log: w.store}); err != nil {
			t.Fatal(err)
		}
		defer w.hub.Close()
		done := func(ctx context.Context, _ jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }
		if w.engine, err = engine.Open(ctx, engine.Options{Store: w.store, Notify: w.hub.Notify, Handlers: map[string]jobs.Handler{"own": {Run: done}}}); err != nil {
			t.Fatal(err)
		}
		defer w.engine.Close(context.Background())
		w.web = web.New(web.Config{Engine: w.engine, Store: w.store, Hub: w.hub})
		defer w.web.CloseCounters(context.Background())
		if prepare != nil {
			prepare(w)
		}
		viewer := w.hub.View(hub.ViewKey{Tenant: jobs.DefaultTenant, Page: page, Of: of}, func() {})
		defer viewer.Close()
		time.Sleep(time.Hour)
		run(w)
	})
}

// draws is how often the page is drawn within an hour after something was done.
func (w *still) draws(do func()) int64 {
	before := w.hub.Stats.Renders.Load()
	do()
	time.Sleep(time.Hour)
	return w.hub.Stats.Renders.Load() - before
}

// changes checks that a page is drawn again when something is done, and then rests.
func (w *still) changes(what string, do func()) {
	w.t.Helper()
	if n := w.draws(do); n < 1 || n > 4 {
		w.t.Errorf("%s: the page was drawn %d times in an hour", what, n)
	}
	w.rests("after that: " + what)
}

// rests checks that a page is not drawn again when something else is done.
func (w *still) rests(what string, do ...func()) {
	w.t.Helper()
	if n := w.draws(func() {
		for _, f := range do {
			f()
		}
	}); n != 0 {
		w.t.Errorf("%s: the page was drawn %d times in an hour without a change", what, n)
	}
}

func (w *still) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const own = jobs.DefaultTenant

// yearly is a schedule that does not fire during a test.
func yearly(name string) schedule.Schedule {
	return schedule.Schedule{Name: name, Cron: "0 0 1 6 *", Job: jobs.Value(`{"kind":"own","queue":"q"}`)}
}

func (w *still) put(s schedule.Schedule) func() {
	return func() {
		_, _, err := w.engine.Schedules.Put(w.t.Context(), own, s)
		w.must(err)
	}
}

func (w *still) limit(queue string, n int) func() {
	return func() {
		w.must(w.engine.Queues.Configure(w.t.Context(), own, queue, func(s *jobs.QueueSettings) error { s.Concurrency = n; return nil }))
	}
}

func (w *still) submit(queue string) func() {
	return func() {
		_, err := w.engine.Submit(w.t.Context(), jobs.Spec{Kind: "nobody", Queue: queue})
		w.must(err)
	}
}

// TestSchedulesAreDrawnAgain: the page of schedules is drawn again when one is made, changed,
// fires, is run or deleted, and not on a timer.
func TestSchedulesAreDrawnAgain(t *testing.T) {
	onPage(t, "schedules", "", nil, func(w *still) {
		w.rests("nothing")
		w.changes("one is made", w.put(yearly("s")))
		w.changes("it is changed", func() {
			_, err := w.engine.Schedules.Change(w.t.Context(), own, "s", func(s *schedule.Schedule) { s.Paused = true })
			w.must(err)
		})
		w.changes("it is run", func() { _, err := w.engine.Schedules.Run(w.t.Context(), own, "s"); w.must(err) })
		w.rests("a job without a schedule", w.submit("q"))
		w.rests("another tenant's schedule", func() { _, _, err := w.engine.Schedules.Put(w.t.Context(), "other", yearly("s")); w.must(err) })
		w.changes("it is deleted", func() { w.must(w.engine.Schedules.Delete(w.t.Context(), own, "s")) })
	})
}

// TestScheduleIsDrawnAgain: so is the page of one schedule.
func TestScheduleIsDrawnAgain(t *testing.T) {
	onPage(t, "schedule", "s", func(w *still) { w.put(yearly("s"))() }, func(w *still) {
		w.rests("nothing")
		w.changes("it is paused", func() {
			_, err := w.engine.Schedules.Change(w.t.Context(), own, "s", func(s *schedule.Schedule) { s.Paused = true })
			w.must(err)
		})
		w.changes("it is run", func() { _, err := w.engine.Schedules.Run(w.t.Context(), own, "s"); w.must(err) })
	})
}

// TestScheduleFires: the page is drawn again when a schedule fires, at each tick.
func TestScheduleFires(t *testing.T) {
	hourly := yearly("s")
	hourly.Cron = "30 * * * *"
	onPage(t, "schedules", "", func(w *still) { w.put(hourly)() }, func(w *still) {
		for range 3 {
			if n := w.draws(func() {}); n < 1 || n > 4 {
				w.t.Errorf("the page was drawn %d times around a tick", n)
			}
		}
	})
}

// TestWorkersAreDrawnAgain: the page of workers is drawn again when one registers, is heard from,
// gets a directive, is late and is forgotten, and not on a timer.
func TestWorkersAreDrawnAgain(t *testing.T) {
	onPage(t, "workers", "", nil, func(w *still) {
		w.rests("nothing")
		var id string
		register := func() {
			var err error
			id, err = w.engine.Workers.Register(own, engine.WorkerSpec{Kinds: []string{"k"}, Slots: 1})
			w.must(err)
		}
		soon := func(what string, do func()) {
			w.t.Helper()
			before := w.hub.Stats.Renders.Load()
			do()
			time.Sleep(2 * time.Second)
			if n := w.hub.Stats.Renders.Load() - before; n < 1 || n > 2 {
				w.t.Errorf("%s: the page was drawn %d times within two seconds", what, n)
			}
		}
		soon("one registers", register)
		soon("it is told to be quiet", func() { w.must(w.engine.Workers.SetDirective(own, id, engine.DirectiveQuiet)) })
		soon("it is heard from", func() { _, err := w.engine.Workers.Beat(w.t.Context(), own, id, nil, 0); w.must(err) })
		if n := w.draws(func() {}); n < 2 || n > 4 { // it is late, and then it is gone
			w.t.Errorf("the page was drawn %d times while the worker was silent for an hour", n)
		}
		if left := w.engine.Workers.List(own); len(left) > 0 {
			w.t.Errorf("%d workers are left", len(left))
		}
		w.rests("after that")
		w.changes("one comes and goes", func() { register(); w.must(w.engine.Workers.Unregister(own, id)) })
		w.rests("another tenant's worker", func() {
			other, err := w.engine.Workers.Register("other", engine.WorkerSpec{Kinds: []string{"k"}, Slots: 1})
			w.must(err)
			w.must(w.engine.Workers.Unregister("other", other))
		})
		w.changes("the hub runs a job itself", func() { _, err := w.engine.Submit(w.t.Context(), jobs.Spec{Kind: "own"}); w.must(err) })
	})
}

// TestQueuesAreDrawnAgain: pages of queues are drawn again when settings change.
func TestQueuesAreDrawnAgain(t *testing.T) {
	for page, of := range map[string]string{"queues": "", "queue": "q", "overview": "5m"} {
		t.Run(page, func(t *testing.T) {
			onPage(t, page, of, func(w *still) { w.limit("q", 1)() }, func(w *still) {
				w.rests("nothing")
				w.changes("a limit", w.limit("q", 2))
				w.changes("a pause", func() { w.must(w.engine.Queues.Pause(w.t.Context(), own, "q", "me", "why")) })
			})
		})
	}
}

// TestHubIsDrawnAgain: the page of the hub is drawn again when the log grows, of any tenant, and
// when connections come and go.
func TestHubIsDrawnAgain(t *testing.T) {
	onPage(t, "hub", "", nil, func(w *still) {
		w.rests("nothing")
		w.changes("an event", w.submit("q"))
		w.changes("an event of another tenant", func() {
			_, err := w.engine.Submit(w.t.Context(), jobs.Spec{Kind: "nobody", Tenant: "other"})
			w.must(err)
		})
		w.changes("a watcher", func() {
			c := w.hub.Cursor(func() {})
			c.Subscribe("q", hub.Subscription{Filter: hub.Filter{Tenant: own, All: true}})
			c.Close()
		})
	})
}

// TestRoutesAreDrawnAgain: the page of routes is drawn again when the configuration is replaced or
// can't be read, and when a route has answered.
func TestRoutesAreDrawnAgain(t *testing.T) {
	onPage(t, "routes", "", nil, func(w *still) {
		w.rests("nothing")
		w.changes("another configuration", func() { w.web.ReportConfig(web.ConfigState{File: "jobhub.yaml", LoadedAt: time.Now()}) })
		nowhere := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		w.changes("another table of routes", func() { w.must(w.web.Apply(web.Settings{}, []gateway.Route{{Path: "/api/", Upstream: nowhere}})) })
		w.changes("a request", func() {
			w.web.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodTrace, "http://localhost/api/x", nil))
		})
	})
}

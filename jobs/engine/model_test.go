//go:build !race

// Not under the race detector: its runtime gives up on so many synctest bubbles
// (tsan_rtl.cpp, slot_locked). make test runs it without.

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// The model test drives an engine with random steps and holds it against a small model
// of what workers and callers have seen. Four things must never happen: two live
// leases of one job, a settlement by an old lease, an accepted job that is lost, a change
// that its callbacks are not told of, or twice.

// step is one thing that somebody does; a and b choose among what there is.
type step struct {
	do   string
	a, b int
}

var stepNames = []string{"submit", "submit", "submit", "lease", "lease", "lease", "beat", "complete", "complete", "fail", "snooze", "release", "cancel", "advance", "advance", "restart"}

func TestModel(t *testing.T) {
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.SampledFrom(stepNames).Draw(t, "do"), rapid.IntRange(0, 1<<16).Draw(t, "a"), rapid.IntRange(0, 1<<16).Draw(t, "b")}
	}), 20, 80)
	rapid.Check(t, func(rt *rapid.T) {
		list := steps.Draw(rt, "steps")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		var failures []string
		synctest.Test(t, func(*testing.T) { failures = drive(dir, list) })
		os.RemoveAll(dir)
		if len(failures) > 0 {
			rt.Fatalf("%s", strings.Join(failures, "\n"))
		}
	})
}

// grant is a lease as its worker sees it.
type grant struct {
	token  string
	job    jobs.ID
	until  time.Time // it is good at least until then
	over   bool      // settled, lost, or followed by another
	told   bool      // to cancel: whether it is good depends on its grace
	worker int
}

type model struct {
	dir      string
	store    *sqlite.Store
	engine   *engine.Engine
	workers  []string
	accepted []jobs.Job
	grants   []*grant
	ended    map[jobs.ID]jobs.State
	failures []string
}

const modelLease = 30 * time.Second

func drive(dir string, list []step) []string {
	m := &model{dir: dir, ended: map[jobs.ID]jobs.State{}}
	m.open()
	for i, s := range list {
		m.step(s)
		if synctest.Wait(); len(m.failures) > 0 {
			m.failf("at step %d of %d: %+v", i, len(list), s)
			break
		}
		m.look()
	}
	if len(m.failures) == 0 {
		m.finish()
	}
	m.close()
	return m.failures
}

func (m *model) failf(format string, args ...any) {
	m.failures = append(m.failures, fmt.Sprintf(format, args...))
}

func (m *model) open() {
	var err error
	if m.store, err = sqlite.Open(bg, m.dir, sqlite.Options{}); err != nil {
		panic(err)
	}
	if m.engine, err = engine.Open(bg, engine.Options{Store: m.store, Lease: modelLease, Handlers: map[string]jobs.Handler{jobs.KindWebhook: {Run: deliver}}, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		panic(err)
	}
	m.workers = nil
	for i := range 3 {
		m.workers = append(m.workers, m.register(fmt.Sprint(i)))
	}
}

func (m *model) close() {
	ctx, cancel := context.WithTimeout(bg, time.Second)
	defer cancel()
	m.engine.Close(ctx)
	m.store.Close()
}

func (m *model) step(s step) {
	switch s.do {
	case "submit":
		spec := jobs.Spec{Kind: "k", MaxAttempts: 1 + s.a%3, Backoff: jobs.Backoff{Initial: time.Second, Max: 10 * time.Second}, Priority: s.a % 5}
		switch s.b % 6 {
		case 0:
			spec.Delay = time.Duration(1+s.a%60) * time.Second
		case 1:
			spec.OrderingKey = fmt.Sprint("o", s.a%2)
		case 2:
			spec.FairKey = fmt.Sprint("f", s.a%3)
		case 3:
			spec.FairKey, spec.OrderingKey = fmt.Sprint("f", s.a%2), fmt.Sprint("o", s.a%3)
		case 4:
			if len(m.accepted) > 0 {
				spec.After = []jobs.ID{m.accepted[s.a%len(m.accepted)].ID}
			}
		}
		if (s.a+s.b)%3 == 0 {
			spec.Callbacks = []jobs.Callback{{URL: "https://all.example", Events: modelEvents}, {URL: "https://ends.example"}}
		}
		a, err := m.engine.Submit(bg, spec)
		if err != nil {
			m.failf("submit: %v", err)
			return
		}
		m.accepted = append(m.accepted, a.Job)
	case "lease":
		m.lease(s.a%len(m.workers), 1+s.b%3)
	case "beat":
		if g := m.pick(s.a); g != nil {
			state := m.beat(g)
			if state == engine.LeaseOK && g.over {
				m.failf("beat: the old lease of job %s is good", g.job)
			}
		}
	case "complete", "fail", "snooze", "release":
		if g := m.pick(s.a); g != nil {
			m.settle(g, s.do, time.Duration(s.b%20)*time.Second)
		}
	case "cancel":
		if len(m.accepted) > 0 {
			if _, _, err := m.engine.Cancel(bg, jobs.DefaultTenant, m.accepted[s.a%len(m.accepted)].ID); err != nil {
				m.failf("cancel: %v", err)
			}
		}
	case "advance":
		time.Sleep(time.Duration(s.a%40) * time.Second)
	case "restart":
		m.close()
		m.open()
		for _, g := range m.grants { // every lease that was good gets a fresh period
			if g.over = g.over || (!g.told && !time.Now().Before(g.until)); !g.over && !g.told {
				g.until = time.Now().Add(modelLease)
			}
		}
	}
}

func (m *model) pick(n int) *grant {
	if len(m.grants) == 0 {
		return nil
	}
	return m.grants[n%len(m.grants)]
}

func (m *model) register(name string) string {
	id, err := m.engine.Workers.Register(jobs.DefaultTenant, engine.WorkerSpec{Name: name, Kinds: []string{"k"}, Slots: 100})
	if err != nil {
		panic(err)
	}
	return id
}

func (m *model) lease(worker, most int) int {
	leased, err := m.engine.Workers.Lease(bg, jobs.DefaultTenant, m.workers[worker], most, 0)
	if errors.Is(err, jobs.ErrNotFound) { // silent for too long: it registers again
		m.workers[worker] = m.register("again")
		leased, err = m.engine.Workers.Lease(bg, jobs.DefaultTenant, m.workers[worker], most, 0)
	}
	if err != nil {
		m.failf("lease: %v", err)
		return 0
	}
	for _, g := range m.grants {
		if leased.Leases[g.token] == engine.LeaseCancel {
			g.until, g.told = time.Time{}, true
		}
	}
	for i := range leased.Jobs {
		j := &leased.Jobs[i]
		for _, g := range m.grants {
			if g.job == j.ID && !g.over {
				if time.Now().Before(g.until) && !m.get(j.ID).CancelRequested {
					m.failf("job %s is leased while another lease of it is good for %s", j.ID, time.Until(g.until))
				}
				g.over = true
			}
			if other := m.job(g.job); !g.over && j.OrderingKey != "" && other.OrderingKey == j.OrderingKey && other.ID != j.ID && time.Now().Before(g.until) && m.get(g.job).State == jobs.Running {
				m.failf("two jobs of ordering key %s run at once", j.OrderingKey)
			}
		}
		if m.ended[j.ID] != 0 {
			m.failf("job %s is leased after its end", j.ID)
		}
		m.grants = append(m.grants, &grant{token: engine.Token(j), job: j.ID, until: time.Now().Add(modelLease), worker: worker})
	}
	return len(leased.Jobs)
}

func (m *model) beat(g *grant) engine.LeaseState {
	b, err := m.engine.Workers.Beat(bg, jobs.DefaultTenant, m.workers[g.worker], []string{g.token}, 0)
	if errors.Is(err, jobs.ErrNotFound) {
		m.workers[g.worker] = m.register("again")
		b, err = m.engine.Workers.Beat(bg, jobs.DefaultTenant, m.workers[g.worker], []string{g.token}, 0)
	}
	if err != nil {
		m.failf("beat: %v", err)
		return engine.LeaseLost
	}
	switch b.Leases[g.token] {
	case engine.LeaseOK:
		g.until = time.Now().Add(modelLease)
	case engine.LeaseCancel:
		g.until, g.told = time.Time{}, true
	}
	return b.Leases[g.token]
}

func (m *model) settle(g *grant, verb string, d time.Duration) {
	good := !g.over && time.Now().Before(g.until)
	before := m.get(g.job)
	var err error
	switch verb {
	case "complete":
		_, _, err = m.engine.Workers.Complete(bg, jobs.DefaultTenant, g.token, jobs.Value(`1`))
	case "fail":
		_, _, err = m.engine.Workers.Fail(bg, jobs.DefaultTenant, g.token, &jobs.Failure{Problem: jobs.NewProblem("no", "No", "no")})
	case "snooze":
		_, _, err = m.engine.Workers.Snooze(bg, jobs.DefaultTenant, g.token, d)
	case "release":
		_, _, err = m.engine.Workers.Release(bg, jobs.DefaultTenant, g.token, nil)
	}
	after := m.get(g.job)
	switch {
	case err != nil && !errors.Is(err, jobs.ErrLeaseLost) && !errors.Is(err, jobs.ErrConflict):
		m.failf("%s: %v", verb, err)
	case err != nil && good:
		m.failf("%s: a good lease of job %s got %v; the job is %s", verb, g.job, err, before.State)
	case g.over && after.Version != before.Version:
		m.failf("%s: an old lease changed job %s from %s to %s", verb, g.job, before.State, after.State)
	case err != nil && after.Version != before.Version:
		m.failf("%s: refused with %v, and changed job %s", verb, err, g.job)
	}
	g.over = true
}

func (m *model) job(id jobs.ID) jobs.Job {
	for _, j := range m.accepted {
		if j.ID == id {
			return j
		}
	}
	return jobs.Job{}
}

func (m *model) get(id jobs.ID) jobs.Job {
	j, _, err := m.store.Job(bg, jobs.DefaultTenant, id)
	if err != nil {
		m.failf("the accepted job %s: %v", id, err)
	}
	return j
}

// look checks that final states stay as they are.
func (m *model) look() {
	for _, j := range m.accepted {
		now := m.get(j.ID)
		if old := m.ended[j.ID]; old != 0 && now.State != old {
			m.failf("job %s ended as %s and is %s", j.ID, old, now.State)
		}
		if now.State.Final() {
			m.ended[j.ID] = now.State
		}
	}
}

// finish runs all jobs: none may be left.
func (m *model) finish() {
	for range 500 {
		open := 0
		for _, j := range m.accepted {
			if !m.get(j.ID).State.Final() {
				open++
			}
		}
		if open == 0 {
			break
		}
		if len(m.failures) > 0 {
			return
		}
		for m.lease(0, 50) > 0 {
		}
		for _, g := range m.grants {
			if !g.over {
				m.settle(g, "complete", 0)
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
	m.look()
	for _, j := range m.accepted {
		if m.ended[j.ID] == 0 {
			now := m.get(j.ID)
			m.failf("job %s (ordering key %q, fair key %q) is lost: %s since version %d, attempt %d", j.ID, j.OrderingKey, j.FairKey, now.State, now.Version, now.Attempt)
		}
		m.told(j)
	}
}

var modelEvents = []string{"job.scheduled", "job.queued", "job.started", "job.retrying", "job.waiting", "job.cancel_requested", "job.succeeded", "job.failed", "job.cancelled"}

// told checks that each state change of a job was told once, and each end where only that
// was asked for.
func (m *model) told(j jobs.Job) {
	var want, got []string
	if len(j.Callbacks) > 0 {
		events, err := m.store.Read(bg, jobs.ReadQuery{Job: j.ID})
		if err != nil {
			m.failf("the events of job %s: %v", j.ID, err)
		}
		for _, e := range events {
			if e.Type.Lasting() {
				want = append(want, fmt.Sprint(e.Seq, " https://all.example"))
			}
			if e.Type >= jobs.JobSucceeded {
				want = append(want, fmt.Sprint(e.Seq, " https://ends.example"))
			}
		}
	}
	page, err := m.store.List(bg, jobs.Filter{Tenant: jobs.DefaultTenant, Parent: j.ID, Limit: 1000})
	if err != nil {
		m.failf("the deliveries of job %s: %v", j.ID, err)
	}
	for _, d := range page.Jobs {
		var in struct {
			Body struct{ Data struct{ Seq uint64 } }
		}
		if err := json.Unmarshal(m.get(d.ID).Input, &in); err != nil {
			m.failf("delivery %s: %v", d.ID, err)
		}
		got = append(got, fmt.Sprint(in.Body.Data.Seq, " ", d.Callbacks[0].URL))
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		m.failf("of job %s was told %v, want %v", j.ID, got, want)
	}
}

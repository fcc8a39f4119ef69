package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

// Several workers wait for jobs of one kind, each for a tenant or queue of its own: a
// job wakes the one that may have it, not merely the one that came first.
func TestJobsFindTheWorkerOfTheirTenantAndQueue(t *testing.T) {
	for name, ready := range map[string]func(w *world, s jobs.Spec){
		"new": func(w *world, s jobs.Spec) { w.submit(s) },
		"behind another job": func(w *world, s jobs.Spec) {
			first := s
			first.Kind = "first"
			parent := w.submit(first)
			s.After = []jobs.ID{parent.ID}
			w.submit(s)
			id := registered(w, w.engine, s.Tenant, engine.WorkerSpec{Kinds: []string{"first"}, Slots: 1})
			l, err := w.engine.Workers.Lease(bg, s.Tenant, id, 1, time.Second)
			if err != nil || len(l.Jobs) != 1 {
				w.Fatal(l, err)
			}
			if _, _, err := w.engine.Workers.Complete(bg, s.Tenant, engine.Token(&l.Jobs[0]), nil); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(handlers{}, 1)
				defer w.close(time.Second)
				places := []jobs.QueueName{{Tenant: "a", Name: "x"}, {Tenant: "a", Name: "y"}, {Tenant: "b", Name: "x"}, {Tenant: "b", Name: "y"}}
				got := make(chan string, len(places))
				for _, p := range places {
					id := registered(w, w.engine, p.Tenant, engine.WorkerSpec{Kinds: []string{"k"}, Queues: []string{p.Name}, Slots: 1})
					go func() {
						l, err := w.engine.Workers.Lease(bg, p.Tenant, id, 1, time.Hour)
						if len(l.Jobs) != 1 || l.Jobs[0].Tenant != p.Tenant || l.Jobs[0].Queue != p.Name {
							t.Errorf("the worker of %v got %v, %v", p, l.Jobs, err)
						}
						got <- words(p)
					}()
					synctest.Wait() // its poll waits, after the others
				}
				for i := range places {
					p := places[len(places)-1-i]
					ready(w, jobs.Spec{Tenant: p.Tenant, Queue: p.Name, Kind: "k"})
					synctest.Wait()
					select {
					case who := <-got:
						w.expect("taken by", who, words(p))
					default:
						t.Fatalf("nobody took the job of %v", p)
					}
				}
			})
		})
	}
}

// Whoever knows the lease of another tenant's job can neither ask for nor change anything.
func TestLeasesOfAnotherTenant(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		mine := w.register(1, "k")
		w.submit(jobs.Spec{Kind: "k"})
		j := w.leaseOne(mine)
		token := engine.Token(j)
		if _, _, err := w.engine.Cancel(bg, jobs.DefaultTenant, j.ID); err != nil {
			t.Fatal(err)
		}
		theirs := registered(w, w.engine, "other", engine.WorkerSpec{Kinds: []string{"k"}, Slots: 1})
		b, err := w.engine.Workers.Beat(bg, "other", theirs, []string{token}, 0)
		w.expect("the state of a foreign lease", words(b.Leases[token], err), "lost <nil>")
		time.Sleep(2 * jobs.CancelGrace) // which has not begun: its worker does not know yet
		w.expect("the state of its own", w.beat(mine, 0, token).Leases[token], engine.LeaseCancel)
		if _, _, err := w.engine.Workers.Complete(bg, "other", token, nil); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("completing a foreign lease: %v", err)
		}
		if _, _, err := w.engine.Workers.Report(bg, "other", token, nil); !errors.Is(err, jobs.ErrLeaseLost) {
			t.Errorf("reporting on a foreign lease: %v", err)
		}
		if err := w.complete(token); err != nil {
			t.Error(err)
		}
		for _, err := range []error{w.engine.Workers.SetDirective("other", mine, engine.DirectiveQuiet), w.engine.Workers.Unregister("other", mine), w.engine.Workers.SetDirective(jobs.DefaultTenant, "wk_x", engine.DirectiveQuiet)} {
			p, ok := errors.AsType[*jobs.Problem](err)
			if !ok || p.Code != jobs.NotFound || p.Title != "Unknown worker" {
				t.Errorf("a foreign worker: %v", err)
			}
		}
	})
}

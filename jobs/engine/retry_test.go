package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/commit"
)

func (w *world) retry(id jobs.ID, again engine.RetryOptions) engine.Accepted {
	w.Helper()
	a, err := w.engine.Retry(context.Background(), jobs.DefaultTenant, id, again)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

var failing = jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) {
	return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("broken", "Broken", "on purpose"), Never: true}
}}

// TestRetryIsOne: a job has one retry, however often and by however many it is asked for.
func TestRetryIsOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": failing}, 1)
		defer func() { w.close(0) }()
		old := w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		var made, found atomic.Int64
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if w.retry(old.ID, engine.RetryOptions{}).Existing {
					found.Add(1)
				} else {
					made.Add(1)
				}
			})
		}
		all.Wait()
		w.expect("made and found", words(made.Load(), found.Load()), "1 49")
		first := w.retry(old.ID, engine.RetryOptions{}).Job
		w.expect("they name each other", words(first.RetryOf, w.get(old.ID).RetriedBy), words(old.ID, first.ID))
		w.expect("the old one's story", w.story(old.ID), "queued started failed changed")
		w.expect("the old one's state and version", words(w.get(old.ID).State, w.get(old.ID).Version), "failed 4")

		w.close(0)
		w.open(handlers{"k": failing}, 1)
		if a := w.retry(old.ID, engine.RetryOptions{}); !a.Existing || a.Job.ID != first.ID {
			t.Errorf("after a restart: %+v", a)
		}
		again := w.retry(old.ID, engine.RetryOptions{Force: true})
		if again.Existing || again.Job.ID == first.ID || w.get(old.ID).RetriedBy != again.Job.ID {
			t.Errorf("once more: %+v", again)
		}
		// Another input is another retry; the same one is not.
		edited := w.retry(old.ID, engine.RetryOptions{Input: jobs.Value(`{"page":2}`)})
		twin := w.retry(old.ID, engine.RetryOptions{Input: jobs.Value(`{ "page" : 2 }`)})
		other := w.retry(old.ID, engine.RetryOptions{Input: jobs.Value(`{"page":3}`)})
		w.expect("with an input", words(edited.Existing, twin.Existing, twin.Job.ID == edited.Job.ID, other.Existing), "false true true false")
		if a := w.retry(old.ID, engine.RetryOptions{}); a.Job.ID != other.Job.ID {
			t.Errorf("as it was: %+v", a)
		}
		// A retry that is no longer kept is none.
		w.await(other.Job.ID)
		if err := w.engine.Delete(context.Background(), jobs.DefaultTenant, other.Job.ID); err != nil {
			t.Fatal(err)
		}
		if a := w.retry(old.ID, engine.RetryOptions{}); a.Existing {
			t.Errorf("after its retry was deleted: %+v", a)
		}
	})
}

// TestBulkRetryTwice: the second one finds nothing to do.
func TestBulkRetryTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": failing}, 4)
		defer w.close(0)
		for range 20 {
			w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		}
		retry := engine.Bulk{Action: engine.RetryAll, Filter: jobs.Filter{Tenant: jobs.DefaultTenant, Kind: "k"}}
		w.bulk(retry)
		synctest.Wait()
		w.engine.Handle("k", jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }})
		n, err := w.engine.Count(context.Background(), retry)
		w.expect("a dry run then", words(n, err), "20 <nil>") // the retries, which failed
		spec, _ := retry.Spec()
		w.await(w.submit(spec).ID)
		synctest.Wait()
		n, err = w.engine.Count(context.Background(), retry)
		w.expect("a dry run at last", words(n, err), "0 <nil>")
		job := w.await(w.submit(spec).ID)
		w.expect("once more", string(job.Result), `{"count":40,"done":0,"skipped":40}`)
		w.expect("jobs", w.count(jobs.Filter{Kind: "k"}), 60)
	})
}

// TestBulkDeleteAndRun.
func TestBulkDeleteAndRun(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 4)
		defer w.close(0)
		for range 30 {
			w.submit(jobs.Spec{Kind: "k", Delay: time.Hour})
			w.submit(jobs.Spec{Kind: "nobody"})
		}
		w.bulk(engine.Bulk{Action: engine.RunAll})
		synctest.Wait()
		w.expect("have run", w.count(jobs.Filter{States: []jobs.State{jobs.Succeeded}, Kind: "k"}), 30)
		w.bulk(engine.Bulk{Action: engine.DeleteAll, Filter: jobs.Filter{Kind: "k"}})
		w.expect("are left", words(w.count(jobs.Filter{Kind: "k"}), w.count(jobs.Filter{Kind: "nobody"})), "0 30")
		w.expect("counters", w.counts("default"), "queued 30 ")
		if _, err := (engine.Bulk{Action: engine.RunAll, Filter: jobs.Filter{States: []jobs.State{jobs.Failed}}}).Spec(); err == nil {
			t.Error("a bulk action RunAll accepts failed jobs")
		}
	})
}

// chain is a failed job p, and b and c, d after both, which were cancelled because of it.
func (w *world) chain() (p, b, c, d jobs.ID) {
	p = w.submit(jobs.Spec{Kind: "p"}).ID
	b = w.submit(jobs.Spec{Kind: "k", After: []jobs.ID{p}, Input: jobs.Value(`"b"`)}).ID
	c = w.submit(jobs.Spec{Kind: "k", After: []jobs.ID{p}, Input: jobs.Value(`"c"`)}).ID
	d = w.submit(jobs.Spec{Kind: "k", After: []jobs.ID{b, c}, Input: jobs.Value(`"d"`)}).ID
	w.await(d)
	w.expect("cancelled because of their parent", words(w.get(b).Reason, w.get(c).Reason, w.get(d).Reason), "parent parent parent")
	return p, b, c, d
}

// TestRetryBringsDependentsAlong: those that were cancelled only because of the job, in their
// order, once.
func TestRetryBringsDependentsAlong(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		var order []string
		w.open(handlers{"p": failing, "k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			mu.Lock()
			order = append(order, strings.Trim(string(run.Job().Input), `"`))
			mu.Unlock()
			return jobs.Result{}, nil
		}}}, 4)
		defer func() { w.close(0) }()
		p, b, _, d := w.chain()
		w.close(0)
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			order = append(order, strings.Trim(string(run.Job().Input), `"`))
			return jobs.Result{}, nil
		}}}, 1) // after a restart they are known still
		w.retry(p, engine.RetryOptions{Caller: "me"})
		w.retry(p, engine.RetryOptions{})
		synctest.Wait()
		anew := w.get(w.get(d).RetriedBy)
		w.expect("while the parent's retry waits", words(anew.State, anew.RetryOf == d, anew.Caller, len(order)), "waiting true me 0")
		w.engine.Handle("p", jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }})
		synctest.Wait()
		if len(order) != 3 || order[2] != "d" {
			t.Errorf("they ran in the order %v", order)
		}
		if a := w.retry(b, engine.RetryOptions{}); !a.Existing {
			t.Errorf("a retry of a dependent: %+v", a)
		}
		w.expect("succeeded", w.count(jobs.Filter{States: []jobs.State{jobs.Succeeded}}), 4)
	})
}

// TestRetryOfADependent waits for the retry of what it waited for, if there is one.
func TestRetryOfADependent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"p": failing}, 4)
		defer w.close(0)
		p, q := w.submit(jobs.Spec{Kind: "p"}).ID, w.submit(jobs.Spec{Kind: "p"}).ID
		both := w.submit(jobs.Spec{Kind: "nobody", After: []jobs.ID{p, q}}).ID
		w.await(both)
		synctest.Wait()
		alone := w.retry(both, engine.RetryOptions{}).Job
		w.expect("by itself", alone.State, jobs.Queued)
		other := w.submit(jobs.Spec{Kind: "nobody", After: []jobs.ID{p, q}}).ID
		w.await(other)
		w.engine.Handle("p", jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			<-make(chan struct{})
			return jobs.Result{}, nil
		}})
		_ = w.engine.Queues.Pause(context.Background(), jobs.DefaultTenant, "default", "", "")
		w.retry(p, engine.RetryOptions{})
		w.expect("q has failed still", w.get(other).RetriedBy, jobs.ID{})
		w.retry(q, engine.RetryOptions{})
		w.expect("both have a retry", w.get(w.get(other).RetriedBy).State, jobs.Waiting)
		again := w.retry(both, engine.RetryOptions{Force: true}).Job
		w.expect("once more", again.State, jobs.Waiting)
	})
}

// TestBulkRetryOfDependents: they do not run before what they wait for.
func TestBulkRetryOfDependents(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"p": failing}, 4)
		defer w.close(0)
		_, _, _, d := w.chain()
		w.bulk(engine.Bulk{Action: engine.RetryAll})
		synctest.Wait()
		if j := w.get(w.get(d).RetriedBy); j.Reason != jobs.ByDependency { // the parent's retry failed again
			t.Errorf("%s %s", j.State, j.Reason)
		}
		w.expect("jobs", w.count(jobs.Filter{})-w.count(jobs.Filter{Kind: "bulk"}), 8)
	})
}

// TestUnique: which inputs are the same, which jobs count, and what becomes of the others.
func TestUnique(t *testing.T) {
	unique := func(w *world, spec, body string) (engine.Accepted, error) {
		s, err := jobs.DecodeSpec([]byte(`{"kind":"k",` + spec + `,"unique":` + body + `}`))
		if err != nil {
			w.Fatal(err)
		}
		return w.engine.Submit(context.Background(), s)
	}
	for name, test := range map[string]struct {
		first, second, unique string
		same                  bool
	}{
		"the same":                      {`"input":1`, `"input":1`, `{}`, true},
		"white space and order":         {`"input":{"a":1,"b":[1,2]}`, `"input":{ "b":[1, 2] ,"a":1}`, `{}`, true},
		"nested order":                  {`"input":[{"a":{"y":1,"x":2}}]`, `"input":[{"a":{"x":2,"y":1}}]`, `{}`, true},
		"escapes":                       {`"input":"\u00e9\/"`, `"input":"é/"`, `{}`, true},
		"order of a list":               {`"input":[1,2]`, `"input":[2,1]`, `{}`, false},
		"many digits":                   {`"input":12345678901234567890`, `"input":12345678901234567891`, `{}`, false},
		"digits of a fraction":          {`"input":1.10`, `"input":1.1`, `{}`, false},
		"a number and a text":           {`"input":1`, `"input":"1"`, `{}`, false},
		"another queue":                 {`"input":1,"queue":"a"`, `"input":1,"queue":"b"`, `{}`, false},
		"another queue, by kind":        {`"input":1,"queue":"a"`, `"input":2,"queue":"b"`, `{"by":["kind"]}`, true},
		"another fair key":              {`"fair_key":"a"`, `"fair_key":"b"`, `{"by":["kind","fair_key"]}`, false},
		"the same fair key":             {`"input":1,"fair_key":"a"`, `"input":2,"fair_key":"a"`, `{"by":["fair_key","kind"]}`, true},
		"no input and the one it means": {`"priority":1`, `"input":{}`, `{}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(nil, 0)
				defer w.close(0)
				a, err := unique(w, test.first, test.unique)
				if err != nil || a.Existing {
					t.Fatal(a.Existing, err)
				}
				b, err := unique(w, test.second, test.unique)
				if err != nil || b.Existing != test.same || test.same && b.Job.ID != a.Job.ID {
					t.Errorf("the second one is there already: %v, %v", b.Existing, err)
				}
			})
		})
	}
	t.Run("how long", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 1)
			defer func() { w.close(0) }()
			submit := func(want bool, body string) {
				t.Helper()
				a, err := unique(w, `"input":0`, body)
				if err != nil || a.Existing != want {
					t.Errorf("%s: there already: %v, %v", body, a.Existing, err)
				}
				synctest.Wait()
			}
			submit(false, `{}`)
			submit(false, `{}`) // the first has ended
			submit(true, `{"while":"kept"}`)
			time.Sleep(time.Hour)
			submit(false, `{"while":"kept","within":"1h"}`)
			submit(true, `{"while":"kept","within":"1h"}`)
			w.close(0)
			w.open(nil, 0)
			submit(true, `{"while":"kept","within":"1h"}`)
			submit(false, `{}`)
			time.Sleep(time.Hour)
			submit(true, `{}`)
			submit(false, `{"within":"1h"}`)
		})
	})
	t.Run("refuse and replace", func(t *testing.T) {
		inWorld(t, func(w *world) {
			stop := make(chan struct{})
			w.open(nil, 0)
			defer w.close(0)
			if err := w.engine.Queues.Configure(context.Background(), jobs.DefaultTenant, "default", func(s *jobs.QueueSettings) error { s.Capacity = 1; return nil }); err != nil {
				t.Fatal(err)
			}
			a, _ := unique(w, `"input":0`, `{}`)
			if _, err := unique(w, `"input":0`, `{"conflict":"refuse"}`); !conflict(err) || !strings.Contains(err.Error(), a.Job.ID.String()) {
				t.Errorf("refused with %v", err)
			}
			b, err := unique(w, `"input":0`, `{"conflict":"replace"}`) // the queue is full, but one place becomes free
			if err != nil || w.get(a.Job.ID).State != jobs.Cancelled || w.get(a.Job.ID).Reason != jobs.ByUser {
				t.Fatalf("replaced: %v, %s", err, w.get(a.Job.ID).State)
			}
			w.engine.Handle("k", jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { <-stop; return jobs.Result{}, nil }})
			synctest.Wait()
			if _, err := unique(w, `"input":0`, `{"conflict":"replace"}`); !conflict(err) || w.get(b.Job.ID).CancelRequested {
				t.Errorf("one that runs is not replaced: %v", err)
			}
			close(stop)
			synctest.Wait()
			w.expect("counters", w.counts("default"), "succeeded 1 cancelled 1 ")
			// A retry repeats a job that is kept; it is unique among those that are unfinished.
			kept, err := unique(w, `"input":9`, `{"while":"kept"}`)
			synctest.Wait()
			if err != nil || w.retry(kept.Job.ID, engine.RetryOptions{}).Existing {
				t.Errorf("a retry of what is kept: %v", err)
			}
		})
	})
	t.Run("moved", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.open(nil, 0)
			defer w.close(0)
			a, _ := unique(w, `"input":0,"queue":"a"`, `{}`)
			unique(w, `"input":0,"queue":"b"`, `{}`)
			if _, err := w.edit(a.Job.ID, `{"queue":"b"}`); !conflict(err) {
				t.Errorf("into the queue of its like: %v", err)
			}
			if _, err := w.edit(a.Job.ID, `{"queue":"c"}`); err != nil {
				t.Error(err)
			}
			if b, err := unique(w, `"input":0,"queue":"c"`, `{}`); err != nil || b.Job.ID != a.Job.ID {
				t.Errorf("like it, in its new queue: %v, %v", b.Job.ID, err)
			}
			if b, err := unique(w, `"input":0,"queue":"a"`, `{}`); err != nil || b.Existing {
				t.Errorf("like it, in its old queue: %v", err)
			}
		})
	})
}

// TestUniqueAtOnce: a hundred submissions at once make one job, also in one commit.
func TestUniqueAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		var made atomic.Int64
		var all sync.WaitGroup
		for _, group := range []*commit.Group{nil, commit.NewGroup(100)} {
			spec, err := jobs.DecodeSpec(fmt.Appendf(nil, `{"kind":"k","input":%v,"unique":{}}`, group == nil))
			if err != nil {
				t.Fatal(err)
			}
			made.Store(0)
			for range 100 {
				all.Go(func() {
					ctx := context.Background()
					if group != nil {
						var leave func()
						ctx, leave = group.Join(ctx)
						defer leave()
					}
					if a, err := w.engine.Submit(ctx, spec); err != nil {
						t.Error(err)
					} else if !a.Existing {
						made.Add(1)
					}
				})
			}
			all.Wait()
			w.expect("made", made.Load(), 1)
		}
		w.expect("jobs", w.count(jobs.Filter{}), 2)
	})
}

// TestUniqueRefused: what unique does not take.
func TestUniqueRefused(t *testing.T) {
	for body, pointer := range map[string]string{
		`{"by":[]}`: "/unique/by", `{"by":["kind","kind"]}`: "/unique/by/1", `{"by":["tags"]}`: "/unique/by/0", `{"while":"running"}`: "/unique/while",
		`{"conflict":"drop"}`: "/unique/conflict", `{"within":"0s"}`: "/unique/within", `{"within":"an hour"}`: "/unique/within", `{"key":"x"}`: "/unique/key",
	} {
		_, err := jobs.DecodeSpec([]byte(`{"kind":"k","unique":` + body + `}`))
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
			t.Errorf("%s: %v", body, err)
		}
	}
}

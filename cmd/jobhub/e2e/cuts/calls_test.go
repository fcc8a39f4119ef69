package cuts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/schedule"
	"jobhub/jobs/sqlite"
)

// cutCall is a call that changes something.
type cutCall struct {
	name    string
	polls   bool // it waits for its client's sake: one that has left gets nothing
	prepare func(c *cuts, name string) cutCase
}

// cutCase is one such call, about something that no other case touches.
type cutCase struct {
	method, path, body string
	headers            []string
	changed            func(*sqlite.Store) bool // whether it had its effect
	passing            bool                     // the effect does not last
	judge              func(*cutAnswer) error   // instead of changed
	wait               func()                   // until the hub has done what is to be done for a client that has left; may be nil
}

var cutCalls = []cutCall{
	{"submit", false, func(_ *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/jobs", body: `{"kind":"nobody","tags":["` + name + `"]}`, changed: tagged(name, 1)}
	}},
	{"submit with a key", false, func(_ *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/jobs", body: `{"kind":"nobody","tags":["` + name + `"]}`, headers: []string{"Idempotency-Key: " + name}, changed: tagged(name, 1)}
	}},
	{"submit and wait", false, func(_ *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/jobs", body: `{"kind":"echo","tags":["` + name + `"]}`, headers: []string{"Prefer: wait=20"}, changed: tagged(name, 1)}
	}},
	{"batch", false, prepareBatch},
	{"batch later", false, func(_ *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/batch?async=true", body: batchOf(name), changed: with(name, jobs.Filter{Kind: "batch"})}
	}},
	{"retry", false, func(c *cuts, name string) cutCase {
		id := c.submit(jobs.Spec{Kind: "nobody", Tags: []string{name}})
		if _, _, err := c.engine.Cancel(context.Background(), jobs.DefaultTenant, id); err != nil {
			panic(err)
		}
		return cutCase{method: "POST", path: "/v1/jobs/" + id.String() + "/retry", changed: tagged(name, 2)}
	}},
	{"cancel", false, func(c *cuts, name string) cutCase { return prepareCancel(c, "POST", "/cancel") }},
	{"cancel by DELETE", false, func(c *cuts, name string) cutCase { return prepareCancel(c, "DELETE", "") }},
	{"bulk", false, func(c *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/jobs:bulk", body: `{"action":"cancel","filter":{"tag":"` + name + `"}}`, changed: with(name, jobs.Filter{Kind: "bulk"})}
	}},
	{"limits", false, func(c *cuts, name string) cutCase {
		return cutCase{method: "PATCH", path: "/v1/queues/" + name, body: `{"capacity":7}`, changed: queue(name, func(s jobs.QueueSettings) bool { return s.Capacity == 7 })}
	}},
	{"pause", false, func(c *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/v1/queues/" + name + "/pause", changed: queue(name, func(s jobs.QueueSettings) bool { return s.Paused != nil })}
	}},
	{"resume", false, func(c *cuts, name string) cutCase {
		if err := c.engine.Queues.Pause(context.Background(), jobs.DefaultTenant, name, "test", ""); err != nil {
			panic(err)
		}
		return cutCase{method: "POST", path: "/v1/queues/" + name + "/resume", changed: queue(name, func(s jobs.QueueSettings) bool { return s.Paused == nil })}
	}},
	{"schedule", false, func(c *cuts, name string) cutCase {
		return cutCase{method: "PUT", path: "/v1/schedules/" + name, body: `{"cron":"0 0 1 1 *","job":{"kind":"nobody"}}`, changed: scheduled(name)}
	}},
	{"delete a schedule", false, func(c *cuts, name string) cutCase {
		if _, _, err := c.engine.Schedules.Put(context.Background(), jobs.DefaultTenant, schedule.Schedule{Name: name, Cron: "0 0 1 1 *", Job: jobs.Value(`{"kind":"nobody"}`)}); err != nil {
			panic(err)
		}
		there := scheduled(name)
		return cutCase{method: "DELETE", path: "/v1/schedules/" + name, changed: func(s *sqlite.Store) bool { return !there(s) }}
	}},
	{"lease", true, prepareLease},
	{"events", false, func(c *cuts, name string) cutCase {
		job := c.lease(name)
		return cutCase{method: "POST", path: "/v1/leases/" + engine.Token(&job) + "/events", body: `{"n":1,"type":"progress","percent":50}` + "\n" + `{"n":2,"type":"output","text":"` + name + `"}`,
			changed: func(s *sqlite.Store) bool {
				events, err := s.Read(context.Background(), jobs.ReadQuery{Job: job.ID})
				if err != nil {
					panic(err)
				}
				text := ""
				for _, e := range events {
					text += string(e.Data)
				}
				return strings.Contains(text, `"text":"`+name+`"`)
			}}
	}},
	{"complete", false, settles("complete", `{"result":1}`)},
	{"fail", false, settles("fail", `{"error":{"title":"no"}}`)},
	{"snooze", false, settles("snooze", `{"delay":"1h"}`)},
	{"release", false, settles("release", `{"checkpoint":1}`)},
	{"route later", false, func(_ *cuts, name string) cutCase {
		return cutCase{method: "POST", path: "/api/" + name + "?async=true", body: `{}`, changed: with(name, jobs.Filter{Queue: "routed"})}
	}},
}

func list(s *sqlite.Store, f jobs.Filter) []jobs.Job {
	f.Limit = 1000
	page, err := s.List(context.Background(), f)
	if err != nil {
		panic(err)
	}
	return page.Jobs
}

// tagged reports whether there are n jobs with a tag.
func tagged(name string, n int) func(*sqlite.Store) bool {
	return func(s *sqlite.Store) bool { return len(list(s, jobs.Filter{Tag: name})) == n }
}

// with reports whether there is a job with a text in its input.
func with(text string, f jobs.Filter) func(*sqlite.Store) bool {
	return func(s *sqlite.Store) bool {
		for before := uint64(1 << 62); before > 0; {
			f.Before, f.Limit = before, 1000
			page, err := s.List(context.Background(), f)
			if err != nil {
				panic(err)
			}
			for _, j := range page.Jobs {
				if strings.Contains(string(j.Input), `/`+text) || strings.Contains(string(j.Input), `"`+text) {
					return true
				}
			}
			before = page.Next
		}
		return false
	}
}

func queue(name string, is func(jobs.QueueSettings) bool) func(*sqlite.Store) bool {
	return func(s *sqlite.Store) bool {
		queues, _, err := s.Queues(context.Background(), jobs.DefaultTenant)
		if err != nil {
			panic(err)
		}
		for _, q := range queues {
			if q.Name == name {
				return is(q.Settings)
			}
		}
		return false
	}
}

func scheduled(name string) func(*sqlite.Store) bool {
	return func(s *sqlite.Store) bool {
		all, err := s.Documents(context.Background(), jobs.DefaultTenant, "schedule")
		if err != nil {
			panic(err)
		}
		for _, d := range all {
			if d.Name == name {
				return true
			}
		}
		return false
	}
}

func get(s *sqlite.Store, id jobs.ID) jobs.Job {
	job, _, err := s.Job(context.Background(), jobs.DefaultTenant, id)
	if err != nil {
		panic(err)
	}
	return job
}

func (c *cuts) submit(s jobs.Spec) jobs.ID {
	accepted, err := c.engine.Submit(context.Background(), s)
	if err != nil {
		panic(err)
	}
	return accepted.Job.ID
}

// lease gives a new job to a worker.
func (c *cuts) lease(kind string) jobs.Job {
	c.submit(jobs.Spec{Kind: kind})
	worker, err := c.engine.Workers.Register(jobs.DefaultTenant, engine.WorkerSpec{Kinds: []string{kind}, Slots: 1})
	if err != nil {
		panic(err)
	}
	leased, err := c.engine.Workers.Lease(context.Background(), jobs.DefaultTenant, worker, 1, time.Minute)
	if err != nil || len(leased.Jobs) != 1 {
		panic(fmt.Sprint(leased, err))
	}
	return leased.Jobs[0]
}

func prepareCancel(c *cuts, method, verb string) cutCase {
	id := c.submit(jobs.Spec{Kind: "nobody"})
	return cutCase{method: method, path: "/v1/jobs/" + id.String() + verb, changed: func(s *sqlite.Store) bool { return get(s, id).State == jobs.Cancelled }}
}

// settles is a call that ends an attempt.
func settles(verb, body string) func(*cuts, string) cutCase {
	return func(c *cuts, name string) cutCase {
		job := c.lease(name)
		return cutCase{method: "POST", path: "/v1/leases/" + engine.Token(&job) + "/" + verb, body: body,
			changed: func(s *sqlite.Store) bool { return get(s, job.ID).Settled == job.Lease+" "+verb }}
	}
}

// batchOf is a batch of three submissions, the last of which waits for the first.
func batchOf(name string) string {
	item := func(id, more string) string {
		return fmt.Sprintf(`{"id":%q,"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["%s-%s"]}%s}`, id, name, id, more)
	}
	return `{"requests":[` + item("a", "") + "," + item("b", "") + "," + item("c", `,"depends_on":["a"]`) + `]}`
}

func prepareBatch(c *cuts, name string) cutCase {
	return cutCase{method: "POST", path: "/batch", body: batchOf(name), judge: func(a *cutAnswer) error {
		stored := func(id string) bool { return tagged(name+"-"+id, 1)(c.store.Store) }
		if a.refused() {
			if stored("a") || stored("b") || stored("c") {
				return errors.New("it says that nothing was done")
			}
			return nil
		}
		var out struct {
			Responses []*struct {
				ID     string
				Status int
			}
		}
		if err := json.Unmarshal([]byte(a.body), &out, json.MatchCaseInsensitiveNames(true)); err != nil || len(out.Responses) != 3 {
			return fmt.Errorf("it is no answer to the batch: %v", err)
		}
		for _, r := range out.Responses {
			switch {
			case r == nil:
				return errors.New("an item has no answer")
			case r.Status == 202 && !stored(r.ID):
				return fmt.Errorf("%s is accepted and not stored", r.ID)
			case (r.Status/100 == 4 || r.Status == 503) && stored(r.ID):
				return fmt.Errorf("%s is refused and stored", r.ID)
			case r.Status/100 != 2:
				continue
			}
		}
		return nil
	}}
}

// prepareLease: a job is with the client that hears of it, and with nobody else.
func prepareLease(c *cuts, name string) cutCase {
	id := c.submit(jobs.Spec{Kind: name})
	worker, err := c.engine.Workers.Register(jobs.DefaultTenant, engine.WorkerSpec{Kinds: []string{name}, Slots: 1})
	if err != nil {
		panic(err)
	}
	running := func() bool { return get(c.store.Store, id).State == jobs.Running }
	wait := func() {
		ctx, cancel := context.WithTimeout(context.Background(), trial.Patience)
		defer cancel()
		for {
			head := c.store.Head().Seq
			if !running() {
				return
			}
			if err := c.store.Wait(ctx, head); err != nil {
				panic("the job " + id.String() + " stays with a worker that has left")
			}
		}
	}
	return cutCase{method: "POST", path: "/v1/workers/" + worker + "/lease", body: `{"wait":"5s"}`, wait: wait, judge: func(a *cutAnswer) error {
		if a.status == 200 && strings.Contains(a.body, id.String()) {
			if !running() {
				return errors.New("the job is not leased")
			}
			return nil
		}
		wait()
		return nil
	}}
}

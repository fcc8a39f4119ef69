package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/web"
)

// BenchmarkDraw is what a rendering of a live view costs, of which there are ten a second
// while a page is watched: with 100,000 jobs in 200 queues, of which a third wait for a
// worker that is not there, 20 failures a queue in the last minutes, 1,000 schedules,
// and 50 workers of other queues.
//
//	overview   after an event
//	jobs       the table of all jobs, after an event of its newest
//	jobs look  the same when it asks which jobs there are, once a second
//	ids look   the same of 500 jobs that are named
func BenchmarkDraw(b *testing.B) {
	w := start(b)
	fill(b, w, 100_000, 200)
	for i := range 1000 {
		w.do("PUT", fmt.Sprintf("/v1/schedules/s%d", i), `{"cron":"@yearly","job":{"kind":"nobody"}}`).want(201)
	}
	w.deliver(200)
	for i := range 50 {
		w.do("POST", "/v1/workers", fmt.Sprintf(`{"name":"w%d","kinds":["report"],"queues":["other"],"slots":4}`, i)).want(200)
	}
	draw := func(b *testing.B, view string, last func(memory any) any) {
		out, err := web.Render(w.Server, b.Context(), view, nil)
		if err != nil {
			b.Fatal(err)
		}
		memory := out.Memory
		b.ReportAllocs()
		for b.Loop() {
			if out, err = web.Render(w.Server, b.Context(), view, last(memory)); err != nil {
				b.Fatal(err)
			}
		}
	}
	page, err := w.store.List(b.Context(), jobs.Filter{Tenant: jobs.DefaultTenant, Limit: 500})
	if err != nil {
		b.Fatal(err)
	}
	var ids []string
	for _, j := range page.Jobs {
		ids = append(ids, j.ID.String())
	}
	same := func(memory any) any { return memory }
	for _, bench := range []struct {
		name, view string
		last       func(any) any
	}{
		{"overview", "overview", same},
		{"wall", "wall", same},
		{"queues", "queues", same},
		{"callbacks", "callbacks", same},
		{"jobs", "jobs:", same},
		{"jobs look", "jobs:", func(any) any { return nil }},
		{"failed look", "jobs:state=failed", func(any) any { return nil }},
		{"ids look", "jobs:id=" + strings.Join(ids, ","), func(any) any { return nil }},
	} {
		b.Run(bench.name, func(b *testing.B) { draw(b, bench.view, bench.last) })
	}
}

// deliver has unfinished jobs of each of which a delivery was refused for good.
func (w *world) deliver(n int) {
	w.t.Helper()
	hooks := []jobs.Callback{{URL: "https://example.com/hook", Disabled: true}}
	for range n {
		parent, err := uuid.NewV7()
		if err != nil {
			w.t.Fatal(err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			w.t.Fatal(err)
		}
		now := time.Now().Truncate(time.Millisecond)
		of := jobs.Job{ID: parent, Tenant: jobs.DefaultTenant, Kind: "report", Queue: "told", State: jobs.Queued, Input: jobs.Value(`{}`), Callbacks: hooks, CreatedAt: now}
		told := jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: jobs.KindWebhook, Queue: jobs.CallbackQueue, State: jobs.Failed, Reason: jobs.Rejected, Parent: parent,
			Input: jobs.Value(`{}`), Callbacks: hooks, CreatedAt: now, FinishedAt: now}
		batch := &jobs.Batch{Now: now, Changes: []*jobs.Change{
			{Job: of, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued"}`)}},
			{Job: told, Event: jobs.Event{Type: jobs.JobFailed, Data: jobs.Value(`{"state":"failed"}`)}}}}
		if err := w.store.Commit(w.t.Context(), batch); err != nil {
			w.t.Fatal(err)
		}
	}
}

// fill puts jobs into a store as they are after a long day.
func fill(b *testing.B, w *world, n, queues int) {
	b.Helper()
	ended := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	accepted := ended.Add(-time.Hour)
	states := []jobs.State{jobs.Queued, jobs.Succeeded, jobs.Succeeded}
	for at := 0; at < n; at += 1000 {
		batch := &jobs.Batch{Now: accepted}
		for i := at; i < min(at+1000, n); i++ {
			id, err := uuid.NewV7()
			if err != nil {
				b.Fatal(err)
			}
			c := &jobs.Change{Job: jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: "report", Queue: fmt.Sprintf("queue-%03d", i%queues), State: states[i/queues%len(states)],
				Input: jobs.Value(`{"url":"https://example.com/api/items/4711","note":"what a small job is given"}`), Attempt: 1, MaxAttempts: 5, Backoff: jobs.DefaultBackoff, Timeout: jobs.DefaultTimeout,
				CreatedAt: accepted}, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued"}`)}}
			if i >= n-100 { // the newest are on their way
				c.Job.State = jobs.Queued
			}
			if j := &c.Job; j.State.Final() {
				j.StartedAt, j.FinishedAt, c.Event.Type = accepted, ended, jobs.JobSucceeded
				if i >= n-queues*20 {
					j.State, j.Reason, c.Event.Type = jobs.Failed, jobs.Exhausted, jobs.JobFailed
					j.Error = &jobs.Problem{Title: "Upstream failed", Detail: "it answered 500", Status: 500, Code: "upstream"}
				}
			}
			batch.Changes = append(batch.Changes, c)
		}
		if at+1000 >= n {
			batch.Now = ended
		}
		if err := w.store.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		for _, c := range batch.Changes {
			if c.Err != nil {
				b.Fatal(c.Err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := w.hub.WaitFor(ctx, w.store.Head().Seq); err != nil {
		b.Fatal(err)
	}
}

package web_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
)

// countedReads is a store that counts reads and how much they gave.
type countedReads struct {
	jobs.Store
	reads, most, all atomic.Int64
}

func (s *countedReads) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	events, err := s.Store.Read(ctx, q)
	if q.Job != (jobs.ID{}) {
		size := int64(0)
		for _, e := range events {
			size += int64(e.Size())
		}
		s.reads.Add(1)
		s.all.Add(size)
		s.most.Store(max(s.most.Load(), size))
	}
	return events, err
}

// chatty puts a job into the log that wrote so many lines, 60 KiB an event.
func (w *world) chatty(lines int) string {
	w.t.Helper()
	id, now := jobs.ID(uuid.Must(uuid.NewV7())), time.Now()
	job := jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: "nobody", Queue: "chatty", State: jobs.Queued, Input: jobs.Value(`1`), MaxAttempts: 1, CreatedAt: now, WakeAt: now}
	changes := []*jobs.Change{{Job: job, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}}
	commit := func() {
		if err := w.store.Commit(w.t.Context(), &jobs.Batch{Now: now, Changes: changes}); err != nil {
			w.t.Fatal(err)
		}
		for _, c := range changes {
			if c.Err != nil {
				w.t.Fatal(c.Err)
			}
		}
		changes = nil
	}
	inserted := changes[0]
	commit()
	job = inserted.Job
	pad := strings.Repeat("x", 1000)
	for n := 1; n <= lines; {
		var b strings.Builder
		for b.Len() < 60<<10 && n <= lines {
			fmt.Fprintf(&b, `line %d %s\n`, n, pad)
			n++
		}
		changes = append(changes, &jobs.Change{Job: job, If: jobs.Condition{State: jobs.Queued}, Event: jobs.Event{Type: jobs.JobOutput, Data: jobs.Value(`{"attempt":1,"stream":"stdout","text":"` + b.String() + `"}`)}})
		if len(changes) == 20 {
			commit()
		}
	}
	if len(changes) > 0 {
		commit()
	}
	return id.String()
}

// A job's output is read piece by piece, each piece once, for a page further back as for
// the whole; what is no longer kept is left out.
func TestLongOutputIsReadInPieces(t *testing.T) {
	const lines = 20_000 // 20 MB
	var store *countedReads
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.wrap = func(s jobs.Store) jobs.Store { store = &countedReads{Store: s}; return store }
	})
	id := w.chatty(lines)
	for path, want := range map[string][]string{
		"/jobs/" + id + "/output":     {"line 1 x", fmt.Sprintf("\nline %d x", lines), "line 777 x"},
		"/jobs/" + id + "?lines=1000": {"line 501 x", "line 1000 x", "!line 1001 x", "!line 500 x", "?lines=500"},
		"/jobs/" + id:                 {fmt.Sprintf("line %d x", lines), "?lines="},
	} {
		store.reads.Store(0)
		store.most.Store(0)
		store.all.Store(0)
		w.do("GET", path, "").want(200).shows(want...)
		if most, all := store.most.Load(), store.all.Load(); most > 2<<20 || all > lines*1100 {
			t.Errorf("%s reads up to %d bytes at once, %d in all, in %d reads", path, most, all, store.reads.Load())
		}
	}
	if _, err := w.store.Trim(t.Context(), jobs.Trim{Seq: 100}); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/jobs/"+id+"/output", "").want(200).shows("!line 1 x", fmt.Sprintf("\nline %d x", lines))
	w.do("GET", "/jobs/"+id, "").want(200).shows("older events are no longer kept")
	w.do("GET", "/jobs/0197f0a2-5c1e-7000-8000-000000a44f09/output", "").want(404).has("Content-Type", "text/html; charset=utf-8")
}

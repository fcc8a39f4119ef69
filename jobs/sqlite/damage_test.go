package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite/folder"
)

// damagedStore holds jobs, numbered in their inputs, of which some stand on a damaged
// page: that of the job in the middle. Every third is due instead of ready.
func damagedStore(t *testing.T, n int) (s *Store, log *lockedBuffer, ids []jobs.ID) {
	dir := filepath.Join(t.TempDir(), "data")
	s, _ = opened(t, dir)
	all := &jobs.Batch{Now: time.Now()}
	for i := range n {
		id, _ := uuid.NewV7()
		j := jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "q", State: jobs.Queued, Tags: []string{"t"}, CreatedAt: time.Now().Truncate(time.Millisecond), MaxAttempts: 1, Timeout: time.Minute,
			Retention: time.Hour, Input: jobs.Value(fmt.Sprintf(`"number %04d"`, i))}
		e := jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}
		if i%3 == 2 {
			j.State, j.WakeAt, j.ScheduledAt, e.Type = jobs.Scheduled, time.Now(), time.Now(), jobs.JobScheduled
		}
		all.Changes = append(all.Changes, &jobs.Change{Job: j, Event: e})
		ids = append(ids, id)
	}
	check(t, s.Commit(t.Context(), all))
	stop(t, s)
	path := filepath.Join(dir, folder.DatabaseFile)
	content, err := os.ReadFile(path)
	check(t, err)
	marker := fmt.Appendf(nil, `"number %04d"`, n/2)
	for { // pages that are no longer used may hold it, too
		at := bytes.Index(content, marker)
		if at < 0 {
			break
		}
		content[at+3] ^= 1
	}
	check(t, os.WriteFile(path, content, 0o600))
	log = new(lockedBuffer)
	s, err = Open(t.Context(), dir, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s, log, ids
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// damagedOf are the jobs that cannot be read.
func damagedOf(t *testing.T, s *Store, ids []jobs.ID) map[jobs.ID]bool {
	damaged := map[jobs.ID]bool{}
	for _, id := range ids {
		_, _, err := s.Job(t.Context(), "default", id)
		if damaged[id] = errors.Is(err, jobs.ErrDamaged); !damaged[id] && err != nil {
			t.Fatal(err)
		}
		if !damaged[id] {
			delete(damaged, id)
		}
	}
	if len(damaged) == 0 || len(damaged) > len(ids)/10 {
		t.Fatalf("%d of %d jobs are damaged", len(damaged), len(ids))
	}
	return damaged
}

// TestDamageCostsOnlyWhatIsDamaged: lists, timers, claims and changes leave out what is
// damaged and do all else. A row that grows may need the page beside its own, so changes
// of some neighbours are refused, too.
func TestDamageCostsOnlyWhatIsDamaged(t *testing.T) {
	s, log, ids := damagedStore(t, 600)
	damaged := damagedOf(t, s, ids)
	due := 0
	for i, id := range ids {
		if i%3 == 2 && !damaged[id] {
			due++
		}
	}
	page, err := s.List(t.Context(), jobs.Filter{Due: time.Now(), Limit: 1000})
	if err != nil || len(page.Jobs) != due {
		t.Errorf("%d jobs are due, want %d: %v", len(page.Jobs), due, err)
	}
	for name, f := range map[string]jobs.Filter{"all": {}, "tag": {Tag: "t"}, "text": {Text: "number"}, "ids": {IDs: ids}, "states": {States: []jobs.State{jobs.Queued, jobs.Scheduled}}} {
		for _, f.Limit = range []int{100, 1000} {
			listed := map[jobs.ID]bool{}
			for f.Before = 0; ; {
				page, err := s.List(t.Context(), f)
				check(t, err)
				for _, j := range page.Jobs {
					if listed[j.ID] {
						t.Errorf("%s: twice %s", name, j.Input)
					}
					listed[j.ID] = true
				}
				if f.Before = page.Next; page.Next == 0 {
					break
				}
			}
			if len(listed) != len(ids)-len(damaged) {
				t.Errorf("%s in pages of %d: %d jobs, want %d", name, f.Limit, len(listed), len(ids)-len(damaged))
			}
		}
	}
	// One batch touches all.
	b := &jobs.Batch{Now: time.Now()}
	for i, id := range ids {
		if i%3 == 2 {
			b.Changes = append(b.Changes, &jobs.Change{Job: jobs.Job{ID: id, N: uint64(i + 1), Tenant: "default", Queue: "q", Kind: "k", State: jobs.Cancelled}, If: jobs.Condition{State: jobs.Scheduled}, Fields: jobs.FieldState,
				Event: jobs.Event{Type: jobs.JobCancelled}})
		}
	}
	fresh, _ := uuid.NewV7()
	b.Changes = append(b.Changes, &jobs.Change{Job: jobs.Job{ID: fresh, Tenant: "default", Kind: "other", Queue: "q2", State: jobs.Queued, CreatedAt: time.Now()}, Event: jobs.Event{Type: jobs.JobQueued}})
	claim := &jobs.Claim{Kinds: []string{"k", "other"}, Leases: strings.Fields(strings.Repeat("lease ", 700))}
	b.Claims = []*jobs.Claim{claim}
	check(t, s.Commit(t.Context(), b))
	neighbours := 4 * len(damaged)
	changed := 0
	for i, c := range b.Changes {
		switch {
		case c.Err == nil && !damaged[c.Job.ID]:
			changed++
		case !errors.Is(c.Err, jobs.ErrDamaged):
			t.Errorf("change %d of a job that is damaged %v: %v", i, damaged[c.Job.ID], c.Err)
		}
	}
	if changed < due+1-neighbours || b.Changes[len(b.Changes)-1].Err != nil {
		t.Errorf("%d changes were stored, of %d", changed, due+1)
	}
	claimed := map[jobs.ID]bool{}
	for _, j := range claim.Jobs {
		claimed[j.ID] = true
	}
	ready := 1
	for i, id := range ids {
		if i%3 != 2 && !damaged[id] {
			ready++
		}
	}
	if len(claimed) < ready-neighbours || len(claimed) > ready || !claimed[fresh] {
		t.Errorf("%d jobs were claimed, of %d", len(claimed), ready)
	}
	queues, pos, err := s.Queues(t.Context(), "default")
	check(t, err)
	if q := queues[0].Counts; len(queues) != 2 || int(q[jobs.Running]) != len(claimed)-1 || int(q[jobs.Cancelled]) != changed-1 || int(q[jobs.Running]+q[jobs.Cancelled]+q[jobs.Queued]+q[jobs.Scheduled]) != len(ids) {
		t.Errorf("counters %v", queues)
	}
	events, err := s.Read(t.Context(), jobs.ReadQuery{After: uint64(len(ids)), MaxBytes: 1 << 30})
	if want := changed + len(claimed); err != nil || int(pos.Seq) != len(ids)+want || len(events) != want {
		t.Errorf("%d events up to %v, want %d, %v", len(events), pos, want, err)
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > 10*len(damaged)+10 {
		t.Errorf("%d lines of log:\n%s", n, log)
	}
}

// TestEngineOnDamagedStore: an engine runs all jobs but those that are damaged, and rests.
func TestEngineOnDamagedStore(t *testing.T) {
	s, log, ids := damagedStore(t, 600)
	damaged := damagedOf(t, s, ids)
	counted := &countingStore{Store: s}
	e, err := engine.Open(t.Context(), engine.Options{Store: counted, Logger: slog.New(slog.NewTextHandler(log, nil)), Handlers: map[string]jobs.Handler{
		"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}})
	check(t, err)
	for {
		head := s.Head().Seq
		page, err := s.List(t.Context(), jobs.Filter{States: []jobs.State{jobs.Succeeded}, Limit: len(ids)})
		check(t, err)
		if len(page.Jobs) >= len(ids)-5*len(damaged) {
			break
		}
		check(t, s.Wait(t.Context(), head))
	}
	if a, err := e.Submit(t.Context(), jobs.Spec{Tenant: "default", Kind: "k", Queue: "q"}); err != nil {
		t.Errorf("a new job: %v", err)
	} else if j, err := e.Wait(t.Context(), "default", a.Job.ID); err != nil || j.State != jobs.Succeeded {
		t.Errorf("a new job is %v: %v", j.State, err)
	}
	for id := range damaged {
		if _, _, err := e.Cancel(t.Context(), "default", id); !errors.Is(err, jobs.ErrDamaged) {
			t.Errorf("cancelling a damaged job: %v", err)
		}
	}
	if err := e.Err(); err != nil {
		t.Errorf("the engine failed: %v", err)
	}
	check(t, e.Close(t.Context()))
	if counted.commits > 6*len(ids)+100 {
		t.Errorf("%d commits for %d jobs", counted.commits, len(ids))
	}
}

type countingStore struct {
	jobs.Store
	commits int
}

func (s *countingStore) Commit(ctx context.Context, b *jobs.Batch) error {
	s.commits++
	return s.Store.Commit(ctx, b)
}

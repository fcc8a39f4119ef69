package sqlite

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
)

// BenchmarkCycle is what 256 jobs cost the store from their submission to their end, in
// four commits.
func BenchmarkCycle(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	commit := func(batch *jobs.Batch) {
		batch.Now = time.Now()
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		submit := &jobs.Batch{}
		claim := &jobs.Claim{Kinds: []string{"k"}}
		for n := range 256 {
			id, _ := uuid.NewV7()
			j := jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "q", State: jobs.Queued, CreatedAt: time.Now(), MaxAttempts: 1, Input: jobs.Value(fmt.Sprintf(`{"n":%d,"text":"some input of a usual size"}`, n))}
			submit.Changes = append(submit.Changes, &jobs.Change{Job: j, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued"}`)}})
			claim.Leases = append(claim.Leases, fmt.Sprint("lease-", i, "-", n))
		}
		commit(submit)
		commit(&jobs.Batch{Claims: []*jobs.Claim{claim}})
		progress, finish := &jobs.Batch{}, &jobs.Batch{}
		for _, j := range claim.Jobs {
			j.Progress = &jobs.Progress{Message: "half"}
			progress.Changes = append(progress.Changes, &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldProgress, Event: jobs.Event{Type: jobs.JobProgress, Data: jobs.Value(`{"message":"half"}`)}})
			j.State, j.FinishedAt, j.Result = jobs.Succeeded, time.Now(), jobs.Value(`{"ok":true}`)
			finish.Changes = append(finish.Changes, &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldState | jobs.FieldFinished | jobs.FieldResult, Event: jobs.Event{Type: jobs.JobSucceeded, Data: jobs.Value(`{"state":"succeeded"}`)}})
		}
		if len(claim.Jobs) != 256 {
			b.Fatalf("%d jobs", len(claim.Jobs))
		}
		commit(progress)
		commit(finish)
	}
	b.ReportMetric(float64(256*b.N)/b.Elapsed().Seconds(), "cycles/s")
}

// BenchmarkJob is one job read by its id while the pages are in the WAL, and after they
// were moved into the database.
func BenchmarkJob(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var ids []jobs.ID
	for range 20 {
		submit := &jobs.Batch{Now: time.Now()}
		for range 256 {
			id, _ := uuid.NewV7()
			ids = append(ids, id)
			j := jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "q", State: jobs.Queued, CreatedAt: time.Now(), MaxAttempts: 1, Input: jobs.Value(`{"text":"some input of a usual size"}`)}
			submit.Changes = append(submit.Changes, &jobs.Change{Job: j, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued"}`)}})
		}
		if err := s.Commit(b.Context(), submit); err != nil {
			b.Fatal(err)
		}
	}
	last := jobs.Job{ID: ids[0], Tenant: "default", Kind: "other", Queue: "q", State: jobs.Queued, CreatedAt: time.Now()}
	for i := 0; b.Loop(); i++ {
		b.StopTimer() // a commit has SQLite drop the pages that it holds in memory
		last.ID, _ = uuid.NewV7()
		if err := s.Commit(b.Context(), &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{{Job: last, Event: jobs.Event{Type: jobs.JobQueued}}}}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, _, err := s.Job(b.Context(), "default", ids[i*7919%len(ids)]); err != nil {
			b.Fatal(err)
		}
	}
}

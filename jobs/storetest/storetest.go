// Package storetest checks that a jobs.Store keeps its promises. The test of each store runs
// all checks:
//
//	for _, c := range storetest.Checks {
//		t.Run(c.Name, func(t *testing.T) { c.Run(t, harness(t)) })
//	}
//
// The checks themselves are tested too: each of the stores in broken.go breaks one
// promise, and TestChecksCatch proves that a check notices.
package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
)

// T is the part of *testing.T that the checks use.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Harness lets a check open one store repeatedly.
type Harness struct {
	// Open opens the store, after the one before was closed or abandoned by Crash.
	Open func() jobs.Store
	// Crash abandons the open store as a killed process does, and opens the store again.
	Crash func() jobs.Store
	// Rewind runs change, closes the store that it returns, restores the database from before
	// the change, as from a backup, and opens it.
	Rewind func(change func() jobs.Store) jobs.Store
}

// Check is one promise of a store, tested.
type Check struct {
	Name string
	Run  func(t T, h Harness)
}

// Checks lists all checks.
var Checks = []Check{
	{"Insert", checkInsert},
	{"CompareAndSet", checkCompareAndSet},
	{"Claim", checkClaim},
	{"Key", checkKey},
	{"Due", checkDue},
	{"List", checkList},
	{"Search", checkSearch},
	{"Documents", checkDocuments},
	{"PartialResult", checkPartialResult},
	{"Counters", checkCounters},
	{"OrderOfEvents", checkOrderOfEvents},
	{"CountersUnderLoad", checkCountersUnderLoad},
	{"EventsOfOneJob", checkEventsOfOneJob},
	{"Edges", checkEdges},
	{"Trim", checkTrim},
	{"Crash", checkCrash},
	{"Epoch", checkEpoch},
	{"OrderingKey", checkOrderingKey},
	{"FairKeys", checkFairKeys},
	{"PerKey", checkPerKey},
	{"Concurrency", checkConcurrency},
	{"Capacity", checkCapacity},
	{"Pause", checkPause},
	{"After", checkAfter},
	{"Retention", checkRetention},
	{"Peers", checkPeers},
	{"RetryMark", checkRetry},
	{"Move", checkMove},
	{"Delete", checkDelete},
	{"Retained", checkRetained},
	{"Follow", checkFollow},
	{"Callbacks", checkCallbacks},
	{"Partial", checkPartial},
	{"Start", checkStart},
	{"Share", checkShare},
	{"Closed", checkClosed},
	{"Payload", checkPayload},
}

// epochStart is an arbitrary time with millisecond precision.
var epochStart = time.UnixMilli(1_800_000_000_000)

// newJob is an insertion of a queued job.
func newJob(edit ...func(*jobs.Change)) *jobs.Change {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	c := &jobs.Change{Job: jobs.Job{ID: id, Tenant: "default", Kind: "k", Queue: "q", State: jobs.Queued, Input: jobs.Value(`{"n":1}`), MaxAttempts: 3,
		Backoff: jobs.DefaultBackoff, Timeout: time.Minute, CreatedAt: epochStart},
		Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued"}`)}}
	for _, e := range edit {
		e(c)
	}
	return c
}

func scheduled(at time.Time) func(*jobs.Change) {
	return func(c *jobs.Change) {
		c.Job.State, c.Job.ScheduledAt, c.Job.WakeAt = jobs.Scheduled, at, at
		c.Event.Type = jobs.JobScheduled
	}
}

// finish is the end of a claimed job.
func finish(j jobs.Job, result string) *jobs.Change {
	c := &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldState | jobs.FieldLease | jobs.FieldResult | jobs.FieldFinished,
		Event: jobs.Event{Type: jobs.JobSucceeded, Data: jobs.Value(`{"state":"succeeded"}`)}}
	c.Job.State, c.Job.Lease, c.Job.Result, c.Job.FinishedAt = jobs.Succeeded, "", jobs.Value(result), epochStart.Add(time.Second)
	return c
}

// progress is a report of a claimed job.
func progress(j jobs.Job, percent float64) *jobs.Change {
	c := &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldProgress, Event: jobs.Event{Type: jobs.JobProgress, Data: jobs.Value(`{}`)}}
	c.Job.Progress = &jobs.Progress{Percent: &percent}
	return c
}

func commit(t T, s jobs.Store, changes ...*jobs.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Changes: changes}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// must is commit, but fails the test unless every change applies.
func must(t T, s jobs.Store, changes ...*jobs.Change) {
	t.Helper()
	commit(t, s, changes...)
	for i, c := range changes {
		if c.Err != nil {
			t.Fatalf("change %d (%s): %v", i, c.Event.Type, c.Err)
		}
	}
}

func claim(t T, s jobs.Store, kinds []string, leases ...string) []jobs.Job {
	t.Helper()
	c := &jobs.Claim{Kinds: slices.Sorted(slices.Values(kinds)), Leases: leases}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{c}}); err != nil {
		t.Fatalf("claiming: %v", err)
	}
	return c.Jobs
}

func get(t T, s jobs.Store, id jobs.ID) jobs.Job {
	t.Helper()
	j, _, err := s.Job(t.Context(), "default", id)
	if err != nil {
		t.Fatalf("Job: %v", err)
	}
	return j
}

// readAll reads the log from a position to its end.
func readAll(t T, s jobs.Store, after uint64) (events []*jobs.Event) {
	t.Helper()
	for {
		got, err := s.Read(t.Context(), jobs.ReadQuery{After: after, MaxBytes: 2000})
		if err != nil {
			t.Fatalf("Read after %d: %v", after, err)
		}
		if len(got) == 0 {
			return events
		}
		for _, e := range got {
			if e.Seq != after+1 {
				t.Fatalf("Read gave event %d where %d follows", e.Seq, after+1)
			}
			after = e.Seq
		}
		events = append(events, got...)
	}
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

func checkEventsOfOneJob(t T, h Harness) {
	s := h.Open()
	a, b := newJob(func(c *jobs.Change) { c.Job.Tags = []string{"x", "y"} }), newJob()
	must(t, s, a, b)
	run := claim(t, s, []string{"k"}, "l1", "l2")
	must(t, s, progress(run[0], 1), progress(run[1], 2))
	must(t, s, finish(run[1], `2`), finish(run[0], `1`))
	for _, crash := range []bool{false, true} {
		if crash {
			s = h.Crash()
		}
		for after, want := range map[uint64]string{
			0: "job.queued@1<0 v1, job.started@3<1 v2, job.progress@5<3 v2, job.succeeded@8<5 v3",
			3: "job.progress@5<3 v2, job.succeeded@8<5 v3",
			8: "",
		} {
			events, err := s.Read(t.Context(), jobs.ReadQuery{After: after, Job: a.Job.ID})
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			var got []string
			for _, e := range events {
				got = append(got, fmt.Sprintf("%s@%d<%d v%d", e.Type, e.Seq, e.Prev, e.Version))
				if e.Job != a.Job.ID || e.Queue != "q" || e.Kind != "k" || e.Tenant != "default" || !slices.Equal(e.Tags, []string{"x", "y"}) || !e.At.Equal(epochStart) {
					t.Errorf("event %+v", e)
				}
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("events after %d: %s\nwant %s", after, strings.Join(got, ", "), want)
			}
		}
	}
	for _, walk := range []*jobs.Walk{nil, {}} {
		if _, err := s.Read(t.Context(), jobs.ReadQuery{Job: jobs.ID{9}, Walk: walk}); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("events of an unknown job: %v", err)
		}
	}
	chatty := newJob()
	must(t, s, chatty)
	started := claim(t, s, []string{"k"}, "l3")
	must(t, s, progress(started[0], 1))
	want := []uint64{9, 10, 11}
	for size, pieces := range map[int]int{1: 3, 1 << 20: 1, 0: 1} {
		var got []uint64
		reads := 0
		q := jobs.ReadQuery{Job: chatty.Job.ID, MaxBytes: size, Walk: new(jobs.Walk)}
		for ; reads < 10; reads++ {
			events, err := s.Read(t.Context(), q)
			if err != nil {
				t.Fatalf("Read: %v", err)
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				got = append(got, e.Seq)
			}
			q.After = got[len(got)-1]
			must(t, s, newJob())
		}
		if reads != pieces || !slices.Equal(got, want) || !slices.Equal(q.Walk.Seqs, want) || q.Walk.Trimmed {
			t.Errorf("in pieces of %d bytes: %v in %d reads, %+v", size, got, reads, *q.Walk)
		}
	}
}

// checkOrderOfEvents follows the log while it grows: there must never be a gap.
func checkOrderOfEvents(t T, h Harness) {
	s := h.Open()
	const batches, each = 60, 5
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	followed := make(chan error, 1)
	go func() {
		var seq uint64
		for seq < batches*each {
			if err := s.Wait(ctx, seq); err != nil {
				followed <- fmt.Errorf("waiting after %d: %w", seq, err)
				return
			}
			events, err := s.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 600})
			if err != nil || len(events) == 0 {
				followed <- fmt.Errorf("after Wait, Read after %d gave %d events: %v", seq, len(events), err)
				return
			}
			for _, e := range events {
				if e.Seq != seq+1 {
					followed <- fmt.Errorf("event %d became visible before event %d", e.Seq, seq+1)
					return
				}
				seq = e.Seq
			}
		}
		followed <- nil
	}()
	for range batches {
		var changes []*jobs.Change
		for range each {
			changes = append(changes, newJob())
		}
		must(t, s, changes...)
	}
	if err := <-followed; err != nil {
		t.Errorf("%v", err)
	}
}

func checkTrim(t T, h Harness) {
	s := h.Open()
	first := newJob()
	must(t, s, first)
	for range 9 {
		must(t, s, newJob())
	}
	if _, err := s.Trim(t.Context(), jobs.Trim{Seq: 4}); err != nil {
		t.Fatalf("Trim: %v", err)
	}
	expect := func() {
		t.Helper()
		for after := range uint64(4) {
			if events, err := s.Read(t.Context(), jobs.ReadQuery{After: after}); !errors.Is(err, jobs.ErrTrimmed) {
				t.Errorf("Read after %d, which is trimmed: %d events, %v", after, len(events), err)
			}
		}
		if events, err := s.Read(t.Context(), jobs.ReadQuery{Job: first.Job.ID}); !errors.Is(err, jobs.ErrTrimmed) {
			t.Errorf("events of a job that are trimmed: %d, %v", len(events), err)
		}
		var walk jobs.Walk
		if events, err := s.Read(t.Context(), jobs.ReadQuery{Job: first.Job.ID, Walk: &walk}); err != nil || len(events) != 0 || !walk.Trimmed {
			t.Errorf("the remaining events of that job: %d, %v, %+v", len(events), err, walk)
		}
		if n := len(readAll(t, s, 4)); n != 6 {
			t.Errorf("%d events are left, want 6", n)
		}
	}
	expect()
	s = h.Crash()
	expect()
	if _, err := s.Trim(t.Context(), jobs.Trim{Seq: 1000}); err != nil {
		t.Fatalf("Trim: %v", err)
	}
	if head := s.Head(); head.Seq != 10 {
		t.Errorf("trimming moved the head to %v", head)
	}
	must(t, s, newJob())
	if n := len(readAll(t, s, 10)); n != 1 {
		t.Errorf("after trimming all, a new event is read as %d", n)
	}
}

func checkEpoch(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob())
	before := s.Head()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	s = h.Open()
	if s.Head() != before {
		t.Errorf("head %v after opening again, was %v", s.Head(), before)
	}
	must(t, s, newJob())
	s = h.Rewind(func() jobs.Store {
		must(t, s, newJob(), newJob()) // events that were read, and that the backup does not have
		return s
	})
	if head := s.Head(); head.Seq != 2 {
		t.Fatalf("the harness did not rewind: head %v", head)
	}
	if s.Head().Epoch == before.Epoch {
		t.Errorf("events that were read are lost, and the epoch is still %s", before.Epoch)
	}
}

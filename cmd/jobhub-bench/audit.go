package main

import (
	"context"
	"errors"
	"fmt"

	"jobhub/jobs"
	"jobhub/jobs/sqlite"
)

// This file opens stores again after a measurement and checks their contents.

// expectStored returns an error unless the store in a folder holds n queued jobs, and one
// event of acceptance for each.
func expectStored(ctx context.Context, folder string, n int) error {
	found, err := audit(ctx, folder)
	if err != nil {
		return err
	}
	if found.states[jobs.Queued] != n || len(found.jobs) != n {
		return fmt.Errorf("%d jobs were accepted, but the reopened store holds %d, %d of them queued", n, len(found.jobs), found.states[jobs.Queued])
	}
	for id, t := range found.jobs {
		if t.events[jobs.JobQueued] != 1 {
			return fmt.Errorf("job %s has %d events of its acceptance in the log", id, t.events[jobs.JobQueued])
		}
	}
	return nil
}

// tally counts the events of one job in the log.
type tally struct {
	state  jobs.State
	events [jobs.QueueResumed + 1]int // by type
	last   uint64                     // seq of its newest event
}

// finished returns an error unless the log has exactly one whole cycle of the job: accepted,
// started, two reports of progress, succeeded.
func (t *tally) finished() error {
	e := &t.events
	sum := 0
	for _, n := range e {
		sum += n
	}
	if t.state != jobs.Succeeded || e[jobs.JobQueued] != 1 || e[jobs.JobStarted] != 1 || e[jobs.JobSucceeded] != 1 || e[jobs.JobProgress] != 2 || sum != 5 {
		return fmt.Errorf("is %s with %d events: %d queued, %d started, %d progress, %d succeeded", t.state, sum, e[jobs.JobQueued], e[jobs.JobStarted], e[jobs.JobProgress], e[jobs.JobSucceeded])
	}
	return nil
}

// found holds the contents of a store.
type found struct {
	jobs   map[jobs.ID]*tally
	states [jobs.Cancelled + 1]int
	events int
}

// audit opens the store in a folder and reads all of it: every page of the list, and the log
// from its beginning. It returns an error if the two disagree.
func audit(ctx context.Context, folder string) (_ *found, err error) {
	store, err := sqlite.Open(ctx, folder, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("reopening the store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	f := &found{jobs: map[jobs.ID]*tally{}}
	newest := map[jobs.ID]uint64{}
	for before, more := uint64(0), true; more; {
		page, err := store.List(ctx, jobs.Filter{Before: before, Limit: 500})
		if err != nil {
			return nil, fmt.Errorf("listing the reopened store: %w", err)
		}
		for i := range page.Jobs {
			j := &page.Jobs[i]
			if f.jobs[j.ID] != nil {
				return nil, fmt.Errorf("job %s is in the list twice", j.ID)
			}
			f.jobs[j.ID] = &tally{state: j.State}
			f.states[j.State]++
			newest[j.ID] = j.Seq
		}
		before, more = page.Next, page.Next > 0
	}
	return f, errors.Join(f.readLog(ctx, store), f.compare(newest))
}

// readLog counts the events of each job.
func (f *found) readLog(ctx context.Context, store jobs.Store) error {
	for at, head := uint64(0), store.Head().Seq; at < head; {
		events, err := store.Read(ctx, jobs.ReadQuery{After: at})
		if err != nil {
			return fmt.Errorf("reading the log of the reopened store after %d: %w", at, err)
		}
		for _, e := range events {
			t := f.jobs[e.Job]
			switch {
			case e.Seq != at+1:
				return fmt.Errorf("the log continues with event %d after %d", e.Seq, at)
			case t == nil:
				return fmt.Errorf("event %d is of job %s, which is not in the list", e.Seq, e.Job)
			case e.Prev != t.last:
				return fmt.Errorf("event %d names %d as the job's event before, but that was %d", e.Seq, e.Prev, t.last)
			}
			t.events[e.Type]++
			t.last, at = e.Seq, e.Seq
			f.events++
		}
	}
	return nil
}

func (f *found) compare(newest map[jobs.ID]uint64) error {
	for id, seq := range newest {
		if last := f.jobs[id].last; last != seq {
			return fmt.Errorf("job %s names %d as its newest event, the log %d", id, seq, last)
		}
	}
	return nil
}

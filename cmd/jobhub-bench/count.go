package main

import (
	"context"
	"sync"
	"time"

	"jobhub/jobs"
)

// countingStore wraps a store and counts its commits.
type countingStore struct {
	jobs.Store

	mu  sync.Mutex // protects sum
	sum storeCounts
}

type storeCounts struct {
	commits, changes int // changes with the jobs that claims got
	spent            time.Duration
}

func (s *countingStore) Commit(ctx context.Context, b *jobs.Batch) error {
	start := time.Now()
	err := s.Store.Commit(ctx, b)
	took := time.Since(start)
	n := len(b.Changes)
	for _, c := range b.Claims {
		n += len(c.Jobs)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.commits++
	s.sum.changes += n
	s.sum.spent += took
	return err
}

func (s *countingStore) counts() storeCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sum
}

func (c storeCounts) less(before storeCounts) storeCounts {
	return storeCounts{c.commits - before.commits, c.changes - before.changes, c.spent - before.spent}
}

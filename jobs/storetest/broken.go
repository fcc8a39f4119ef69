package storetest

import (
	"context"
	"errors"
	"sync"

	"jobhub/jobs"
)

// Broken stores: each wraps a good one and breaks one promise. Check names the check
// that has to notice.
var Broken = []struct {
	Name  string
	Check string
	Wrap  func() func(jobs.Store) jobs.Store // returns the function that wraps each store that a harness opens
}{
	{"a lower number becomes visible later", "OrderOfEvents", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return &lateEvent{Store: s} }
	}},
	{"compare-and-set is lost", "CompareAndSet", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return noCompareAndSet{s} }
	}},
	{"the key is stored outside the transaction", "Key", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return &keysOutside{Store: s, keys: map[string]*jobs.Change{}} }
	}},
	{"the jobs of Follow are stored afterwards", "Follow", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return followsLater{s} }
	}},
	{"trimming leaves no trace", "Trim", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return noTrace{s} }
	}},
	{"documents are overwritten without a comparison", "Documents", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return blindDocuments{s} }
	}},
	{"peers are not asked", "Peers", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return noPeers{s} }
	}},
	{"counters are newer than their position", "CountersUnderLoad", func() func(jobs.Store) jobs.Store {
		return func(s jobs.Store) jobs.Store { return earlyCounters{s} }
	}},
	{"the epoch is kept after a loss", "Epoch", func() func(jobs.Store) jobs.Store {
		var first string
		return func(s jobs.Store) jobs.Store {
			if first == "" {
				first = s.Head().Epoch
			}
			return sameEpoch{s, first}
		}
	}},
}

// earlyCounters returns counters that are newer than their position.
type earlyCounters struct{ jobs.Store }

func (s earlyCounters) Queues(ctx context.Context, tenant string) ([]jobs.QueueInfo, jobs.Position, error) {
	_, pos, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return nil, pos, err
	}
	queues, _, err := s.Store.Queues(ctx, tenant)
	return queues, pos, err
}

// lateEvent shows the second of two events before the first, once.
type lateEvent struct {
	jobs.Store
	once sync.Once
}

func (s *lateEvent) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	events, err := s.Store.Read(ctx, q)
	if len(events) > 1 {
		s.once.Do(func() { events = events[1:] })
	}
	return events, err
}

// noCompareAndSet applies changes without comparing the state of the job.
type noCompareAndSet struct{ jobs.Store }

func (s noCompareAndSet) Commit(ctx context.Context, b *jobs.Batch) error {
	for _, c := range b.Changes {
		if c.If.State == 0 {
			continue
		}
		if j, _, err := s.Job(ctx, c.Job.Tenant, c.Job.ID); err == nil {
			c.If = jobs.Condition{State: j.State, Lease: j.Lease}
		}
	}
	return s.Store.Commit(ctx, b)
}

// blindDocuments does not compare the old value of a document: every change applies.
type blindDocuments struct{ jobs.Store }

func (s blindDocuments) Commit(ctx context.Context, b *jobs.Batch) error {
	all := b.Documents
	for _, c := range b.Changes {
		if c.Document != nil {
			all = append(all, c.Document)
		}
	}
	for _, d := range all {
		stored, err := s.Documents(ctx, d.Tenant, d.Kind)
		if err != nil {
			return err
		}
		d.Was = nil
		for _, other := range stored {
			if other.Name == d.Name {
				d.Was = other.Data
			}
		}
	}
	return s.Store.Commit(ctx, b)
}

// noPeers never looks for peers.
type noPeers struct{ jobs.Store }

func (s noPeers) Commit(ctx context.Context, b *jobs.Batch) error {
	for _, c := range b.Changes {
		c.Peers = nil
	}
	return s.Store.Commit(ctx, b)
}

// keysOutside keeps the keys outside the store.
type keysOutside struct {
	jobs.Store
	keys map[string]*jobs.Change
}

func (s *keysOutside) Commit(ctx context.Context, b *jobs.Batch) error {
	var keep []*jobs.Change
	for _, c := range b.Changes {
		if c.Key != nil {
			name := c.Key.Scope + c.Key.Key
			if first := s.keys[name]; first != nil && (c.Key.Until.After(b.Now) || !first.Job.State.Final()) {
				c.Err = &jobs.KeyTaken{Job: first.Job, Same: string(first.Key.Fingerprint) == string(c.Key.Fingerprint)}
				continue
			}
			k := *c
			s.keys[name] = &k
		}
		keep = append(keep, c)
	}
	keys := make([]*jobs.Key, len(keep))
	for i, c := range keep {
		keys[i], c.Key = c.Key, nil
	}
	err := s.Store.Commit(ctx, &jobs.Batch{Now: b.Now, Changes: keep, Claims: b.Claims})
	for i, c := range keep {
		c.Key = keys[i]
	}
	return err
}

// followsLater stores the insertions of Follow in a commit of their own.
type followsLater struct{ jobs.Store }

func (s followsLater) Commit(ctx context.Context, b *jobs.Batch) error {
	later := &jobs.Batch{Now: b.Now}
	for _, c := range b.Changes {
		if follow := c.Follow; follow != nil {
			c.Follow = nil
			later.Changes = append(later.Changes, follow(&c.Job)...)
		}
	}
	if err := s.Store.Commit(ctx, b); err != nil || len(later.Changes) == 0 {
		return err
	}
	return s.Store.Commit(ctx, later)
}

// noTrace returns the remaining events instead of ErrTrimmed.
type noTrace struct{ jobs.Store }

func (s noTrace) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	events, err := s.Store.Read(ctx, q)
	for errors.Is(err, jobs.ErrTrimmed) && q.After < s.Head().Seq {
		q.After++
		events, err = s.Store.Read(ctx, q)
	}
	return events, err
}

// sameEpoch claims that nothing was ever lost.
type sameEpoch struct {
	jobs.Store
	epoch string
}

func (s sameEpoch) Head() jobs.Position {
	return jobs.Position{Epoch: s.epoch, Seq: s.Store.Head().Seq}
}

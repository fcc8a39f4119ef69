package web_test

import (
	"context"
	"sync"
	"time"

	"jobhub/jobs"
)

// sharedStore is a store that the engine and a catalogue write to: calls of Commit must not
// overlap.
type sharedStore struct {
	jobs.Store
	committing sync.Mutex
}

func (s *sharedStore) Commit(ctx context.Context, b *jobs.Batch) error {
	s.committing.Lock()
	defer s.committing.Unlock()
	return s.Store.Commit(ctx, b)
}

// documents keeps a catalogue in a store.
type documents struct{ jobs.Store }

func (d documents) List(ctx context.Context, kind string) ([]jobs.Document, error) {
	return d.Documents(ctx, "", kind)
}

func (d documents) Put(ctx context.Context, change jobs.DocumentChange) error {
	if err := d.Commit(ctx, &jobs.Batch{Now: time.Now(), Documents: []*jobs.DocumentChange{&change}}); err != nil {
		return err
	}
	return change.Err
}

package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// bare is a store without an engine.
type bare struct {
	store  *sqlite.Store
	folder string
}

func newBare(ctx context.Context, p *place) (*bare, error) {
	folder, err := p.sub()
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(ctx, folder, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	return &bare{store, folder}, nil
}

func (b *bare) close() error {
	if b.store == nil {
		return nil
	}
	err := b.store.Close()
	b.store = nil
	return err
}

// insert commits one job and its first event, as a submit does.
func (b *bare) insert(ctx context.Context) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Millisecond)
	c := &jobs.Change{
		Job: jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: kind, Queue: kind, State: jobs.Queued, Input: jobs.Value(input), MaxAttempts: jobs.DefaultMaxAttempts,
			Backoff: jobs.DefaultBackoff, Timeout: jobs.DefaultTimeout, CreatedAt: now},
		Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{"state":"queued","priority":0,"max_attempts":5,"created_at":"` + now.UTC().Format("2006-01-02T15:04:05.000Z") + `","input":` + input + `}`)},
	}
	if err := b.store.Commit(ctx, &jobs.Batch{Now: now, Changes: []*jobs.Change{c}}); err != nil {
		return err
	}
	return c.Err
}

// inner is a hub without its program: what `jobhub serve` has behind its HTTP server.
type inner struct {
	store  *sqlite.Store
	hub    *hub.Hub
	engine *engine.Engine
	folder string
}

func newInner(ctx context.Context, p *place) (in *inner, err error) {
	in = &inner{}
	if in.folder, err = p.sub(); err != nil {
		return nil, err
	}
	if in.store, err = sqlite.Open(ctx, in.folder, sqlite.Options{}); err != nil {
		return nil, err
	}
	if in.hub, err = hub.New(ctx, hub.Options{Log: in.store, Pace: -1}); err != nil {
		return nil, errors.Join(err, in.store.Close())
	}
	in.engine, err = engine.Open(ctx, engine.Options{Store: in.store, Handlers: map[string]jobs.Handler{"http": call.HTTP(call.Options{})}})
	if err != nil {
		in.hub.Close()
		return nil, errors.Join(err, in.store.Close())
	}
	return in, nil
}

func (in *inner) submit(ctx context.Context) error {
	_, err := in.engine.Submit(ctx, jobs.Spec{Kind: kind, Queue: kind, Input: jobs.Value(input)})
	return err
}

func (in *inner) close() error {
	if in.engine == nil {
		return nil
	}
	err := in.engine.Close(context.Background())
	in.hub.Close()
	in.engine = nil
	return errors.Join(err, in.store.Close())
}

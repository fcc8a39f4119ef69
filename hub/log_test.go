package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/hub"
	"jobhub/jobs"
)

const tenant = jobs.DefaultTenant

// memLog is a log in memory that keeps the promises of jobs.Store's.
type memLog struct {
	mu     sync.Mutex // protects the fields below
	events []*jobs.Event
	floor  uint64
	gone   jobs.ID // a job past its retention
	grown  chan struct{}
	reads  int
}

func newLog() *memLog { return &memLog{grown: make(chan struct{})} }

func (l *memLog) Head() jobs.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return jobs.Position{Epoch: "e1", Seq: uint64(len(l.events))}
}

func (l *memLog) Read(_ context.Context, q jobs.ReadQuery) (out []*jobs.Event, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	switch {
	case q.After > uint64(len(l.events)):
		return nil, jobs.ErrAhead
	case q.After < l.floor:
		return nil, jobs.ErrTrimmed
	}
	size := 0
	for _, e := range l.events[q.After:] {
		if q.Job != (jobs.ID{}) && e.Job != q.Job {
			continue
		}
		if q.MaxBytes > 0 && size >= q.MaxBytes {
			break
		}
		size += e.Size()
		out = append(out, e)
	}
	if q.Job != (jobs.ID{}) && (len(out) == 0 || q.Job == l.gone) {
		return nil, jobs.ErrNotFound
	}
	return out, nil
}

func (l *memLog) Wait(ctx context.Context, seq uint64) error {
	for {
		l.mu.Lock()
		head, grown := uint64(len(l.events)), l.grown
		l.mu.Unlock()
		if head > seq {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// commit makes events visible together and returns the head.
func (l *memLog) commit(events ...jobs.Event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		e.Seq, e.At = uint64(len(l.events))+1, time.Now()
		if e.Tenant == "" {
			e.Tenant = tenant
		}
		l.events = append(l.events, &e)
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return uint64(len(l.events))
}

func (l *memLog) trim(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = seq
}

// span returns the events in (after, upTo].
func (l *memLog) span(after, upTo uint64) []*jobs.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[after:upTo]
}

// jobNamed is the id of the i-th job of these tests.
func jobNamed(i int) jobs.ID { return uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "job %d", i)) }

// event is one of the i-th job, which belongs to a queue, a kind and tags of its own.
func event(i int, t jobs.EventType) jobs.Event {
	e := jobs.Event{Type: t, Job: jobNamed(i), Queue: fmt.Sprintf("q%d", i%3), Kind: fmt.Sprintf("k%d", i%2), Version: 2, Data: jobs.Value(`{}`)}
	for tag := range i % 4 {
		e.Tags = append(e.Tags, fmt.Sprintf("t%d", tag))
	}
	return e
}

// someEvent is a random event of one of ten jobs, mostly progress, sometimes of another tenant.
func someEvent(r *rand.Rand) jobs.Event {
	types := []jobs.EventType{jobs.JobProgress, jobs.JobProgress, jobs.JobProgress, jobs.JobOutput, jobs.JobStarted, jobs.JobQueued, jobs.JobSucceeded}
	e := event(r.IntN(10), types[r.IntN(len(types))])
	if r.IntN(10) == 0 {
		e.Tenant = "another"
	}
	if r.IntN(20) == 0 {
		e = jobs.Event{Type: jobs.QueuePaused, Queue: e.Queue, Data: jobs.Value(`{}`)}
	}
	return e
}

// someSubscription is a random subscription to what someEvent makes.
func someSubscription(r *rand.Rand) hub.Subscription {
	s := hub.Subscription{Filter: hub.Filter{Tenant: tenant}, Progress: hub.ProgressMode(r.IntN(3))}
	switch r.IntN(5) {
	case 0:
		s.Job = jobNamed(r.IntN(10))
	case 1:
		s.Queue = fmt.Sprintf("q%d", r.IntN(3))
	case 2:
		s.Kind = fmt.Sprintf("k%d", r.IntN(2))
	case 3:
		s.Tag = fmt.Sprintf("t%d", r.IntN(3))
	default:
		s.All = true
	}
	return s
}

func toAll(mode hub.ProgressMode) hub.Subscription {
	return hub.Subscription{Filter: hub.Filter{Tenant: tenant, All: true}, Progress: mode}
}

func toJob(i int) hub.Subscription {
	return hub.Subscription{Filter: hub.Filter{Tenant: tenant, Job: jobNamed(i)}, Progress: hub.ProgressAll}
}

func open(t *testing.T, l hub.Log, ringBytes int) *hub.Hub {
	t.Helper()
	h, err := hub.New(t.Context(), hub.Options{Log: l, RingBytes: ringBytes, Pace: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func reach(t *testing.T, h *hub.Hub, seq uint64) {
	t.Helper()
	if err := h.WaitFor(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
}

// cursor is one with a channel to wait on.
type cursor struct {
	*hub.Cursor
	woken chan struct{}
}

func newCursor(h *hub.Hub) *cursor {
	woken := make(chan struct{}, 1)
	return &cursor{h.Cursor(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}), woken}
}

// upTo is what a cursor gives when it is brought to a position, by seq.
func upTo(t *testing.T, c *cursor, seq uint64) (seqs []uint64) {
	t.Helper()
	if err := c.ReadUntil(t.Context(), seq, func(chunk *hub.Chunk) error { seqs = append(seqs, seqsOf(chunk)...); return nil }); err != nil {
		t.Fatal(err)
	}
	return seqs
}

// live is what a cursor gives until nothing up to a position is left, by seq.
func live(t *testing.T, c *cursor, seq uint64) (seqs []uint64) {
	t.Helper()
	for {
		chunk, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seqsOf(chunk)...)
		if chunk != nil {
			continue
		}
		if c.SkipUnmatched() >= seq {
			return seqs
		}
		select {
		case <-c.woken:
		case <-t.Context().Done():
			t.Fatalf("nobody wakes a cursor at %d", c.Seq())
		}
	}
}

func seqsOf(chunk *hub.Chunk) (seqs []uint64) {
	if chunk != nil {
		for _, e := range chunk.Events {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs
}

func (c *cursor) awake() bool {
	select {
	case <-c.woken:
		return true
	default:
		return false
	}
}

package hub

import (
	"context"
	"errors"
	"jobhub/jobs"
)

// readSelected reads the next chunk after seq, up to a position that the hub has reached. The
// chunk may be empty. jobs.ErrTrimmed if the log no longer holds seq.
func (h *Hub) readSelected(ctx context.Context, s *selection, seq, upTo uint64) (*Chunk, error) {
	var events []*Event
	size, to := 0, seq
	for to < upTo && size < maxChunk {
		some, reached, err := h.readAfter(ctx, s.job(), to, upTo)
		if err != nil {
			return nil, err
		}
		to = reached
		for _, e := range some {
			if !s.selects(e.Event) {
				continue
			}
			if n := len(e.JSON()) + 1; size > 0 && size+n > maxChunk {
				to = events[len(events)-1].Seq
				size = maxChunk
				break
			} else {
				size += n
			}
			events = append(events, e)
		}
	}
	if events = s.mergeProgress(events); len(events) == 0 {
		return &Chunk{To: to}, nil
	}
	return &Chunk{Events: events, To: to, ReadAt: events[0].readAt, size: size}, nil
}

// readAfter returns some events after seq and up to upTo, which the hub must have reached,
// and the position after them. It reads the ring, and the log if they are older. With a job,
// events of other jobs may be left out.
func (h *Hub) readAfter(ctx context.Context, job jobs.ID, seq, upTo uint64) ([]*Event, uint64, error) {
	h.mu.RLock()
	if len(h.ring) > 0 && seq+1 >= h.ring[0].Seq {
		const most = 1024 // so that the lock is not held for long
		first := h.ring[0].Seq
		from := min(seq+1-first, uint64(len(h.ring)))
		to := min(upTo+1-first, uint64(len(h.ring)), from+most)
		some := append([]*Event(nil), h.ring[from:max(from, to)]...)
		h.mu.RUnlock()
		if len(some) == 0 {
			return nil, upTo, nil
		}
		return some, some[len(some)-1].Seq, nil
	}
	h.mu.RUnlock()
	var read []*jobs.Event
	var err error
	if job != (jobs.ID{}) { // the log can read the events of one job alone
		if _, err := h.source.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 1}); err != nil {
			return nil, 0, err
		}
		read, err = h.source.Read(ctx, jobs.ReadQuery{After: seq, Job: job, MaxBytes: 4 << 20})
	}
	if job == (jobs.ID{}) || errors.Is(err, jobs.ErrNotFound) { // a deleted job may still have events
		read, err = h.source.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 256 << 10})
	}
	if err != nil {
		return nil, 0, err
	}
	epoch := h.source.Head().Epoch
	some := make([]*Event, 0, len(read))
	for _, e := range read {
		if e.Seq > upTo {
			return some, upTo, nil
		}
		some = append(some, &Event{Event: e, epoch: epoch})
	}
	if len(some) == 0 {
		return nil, upTo, nil
	}
	return some, some[len(some)-1].Seq, nil
}

// Replay calls yield with the events in (after, upTo] that a subscription selects, in order.
// The hub must have reached upTo. jobs.ErrTrimmed or jobs.ErrAhead if the log does not hold
// after: then nothing was yielded, unless the log was trimmed meanwhile.
func (h *Hub) Replay(ctx context.Context, s Subscription, after, upTo uint64, yield func(*Chunk) error) error {
	if _, err := h.source.Read(ctx, jobs.ReadQuery{After: after, MaxBytes: 1}); err != nil {
		return err
	}
	c := h.Cursor(nil)
	c.seq.Store(after)
	c.subs[""] = s
	return c.ReadUntil(ctx, upTo, yield)
}

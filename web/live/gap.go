package live

import (
	"context"
	"errors"
	"fmt"

	"jobhub/hub"
	"jobhub/jobs"
)

// errGapNotSent says that subscriptions have missed events and their gap messages could not
// be sent. The connection is closed, so that the client resumes from its own position.
var errGapNotSent = errors.New("a gap message could not be sent")

// gap sends each subscription a gap message and then the current state. No subscription is
// live until all have caught up: the seq of an event is the position of the whole
// connection, so a client that disconnects after one would resume behind its own gap.
func (c *subscriber) gap(ctx context.Context) error {
	from, subs := c.cursor.Seq(), c.cursor.All()
	c.cursor.Close()
	c.counters.gaps.Add(1)
	at := map[string]uint64{}
	for id, sub := range subs {
		if err := c.lost(ctx, id, sub, from); err != nil {
			return fmt.Errorf("%w: %w", errGapNotSent, err)
		}
		at[id] = c.cursor.Seq()
	}
	for behind := true; behind; { // the states were read at different positions
		behind = false
		for id, sub := range subs {
			to := c.cursor.Seq()
			if at[id] == to {
				continue
			}
			if err := c.replay(ctx, id, sub, at[id], to); err != nil {
				return fmt.Errorf("%w: %w", errGapNotSent, err)
			}
			at[id] = c.cursor.Seq()
			behind = behind || at[id] > to
		}
	}
	for id, sub := range subs {
		c.cursor.Subscribe(id, sub)
	}
	return nil
}

// replay sends the events that a subscription selects in (after, to] as a block of its own,
// if there are any. If they are no longer kept, it sends a gap and the state instead, and
// the cursor is then beyond to.
func (c *subscriber) replay(ctx context.Context, id string, sub hub.Subscription, after, to uint64) error {
	begun := false
	err := c.Hub.Replay(ctx, sub, after, to, func(chunk *hub.Chunk) error {
		if !begun {
			begun = true
			c.out.line(appendSubscribed(nil, id, jobs.Position{Epoch: c.Hub.Epoch(), Seq: after}, false, false, ""), after)
		}
		return c.out.chunk(chunk)
	})
	if errors.Is(err, jobs.ErrTrimmed) {
		return c.lost(ctx, id, sub, after)
	}
	if err == nil && begun {
		c.out.line(appendLive(nil, id, to, false), to)
	}
	return err
}

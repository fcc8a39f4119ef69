package live

import (
	"context"
	"errors"
	"fmt"

	"jobhub/hub"
	"jobhub/jobs"
)

// errUntold says that subscriptions have missed events and could not be told. Their
// connection has to end, so that the client resumes from what it knows.
var errUntold = errors.New("a gap could not be told")

// gap tells each subscription that it missed events and gives it the state anew. Until
// the last of them has caught up none is live: an event stands for all subscriptions of
// the connection, and a client that is cut behind it would never hear of its gap.
func (c *subscriber) gap(ctx context.Context) error {
	from, subs := c.cursor.Seq(), c.cursor.All()
	c.cursor.Close()
	c.counters.gaps.Add(1)
	at := map[string]uint64{}
	for id, sub := range subs {
		if err := c.lost(ctx, id, sub, from); err != nil {
			return fmt.Errorf("%w: %w", errUntold, err)
		}
		at[id] = c.cursor.Seq()
	}
	for behind := true; behind; { // their states are not of one position
		behind = false
		for id, sub := range subs {
			to := c.cursor.Seq()
			if at[id] == to {
				continue
			}
			if err := c.replay(ctx, id, sub, at[id], to); err != nil {
				return fmt.Errorf("%w: %w", errUntold, err)
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

// replay sends what a subscription selects in (after, to] as a block of its own, if it
// selects anything. If that is not to be had any more, the cursor is beyond to behind it.
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

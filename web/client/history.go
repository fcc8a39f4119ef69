package client

import (
	"context"
	"errors"
	"iter"
)

// ErrTrimmed means that the hub's log no longer has the first events of the job.
var ErrTrimmed = errors.New("the hub no longer holds all events of the job")

// History yields all events of a job up to now, oldest first. An error comes last;
// it is [ErrTrimmed] if some of them are no longer kept. To continue from there, call
// [Client.Watch] with the Resume of the last message as Since.
func (c *Client) History(ctx context.Context, id string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		j, err := c.Job(ctx, id)
		if err != nil {
			yield(Message{}, err)
			return
		}
		for m, err := range c.Watch(ctx, Filter{Job: id}, WatchOptions{Since: Position{Epoch: j.Epoch}, Progress: "all"}) {
			switch {
			case err == nil && m.Missed():
				err = ErrTrimmed
			case err == nil && m.Type == Live:
				return
			case err == nil && !m.Event():
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

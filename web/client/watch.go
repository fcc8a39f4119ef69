package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/coder/websocket"
)

// Filter says what to watch. Set exactly one member.
type Filter struct {
	Job   string `json:"job,omitzero"` // id
	Queue string `json:"queue,omitzero"`
	Tag   string `json:"tag,omitzero"`
	Kind  string `json:"kind,omitzero"`
	All   bool   `json:"all,omitzero"`
}

// WatchOptions says how to watch. The zero value watches events from now on.
type WatchOptions struct {
	Since    Position // resume here
	Snapshot bool     // begin with the current state of what matches; Since has priority over it
	Progress string   // latest (the default), all or none

	// Token, if set, fetches a token, which is sent in place of Client.Token. It is called at
	// the start, when the hub says that the token expires soon, and after a token was
	// refused. If it fails at the start, the watch ends with its error; later it is called
	// again.
	Token func(context.Context) (string, error)

	// All hooks run on the goroutine of the watch, before it continues.
	Trace    func(sent bool, frame []byte)        // sees every text frame
	Lost     func(err error, pause time.Duration) // called for each lost connection
	Repeated func(Message)                        // called for an event that the hub sent twice, which is not delivered
}

// Watch connects to the hub and yields its messages until ctx is done, the caller breaks out
// of the loop, or an error occurs that trying again can't cure; that error comes last. The
// first connection is not tried again if it fails.
func (c *Client) Watch(ctx context.Context, f Filter, o WatchOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		w := watcher{client: c, filter: f, options: o, yield: yield, resume: o.Since}
		if err := w.run(ctx); err != errBreak {
			yield(Message{}, err)
		}
	}
}

// errBreak means that the caller has left the loop.
var errBreak = errors.New("break")

// watcher is one call of Watch:
//
//	run          until the end
//	  connection   dial, read frames
//	    frame        split into messages
//	      take         keep the position, deliver
//	  again, pause  what to do after a lost connection
type watcher struct {
	client  *Client
	filter  Filter
	options WatchOptions
	yield   func(Message, error) bool

	conn       *websocket.Conn
	silence    time.Duration // a connection without a frame for this long is dead
	pos        Position      // reached on this connection
	resume     Position      // where the next connection resumes
	inSnapshot bool          // resume stays before the snapshot until it is complete
	failures   int           // connections in a row that did not last
	token      string        // from options.Token; empty if it must be fetched
	renewed    bool          // the token is new and was not accepted yet
}

func (w *watcher) run(ctx context.Context) error {
	for connected := false; ; {
		start := time.Now()
		err := w.connection(ctx)
		connected = connected || w.conn != nil
		switch {
		case err == errBreak:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case w.renew(err):
		case !connected || !again(err):
			return err
		}
		if w.conn != nil && time.Since(start) >= stable {
			w.failures = 0
		}
		pause := w.pause(err)
		if w.options.Lost != nil {
			w.options.Lost(err, pause)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

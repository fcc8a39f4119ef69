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

// WatchOptions says how to watch. The zero value watches what happens from now on.
type WatchOptions struct {
	Since    Position // resume here
	Snapshot bool     // begin with the present state of what matches; Since wins over it
	Progress string   // latest (the default), all or none

	// Token, if set, fetches what the hub shall know the caller by, in place of
	// Client.Token: at first, when the hub says that the token will end soon, and after
	// it was refused. The watch ends with its error, unless it lost a connection that it
	// had; then it is asked again.
	Token func(context.Context) (string, error)

	// All hooks run on the goroutine of the watch, before what follows from them.
	Trace    func(sent bool, frame []byte)        // sees every text frame
	Lost     func(err error, pause time.Duration) // told of each lost connection
	Repeated func(Message)                        // told of an event that the hub sent twice; it is not delivered
}

// Watch connects to the hub and yields what it says, until ctx is done, the caller
// breaks off, or an error that trying again can't cure; that error comes last. If
// already the first attempt to connect fails, it is not repeated.
func (c *Client) Watch(ctx context.Context, f Filter, o WatchOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		w := watcher{client: c, filter: f, options: o, yield: yield, resume: o.Since}
		if err := w.run(ctx); err != errBreak {
			yield(Message{}, err)
		}
	}
}

// errBreak: the caller wants no more.
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
	silence    time.Duration // without a frame means that the connection is dead
	pos        Position      // reached on this connection
	resume     Position      // where the next connection resumes
	inSnapshot bool          // resume stays behind pos, because half a snapshot is none
	failures   int           // connections in a row that did not last
	token      string        // fetched by options.Token; empty if it is to be fetched
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

package upgrade

import (
	"errors"
	"io"
	"sync"
	"time"
)

// tunnel is one connection that is passed through.
type tunnel struct {
	options    *Options
	client     io.ReadWriteCloser
	upstream   io.ReadWriteCloser
	toUpstream direction
	toClient   direction

	mu     sync.Mutex  // protects the fields below
	watch  *time.Timer // calls check
	cutter *time.Timer // calls close after the grace time; nil before end
	ended  bool        // close frames are on their way
	cut    bool        // the connections are closed
}

func newTunnel(o *Options, client, upstream io.ReadWriteCloser, c *Counters) *tunnel {
	t := &tunnel{options: o, client: client, upstream: upstream}
	now := time.Now().UnixNano()
	for _, d := range []*direction{&t.toUpstream, &t.toClient} {
		d.maxMessage = o.MaxMessage
		d.active.Store(now)
	}
	t.toUpstream.from, t.toUpstream.to, t.toUpstream.masked, t.toUpstream.bytes = client, upstream, true, &c.in
	t.toClient.from, t.toClient.to, t.toClient.bytes = upstream, client, &c.out
	return t
}

// run passes frames both ways until one side ends. first is what the client has sent already.
func (t *tunnel) run(first []byte) {
	t.mu.Lock()
	t.watch = time.AfterFunc(t.every(), t.check)
	t.mu.Unlock()
	var group sync.WaitGroup
	group.Go(func() { t.pass(&t.toUpstream, first, &t.toClient) })
	t.pass(&t.toClient, nil, &t.toUpstream)
	group.Wait()
}

// every is the time between checks.
func (t *tunnel) every() time.Duration {
	return max(min(t.options.Stall, t.options.Idle)/4, time.Millisecond)
}

// pass runs one direction to its end. back is the other one.
func (t *tunnel) pass(d *direction, first []byte, back *direction) {
	v, violated := errors.AsType[*violation](d.run(first))
	switch {
	case violated && d == &t.toUpstream:
		t.end(v.code, goingAway, v.reason)
	case violated:
		t.end(goingAway, v.code, v.reason)
	}
	if violated || d.over.Load() && !back.over.Load() {
		io.Copy(io.Discard, d.from) // until the other side has answered, or close
	}
	t.close()
}

// check ends the tunnel when a side stalls or both are silent.
func (t *tunnel) check() {
	now := time.Now().UnixNano()
	for _, d := range []*direction{&t.toUpstream, &t.toClient} {
		if since := d.blocked.Load(); since != 0 && now-since >= int64(t.options.Stall) {
			t.close()
		}
	}
	if now-max(t.toUpstream.active.Load(), t.toClient.active.Load()) >= int64(t.options.Idle) {
		t.end(goingAway, goingAway, "idle")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.cut {
		t.watch.Reset(t.every())
	}
}

// end sends both sides a close frame, unless they have one, and closes the connections when both
// have answered or the grace time is over.
func (t *tunnel) end(toClient, toUpstream uint16, reason string) {
	t.mu.Lock()
	if t.ended || t.cut {
		t.mu.Unlock()
		return
	}
	t.ended = true
	t.cutter = time.AfterFunc(t.options.Grace, t.close)
	t.mu.Unlock()
	var group sync.WaitGroup
	group.Go(func() { t.toClient.close(toClient, reason) })
	group.Go(func() { t.toUpstream.close(toUpstream, reason) })
	group.Wait()
}

// close closes both connections.
func (t *tunnel) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.cut {
		t.cut = true
		for _, timer := range []*time.Timer{t.watch, t.cutter} {
			if timer != nil {
				timer.Stop()
			}
		}
		t.client.Close()
		t.upstream.Close()
	}
}

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

	mu     sync.Mutex // protects the fields below
	ended  bool       // close frames are on their way
	cutter *time.Timer
	cut    bool
	done   chan struct{} // closed at the end
}

func newTunnel(o *Options, client, upstream io.ReadWriteCloser, c *Counters) *tunnel {
	t := &tunnel{options: o, client: client, upstream: upstream, done: make(chan struct{})}
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
	var group sync.WaitGroup
	group.Go(func() { t.pass(&t.toUpstream, first, &t.toClient) })
	group.Go(func() { t.pass(&t.toClient, nil, &t.toUpstream) })
	group.Go(t.watch)
	group.Wait()
	t.close()
	t.mu.Lock()
	if t.cutter != nil {
		t.cutter.Stop()
	}
	t.mu.Unlock()
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

// watch ends the tunnel when a side stalls or both are silent.
func (t *tunnel) watch() {
	tick := time.NewTicker(max(min(t.options.Stall, t.options.Idle)/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-t.done:
			return
		case now := <-tick.C:
			t.check(now)
		}
	}
}

func (t *tunnel) check(now time.Time) {
	last := max(t.toUpstream.active.Load(), t.toClient.active.Load())
	for _, d := range []*direction{&t.toUpstream, &t.toClient} {
		if since := d.blocked.Load(); since != 0 && now.UnixNano()-since >= int64(t.options.Stall) {
			t.close()
			return
		}
	}
	if now.UnixNano()-last >= int64(t.options.Idle) {
		go t.end(goingAway, goingAway, "idle")
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
		close(t.done)
		t.client.Close()
		t.upstream.Close()
	}
}

package upgrade

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/httpheader"
)

// Options are the settings of a Proxy. The zero value works.
type Options struct {
	Idle       time.Duration // how long nothing may come from either side; DefaultIdle if 0
	Stall      time.Duration // how long a side may take no byte; DefaultStall if 0
	Grace      time.Duration // how long a side may take to answer a close frame; DefaultGrace if 0
	MaxMessage int64         // bytes of a message; no limit if 0

	Hidden func(protocol string) bool // subprotocols that no upstream sees; nil for none
}

// Defaults of Options.
const (
	DefaultIdle  = 5 * time.Minute
	DefaultStall = 30 * time.Second
	DefaultGrace = 5 * time.Second
)

// maxRefusal is how much of an upstream's answer is passed on that is not 101, in bytes.
const maxRefusal = 1 << 20

// Proxy passes WebSocket connections through. Its methods may be used by several goroutines.
type Proxy struct {
	options Options

	mu       sync.Mutex // protects the fields below
	draining bool
	tunnels  map[*tunnel]struct{}
	empty    chan struct{} // closed when draining and the last tunnel has ended
}

// New returns a proxy.
func New(o Options) *Proxy {
	o.Idle, o.Stall, o.Grace = cmp.Or(o.Idle, DefaultIdle), cmp.Or(o.Stall, DefaultStall), cmp.Or(o.Grace, DefaultGrace)
	return &Proxy{options: o, tunnels: map[*tunnel]struct{}{}, empty: make(chan struct{})}
}

// Counters count connections, for example those of a route. The zero value is ready.
type Counters struct{ current, total, in, out atomic.Int64 }

// Counts is a snapshot of Counters. The bytes are those of frames, with their headers.
type Counts struct {
	Current, Total int64
	In, Out        int64 // bytes from clients, and to them
}

// Counts reads the counters.
func (c *Counters) Counts() Counts {
	return Counts{c.current.Load(), c.total.Load(), c.in.Load(), c.out.Load()}
}

// Call is how one connection reaches its upstream.
type Call struct {
	Request   *http.Request     // for the upstream; the headers of the handshake are added to it
	Transport http.RoundTripper // must give a writable body for 101, as http.Transport does
	Counters  *Counters
	Edit      func(http.Header) // changes the headers of the upstream's answer; may be nil
}

// Serve passes a WebSocket through; it returns when that ends. An error means that nothing was
// answered: a *jobs.Problem if the handshake of a side is wrong or the hub drains, else that of
// the transport. When the context of the client's request ends, the client gets 1008.
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request, call Call) error {
	if err := CheckRequest(r); err != nil {
		w.Header().Set("Sec-WebSocket-Version", Version)
		return err
	}
	if p.isDraining() {
		return errDraining
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := call.Request.WithContext(ctx)
	out.Method, out.Body, out.ContentLength, out.Header = http.MethodGet, nil, 0, call.Request.Header.Clone()
	offer(out.Header, r.Header, p.options.Hidden)
	res, err := call.Transport.RoundTrip(out)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	upgraded := maps.Clone(res.Header)
	httpheader.DropConnection(res.Header, slices.Clone(res.Header["Connection"]))
	maps.DeleteFunc(res.Header, func(name string, _ []string) bool { return httpheader.IsHopByHop(name) })
	if call.Edit != nil {
		call.Edit(res.Header)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return p.refuse(w, res, cancel)
	}
	upstream, writable := res.Body.(io.ReadWriteCloser)
	reason := checkAnswer(out.Header, upgraded)
	if reason == "" && !writable {
		reason = "its connection can't be written to"
	}
	if reason != "" {
		problem := jobs.NewProblem(egress.UpstreamUnreachable, "Upstream handshake", "The upstream answered the WebSocket handshake, but %s. Check that the upstream is a WebSocket server.", reason)
		problem.Status = http.StatusBadGateway
		return problem
	}
	return p.pass(w, r, res, upstream, call.Counters)
}

var errDraining = jobs.Unavailable("Draining", "This hub takes no new WebSockets, as it is about to stop. Connect again in a moment.")

// refuse passes on an answer that is not 101.
func (p *Proxy) refuse(w http.ResponseWriter, res *http.Response, cancel func()) error {
	defer time.AfterFunc(p.options.Stall, cancel).Stop() // it is not a stream
	maps.Copy(w.Header(), res.Header)
	w.WriteHeader(res.StatusCode)
	n, err := io.Copy(w, io.LimitReader(res.Body, maxRefusal+1))
	if err != nil || n > maxRefusal {
		panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
	}
	return nil
}

// pass answers 101 and passes frames until the end.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, res *http.Response, upstream io.ReadWriteCloser, c *Counters) error {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return malformed("This connection can't become a WebSocket. Connect with HTTP/1.1.").Because(err)
	}
	defer conn.Close()
	first, _ := rw.Reader.Peek(rw.Reader.Buffered()) // can't fail: they are there
	t := newTunnel(&p.options, conn, upstream, c)
	t.toClient.mu.Lock() // so that no close frame goes before the answer
	held := true
	release := func() {
		if held {
			held = false
			t.toClient.mu.Unlock()
		}
	}
	defer release()
	if !p.add(t) {
		conn.SetWriteDeadline(time.Now().Add(p.options.Grace))
		io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		return nil
	}
	defer p.remove(t)
	res.Header["Connection"], res.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	answer := bytes.NewBufferString("HTTP/1.1 101 Switching Protocols\r\n")
	res.Header.Write(answer)
	answer.WriteString("\r\n")
	conn.SetWriteDeadline(time.Now().Add(p.options.Stall))
	if _, err := conn.Write(answer.Bytes()); err != nil {
		return nil
	}
	conn.SetWriteDeadline(time.Time{})
	release()
	c.total.Add(1)
	c.current.Add(1)
	defer c.current.Add(-1)
	stop := context.AfterFunc(r.Context(), func() { t.end(policy, goingAway, "credentials ended") })
	defer stop()
	t.run(slices.Clone(first))
	return nil
}

func (p *Proxy) isDraining() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

// add returns false if the proxy drains.
func (p *Proxy) add(t *tunnel) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.draining {
		p.tunnels[t] = struct{}{}
	}
	return !p.draining
}

func (p *Proxy) remove(t *tunnel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.tunnels, t); p.draining && len(p.tunnels) == 0 {
		close(p.empty)
	}
}

// Drain ends all connections with 1001 and takes no new ones. It returns when they have ended;
// those that have not when ctx ends are cut.
func (p *Proxy) Drain(ctx context.Context) {
	p.mu.Lock()
	first := !p.draining
	p.draining = true
	all := slices.Collect(maps.Keys(p.tunnels))
	if first && len(all) == 0 {
		close(p.empty)
	}
	p.mu.Unlock()
	for _, t := range all {
		go t.end(goingAway, goingAway, "the hub stops")
	}
	select {
	case <-p.empty:
		return
	case <-ctx.Done():
	}
	for _, t := range all {
		t.close()
	}
	<-p.empty
}

// Package call is the built-in handler of kind "http": it calls an HTTP API and
// keeps the answer as it came.
//
// What it promises:
//
//   - Only public addresses are dialled, and those in Options.Allow. The check is made
//     on the resolved address of every connection, so neither a redirect nor a name
//     that changes its address gets around it.
//   - One attempt sends a request that could have an effect at most once, redirects apart.
//   - An answer is kept only when it is complete: status, end-to-end headers and the
//     body byte for byte. Event streams and JSON lines are relayed as they arrive too, and
//     what they report of their progress is the job's.
//   - No header, query or resolved address of a call is in its errors.
package call

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"jobhub/jobs"
)

// DefaultMaxBody is the largest body of an answer, in bytes, where Options says nothing.
const DefaultMaxBody = 16 << 20

const (
	connectTimeout    = 10 * time.Second // and as much again for TLS
	idleTimeout       = 4 * time.Second  // many servers hang up after 5 s, in the middle of the next request
	maxResponseHeader = 256 << 10
)

// Options says what calls may do. The zero value reaches public addresses only.
type Options struct {
	// Allow lists ranges that may be reached although they are not public. Link-local
	// and metadata addresses stay closed unless a prefix lies within their own range:
	// 0.0.0.0/0 does not open 169.254.169.254, 169.254.169.254/32 does.
	Allow []netip.Prefix

	// Opened is further ranges, which may change while calls are made; none if nil.
	Opened *Ranges

	// MaxBody is the largest body of an answer in bytes; DefaultMaxBody if 0.
	MaxBody int64
}

// HTTP returns the handler of kind "http". Its input is
// {"method","url","headers","body","expect"}, of which only url is required.
func HTTP(o Options) jobs.Handler {
	c := newCaller(o)
	return jobs.Handler{
		Check: c.check,
		Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
			return c.run(ctx, run.Job(), run)
		},
	}
}

// sink is the part of a jobs.Run that takes a streaming answer.
type sink interface {
	Output(stream string, p []byte)
	Progress(p jobs.Progress)
}

// caller makes the calls of all jobs and shares connections between them.
type caller struct {
	guard     *guard
	dialer    net.Dialer
	transport *http.Transport
	upstreams *http.Transport // for origins that the operator wrote: not under the guard
	maxBody   int64
}

func newCaller(o Options) *caller {
	c := &caller{guard: newGuard(o.Allow, o.Opened), dialer: net.Dialer{Timeout: connectTimeout}, maxBody: o.MaxBody}
	if c.maxBody == 0 {
		c.maxBody = DefaultMaxBody
	}
	c.transport = newTransport(func(ctx context.Context, network, address string) (net.Conn, error) {
		return c.guard.dial(ctx, c.dialer, network, address)
	})
	c.upstreams = newTransport(c.dialer.DialContext)
	return c
}

func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, past the guard
		DialContext:            dial,
		TLSHandshakeTimeout:    connectTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // the answer is kept byte for byte
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: connectTimeout},
	}
}

// check looks at an input before its job is accepted.
func (c *caller) check(input jobs.Value, via jobs.Via) error {
	_, err := decode(input, c.guard, via)
	return err
}

// run makes one attempt: decode → request → (redirect …) → readBody → outcome.
func (c *caller) run(ctx context.Context, job *jobs.Job, out sink) (jobs.Result, error) {
	in, err := decode(job.Input, c.guard, job.Via)
	if err != nil {
		return jobs.Result{}, never(err)
	}
	req, err := in.request(ctx, job)
	if err != nil { // decode let through what net/http does not take; the error may quote it
		return jobs.Result{}, never(invalid("/input", "can't be sent as an HTTP request; check url and headers"))
	}
	trip := &trip{caller: c, via: job.Via, expect: in.expect, at: req.URL}
	client := http.Client{Transport: trip, CheckRedirect: trip.redirect}
	res, err := client.Do(req)
	if err != nil {
		return jobs.Result{}, broken(ctx, trip.at, err)
	}
	defer res.Body.Close()
	body, err := readBody(res, c.maxBody, out)
	if err != nil {
		return jobs.Result{}, broken(ctx, trip.at, err)
	}
	kept := &jobs.Response{Status: res.StatusCode, Header: endToEnd(res.Header), Body: body}
	if length := res.Header.Get("Content-Length"); length != "" && in.method == http.MethodHead {
		kept.Header.Set("Content-Length", length) // says something of what is not there
	}
	return jobs.Result{Response: kept}, outcome(res, in.expect, job.Via)
}

// Package call has the built-in handlers of kinds "http", which calls an HTTP API and
// keeps the answer as it came, and "fanout", which calls several at once.
//
// What it promises:
//
//   - Only public addresses are dialled, and those in Options.Allow (see egress). The check is made
//     on the resolved address of every connection, so neither a redirect nor a name
//     that changes its address gets around it. The hub itself is never called, and a
//     redirect by a public server leads to public addresses only.
//   - One attempt sends a request that could have an effect at most once, redirects apart.
//   - An answer is stored only if it is complete: status, end-to-end headers and the body
//     byte for byte. Event streams and JSON lines are also relayed as they arrive; progress
//     that they report is the progress of the job.
//   - No header, query or resolved address of a call is in its errors.
package call

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// DefaultMaxBody is the largest body of an answer, in bytes, where Options says nothing.
const DefaultMaxBody = 16 << 20

// Options says what calls may do. The zero value reaches public addresses only.
type Options struct {
	// Allow lists ranges that may be reached although they are not public (see egress.Options).
	Allow []netip.Prefix

	// Opened is further ranges, which may change while calls are made; none if nil.
	Opened *egress.Ranges

	// Own is where the hub itself listens, which is never called; nowhere if nil.
	Own *egress.Own

	// Outbound is how calls leave this machine, which may change; straight if nil.
	Outbound *egress.OutboundSetting

	// Route returns what the calls of jobs use that were submitted by a route: a transport
	// without the guard, and the largest answer in bytes, 0 for the default. Nil if there are no
	// routes.
	Route func(jobs.Via) (transport http.RoundTripper, maxAnswer int64)

	// Wrap, if not nil, is put around what sends requests.
	Wrap func(http.RoundTripper) http.RoundTripper

	// Budget limits the memory of answers. Handlers with the same budget share it, and so do
	// all with nil.
	Budget *Budget

	// MaxBody is the largest body of an answer in bytes; DefaultMaxBody if 0.
	MaxBody int64
}

// HTTP returns the handler of kind "http". Its input is
// {"method","url","headers","body","expect"}, of which only url is required.
func HTTP(o Options) jobs.Handler {
	c := newCaller(o)
	return jobs.Handler{
		Requests: true,
		Check:    c.check,
		Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
			room := c.memory(2, run.Job().Via) // for the answer, and for its copy that is stored
			run.Finally(room.release)
			return c.run(ctx, run.Job(), room, run)
		},
	}
}

// outputRun is the part of a jobs.Run that takes a streaming answer as it arrives.
type outputRun interface {
	Output(stream string, p []byte)
	Report(p jobs.Progress)
}

// caller makes the calls of all jobs and shares connections between them.
type caller struct {
	guard     *egress.Guard
	transport http.RoundTripper
	outside   *egress.Guard     // for redirects by public servers, which must not lead into opened ranges
	public    http.RoundTripper // the same
	isPublic  func(net.Addr) bool
	upstreams http.RoundTripper // for upstreams of routes: without the guard
	wrap      func(http.RoundTripper) http.RoundTripper
	route     func(jobs.Via) (http.RoundTripper, int64)
	outbound  *egress.OutboundSetting
	maxBody   int64
	budget    *Budget
}

// limit is the largest answer of a job, in bytes.
func (c *caller) limit(via jobs.Via) int64 {
	if via.Route != "" && c.route != nil {
		if _, most := c.route(via); most > 0 {
			return most
		}
		return c.maxBody
	}
	return cmp.Or(c.outbound.Get().MaxAnswer, c.maxBody)
}

// upstream is what sends requests to an upstream of the job's route.
func (c *caller) upstream(via jobs.Via) http.RoundTripper {
	if via.Route != "" && c.route != nil {
		if t, _ := c.route(via); t != nil {
			return c.wrap(t)
		}
	}
	if via.Guarded {
		return c.transport
	}
	return c.upstreams
}

func newCaller(o Options) *caller {
	guard := egress.New(egress.Options{Allow: o.Allow, Opened: o.Opened, Own: o.Own})
	wrap := o.Wrap
	if wrap == nil {
		wrap = func(t http.RoundTripper) http.RoundTripper { return t }
	}
	outside := guard.Outside()
	return &caller{guard: guard, transport: wrap(guard.Follow(o.Outbound)), outside: outside, public: wrap(outside.Follow(o.Outbound)), isPublic: guard.Public,
		upstreams: wrap(egress.Unguarded(o.Own, egress.Outbound{})), maxBody: cmp.Or(o.MaxBody, DefaultMaxBody), budget: cmp.Or(o.Budget, shared), wrap: wrap, route: o.Route, outbound: o.Outbound}
}

// check checks an input before its job is accepted.
func (c *caller) check(input jobs.Value, via jobs.Via) error {
	_, err := decode(input, c.guard, via)
	return err
}

// run makes one attempt: decode → request → (redirect …) → readBody → judgeAnswer.
func (c *caller) run(ctx context.Context, job *jobs.Job, room *memory, out outputRun) (jobs.Result, error) {
	in, err := decode(job.Input, c.guard, job.Via)
	if err != nil {
		return jobs.Result{}, egress.Never(err)
	}
	kept, err := c.exchange(ctx, in, job.Attempt, job.ID.String(), &answerMemory{memory: room}, out)
	return jobs.Result{Response: kept}, err
}

// exchange sends a request and reads its answer.
func (c *caller) exchange(ctx context.Context, in *input, attempt int, key string, room *answerMemory, out outputRun) (*jobs.Response, error) {
	req, err := in.request(ctx, attempt, key)
	if err != nil { // net/http refuses what decode accepted; its error may quote secrets
		return nil, egress.Never(jobs.Invalid("/input", "can't be sent as an HTTP request; check url and headers"))
	}
	hops := &hopTransport{caller: c, via: in.via, expect: in.expect, at: req.URL}
	client := http.Client{Transport: hops, CheckRedirect: hops.redirect}
	res, err := client.Do(req)
	if err != nil {
		return nil, attemptError(ctx, hops.at, err)
	}
	defer res.Body.Close()
	if res.StatusCode < 200 { // after a 101 the connection is no longer HTTP, and such a status can't be passed on
		return nil, egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Upstream error",
			"The upstream answered %d, which ends no exchange over HTTP.", res.StatusCode))
	}
	body, err := readBody(ctx, res, room, out)
	if err != nil {
		return nil, attemptError(ctx, hops.at, err)
	}
	kept := &jobs.Response{Status: res.StatusCode, Header: endToEnd(res.Header), Body: body}
	if length := res.Header.Get("Content-Length"); length != "" && in.method == http.MethodHead {
		kept.Header.Set("Content-Length", length) // a HEAD answer describes the body that GET would have
	}
	return kept, judgeAnswer(res, in.expect, in.via)
}

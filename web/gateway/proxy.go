package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/httpheader"
	"jobhub/web/gateway/cache"
	"jobhub/web/gateway/transform"
	"jobhub/web/gateway/upgrade"
	"jobhub/web/gateway/upstream"
	"jobhub/web/peers"
)

const (
	maxIdle   = 256                   // idle connections to one upstream
	stallTime = 30 * time.Second      // how long an upstream may take no byte of a request
	flushTime = 10 * time.Millisecond // how long bytes of an answer may wait for more
)

// prepare makes the proxy and the transports of a route. own is where the hub listens; answers
// stores answers, and may be nil.
func (r *Route) prepare(own *egress.Own, answers *cache.Cache) {
	open := func() *egress.Transport {
		if r.Guard != nil {
			return r.Guard.Transport(r.Outbound)
		}
		return egress.Unguarded(own, r.Outbound)
	}
	r.transport = open()
	dial := r.transport.DialContext
	r.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return peers.NewConn(c, stallTime), nil
	}
	if r.Pool != nil {
		r.transport.DialContext = upstream.Track(r.transport.DialContext)
	}
	r.transport.ResponseHeaderTimeout = cmp.Or(r.Timeout, jobs.DefaultTimeout)
	r.transport.MaxIdleConns, r.transport.MaxIdleConnsPerHost = maxIdle, maxIdle
	r.jobTransport = open()
	r.preparePool(cmp.Or(r.Timeout, jobs.DefaultTimeout))
	r.front = r.transport
	if r.pool != nil {
		r.front = r.pool
	}
	r.upgrades = r.front
	if r.Cached && answers != nil {
		r.front = answers.Transport(r.front, cache.Policy{Scope: strings.Join(append(r.Upstreams(), r.Name()), " "), TTL: r.CacheTTL, ForwardAuth: r.ForwardAuth})
	}
	if r.Request != nil || r.Response != nil {
		r.front, r.upgrades = &changer{r.front, r}, &changer{r.upgrades, r}
	}
	r.proxy = &httputil.ReverseProxy{
		Transport:     r.front,
		BufferPool:    buffers,
		FlushInterval: flushTime,
		ErrorLog:      slog.NewLogLogger(slog.Default().Handler(), slog.LevelInfo),
		Rewrite: func(p *httputil.ProxyRequest) {
			r.rewrite(p.Out, p.In)
			p.Out.Trailer = p.In.Trailer // the same map: its values are set at the end of the body
			if b := proxiedOf(p.In).body; b != nil {
				p.Out.GetBody = b.fromStart
			}
		},
		ModifyResponse: func(res *http.Response) error {
			dropHubHeaders(res.Header)
			if res.StatusCode < 100 { // net/http reads such a status, but refuses to write it
				return errStatus
			}
			p := proxiedOf(res.Request)
			p.answered = true
			now := time.Now()
			if !p.stored.Hit {
				r.Stats.countAnswer(res.StatusCode, now.Sub(p.sent), now)
			}
			if p.passing.Edit != nil {
				p.passing.Edit(res.Header)
			}
			disableBuffering(res.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			p := proxiedOf(req)
			late, _ := errors.AsType[*jobs.Problem](p.body.clientError()) // of a body that stopped arriving
			switch {
			case late != nil:
				w.Header().Set("Connection", "close")
				p.passing.Fail(w, p.in, late)
			case req.Context().Err() != nil: // the client has disconnected
				panic(http.ErrAbortHandler)
			case p.body.clientError() != nil:
				w.Header().Set("Connection", "close")
				p.passing.Fail(w, p.in, jobs.NewProblem(jobs.BadMessage, "Broken request", "The body did not arrive whole."))
			default:
				r.fail(w, p, err)
			}
		},
	}
}

// rewrite sets URL and headers of the request to the upstream for one that came in.
func (r *Route) rewrite(out, in *http.Request) {
	out.URL = upstreamURL(r.base(), r.Strip, in.URL, r.Async != Never)
	out.Host = ""
	trailers := out.Header.Get("Te")
	out.Header = r.upstreamHeader(in)
	if trailers != "" { // set by ReverseProxy: the client understands trailers
		out.Header.Set("Te", trailers)
	}
	if Trace(out.Header) == "" {
		out.Header.Set("Traceparent", newTrace())
		out.Header.Del("Tracestate")
	}
}

// dropHubHeaders removes from an upstream's answer what only the hub says.
func dropHubHeaders(h http.Header) {
	DropHubCookies(h)
	maps.DeleteFunc(h, func(name string, _ []string) bool { return IsHubHeader(name) })
}

// PassWebSocket passes a WebSocket through to the upstream.
func (r *Route) PassWebSocket(w http.ResponseWriter, req *http.Request, proxy *upgrade.Proxy, passing Passing) {
	p := &proxied{in: req, sent: time.Now(), passing: passing}
	ctx := context.WithValue(req.Context(), proxiedKey{}, p)
	if r.pool != nil {
		p.call.Key = r.Pool.SplitBy.Key(req, passing.Consumer)
		ctx = upstream.WithCall(ctx, &p.call)
	}
	out := req.Clone(ctx)
	out.Body, out.ContentLength = http.NoBody, 0
	r.rewrite(out, req)
	err := proxy.Serve(w, req, upgrade.Call{Request: out, Transport: r.upgrades, Counters: r.Sockets, Edit: func(h http.Header) {
		dropHubHeaders(h)
		if passing.Edit != nil {
			passing.Edit(h)
		}
	}})
	if err != nil {
		r.fail(w, p, err)
	}
}

// fail answers a request without an answer of the upstream.
func (r *Route) fail(w http.ResponseWriter, p *proxied, err error) {
	if none, ok := errors.AsType[*upstream.Unavailable](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(none.RetryAfter.Seconds())))
	}
	problem, byHub := errors.AsType[*jobs.Problem](err)
	if !byHub {
		if now := time.Now(); !p.answered {
			r.Stats.countAnswer(0, now.Sub(p.sent), now)
		}
		problem = r.problem(err, p.connected || p.call.Connected)
	}
	p.passing.Fail(w, p.in, problem)
}

var errStatus = errors.New("the upstream answered a status below 100")

type cutKey struct{}

// NoteCut returns a context for Pass. If the upstream cuts its answer off, Pass stores at cut
// the problem that a job of the route would have, before it aborts.
func NoteCut(ctx context.Context, cut **jobs.Problem) context.Context {
	return context.WithValue(ctx, cutKey{}, cut)
}

type proxiedKey struct{}

// proxied is the state of a request while it is proxied.
type proxied struct {
	in        *http.Request // as it came
	sent      time.Time
	body      *body // nil if there is none
	connected bool  // a connection to the upstream was made
	answered  bool  // the upstream's answer has begun
	passing   Passing
	call      upstream.Call
	stored    cache.Exchange
}

// Passing says what the hub knows of a proxied request, and does with its answer.
type Passing struct {
	Values   *transform.Values // for the rules of the route; may be nil if it has none
	Consumer string            // who sends it
	Edit     func(http.Header) // changes the headers of the answer; may be nil

	Fail func(http.ResponseWriter, *http.Request, error) // answers a request that could not be proxied
}

func proxiedOf(r *http.Request) *proxied { return r.Context().Value(proxiedKey{}).(*proxied) }

// Pass proxies a request to the upstream. It returns what the cache did, in the words of the
// header Cache-Status (RFC 9211); empty if it did nothing.
func (r *Route) Pass(w http.ResponseWriter, req *http.Request, passing Passing) (stored string) {
	p := &proxied{in: req, sent: time.Now(), passing: passing}
	ctx := context.WithValue(req.Context(), proxiedKey{}, p)
	if r.Cached {
		p.stored.Caller = passing.Consumer
		ctx = cache.With(ctx, &p.stored)
	}
	if r.pool != nil {
		p.call.Key = r.Pool.SplitBy.Key(req, passing.Consumer)
		ctx = upstream.WithCall(ctx, &p.call)
	} else {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { p.connected = true }})
	}
	if ctx.Value(http.ServerContextKey) == nil { // a request of the hub itself: without it, an answer that breaks off would end like a whole one
		ctx = context.WithValue(ctx, http.ServerContextKey, new(http.Server))
	}
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		p.body = &body{from: req.Body}
		defer p.body.close()
		req.Body = &reader{body: p.body}
		// An error only means that the protocol does this anyway.
		http.NewResponseController(w).EnableFullDuplex() // otherwise the body is read to its end before the answer begins
	}
	if cut, ok := ctx.Value(cutKey{}).(**jobs.Problem); ok {
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler && p.answered && ctx.Err() == nil {
					*cut = r.problem(io.ErrUnexpectedEOF, true)
				}
				panic(v)
			}
		}()
	}
	r.proxy.ServeHTTP(&responseWriter{w}, req)
	if p.answered && p.body.clientError() != nil { // the next request on this connection could not be separated from the body
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	return p.stored.Status
}

// problem returns the problem for an upstream that did not answer: the same as that of a job
// of the route.
func (r *Route) problem(err error, connected bool) *jobs.Problem {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && connected {
		p := jobs.NewProblem("timeout", "Upstream timeout", "%s did not answer in time. For long requests send Prefer: respond-async, if the route allows it.", r.Upstream.Host)
		p.Status = http.StatusGatewayTimeout
		return p
	}
	p := egress.AttemptError(context.Background(), r.Upstream, err).(*jobs.Failure).Problem
	p.Status = http.StatusBadGateway
	return p
}

// disableBuffering tells a proxy in front of the hub not to buffer server-sent events.
func disableBuffering(h http.Header) {
	if media, _, _ := mime.ParseMediaType(h.Get("Content-Type")); media == "text/event-stream" && h.Get("X-Accel-Buffering") == "" {
		h.Set("X-Accel-Buffering", "no")
	}
}

// responseWriter removes the hop-by-hop headers from 1xx responses, which net/http/httputil
// keeps (golang.org/issue/81319), and prevents the server from guessing a Content-Type that
// the upstream did not set.
type responseWriter struct{ http.ResponseWriter }

func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(status int) {
	h := w.Header()
	if _, typed := h["Content-Type"]; !typed && status >= 200 {
		h["Content-Type"] = nil
	}
	if status < 200 {
		httpheader.DropConnection(h, h["Connection"])
		for name := range h {
			if isConnectionHeader(name) || strings.EqualFold(name, "Content-Length") {
				delete(h, name)
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// pool holds buffers for proxied bodies.
type pool struct{ sync.Pool }

var buffers = &pool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

func (p *pool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *pool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

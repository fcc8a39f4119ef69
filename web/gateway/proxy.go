package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/httpheader"
	"jobhub/web/peers"
)

const (
	maxIdle   = 256              // connections to one upstream that are kept
	stallTime = 30 * time.Second // an upstream may take no byte of a request for so long
)

// prepare makes what passes requests of a route through. own is where the hub listens.
func (r *Route) prepare(own *egress.Own, fail func(http.ResponseWriter, *http.Request, error)) {
	r.transport = egress.Unguarded(own, r.Outbound)
	dial := r.transport.DialContext
	r.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return peers.NewConn(c, stallTime), nil
	}
	r.transport.ResponseHeaderTimeout = cmp.Or(r.Timeout, jobs.DefaultTimeout)
	r.transport.MaxIdleConns, r.transport.MaxIdleConnsPerHost = maxIdle, maxIdle
	r.jobTransport = egress.Unguarded(own, r.Outbound)
	r.proxy = &httputil.ReverseProxy{
		Transport:  r.transport,
		BufferPool: buffers,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = upstreamURL(r.Upstream, r.Strip, p.In.URL, r.Async != Never)
			p.Out.Host = ""
			p.Out.Trailer = p.In.Trailer // the same map: its values come with the end of the body
			if b := proxiedOf(p.In).body; b != nil {
				p.Out.GetBody = b.fromStart
			}
			trailers := p.Out.Header.Get("Te")
			p.Out.Header = r.upstreamHeader(p.In)
			if trailers != "" { // set by ReverseProxy: the client understands trailers
				p.Out.Header.Set("Te", trailers)
			}
			if Trace(p.Out.Header) == "" {
				p.Out.Header.Set("Traceparent", newTrace())
				p.Out.Header.Del("Tracestate")
			}
		},
		ModifyResponse: func(res *http.Response) error {
			DropHubCookies(res.Header)
			maps.DeleteFunc(res.Header, func(name string, _ []string) bool { return IsHubHeader(name) })
			if res.StatusCode < 100 { // which net/http reads, and refuses to write
				return errStatus
			}
			trip := proxiedOf(res.Request)
			trip.answered = true
			now := time.Now()
			r.Stats.countAnswer(res.StatusCode, now.Sub(trip.sent), now)
			if trip.editHeader != nil {
				trip.editHeader(res.Header)
			}
			disableBuffering(res.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			trip := proxiedOf(req)
			late, _ := errors.AsType[*jobs.Problem](cmp.Or(trip.body.clientError(), err)) // of a body that came no further
			switch {
			case late != nil:
				w.Header().Set("Connection", "close")
				fail(w, req, late)
			case req.Context().Err() != nil: // nobody is there to hear of it
				panic(http.ErrAbortHandler)
			case trip.body.clientError() != nil:
				w.Header().Set("Connection", "close")
				fail(w, req, jobs.NewProblem(jobs.BadMessage, "Broken request", "The body did not arrive whole."))
			default:
				if now := time.Now(); !trip.answered {
					r.Stats.countAnswer(0, now.Sub(trip.sent), now)
				}
				fail(w, req, r.problem(err, trip.connected))
			}
		},
	}
}

var errStatus = errors.New("the upstream answered a status below 100")

type proxiedKey struct{}

// proxied is a request on its way through.
type proxied struct {
	sent       time.Time
	body       *body             // nil if there is none
	connected  bool              // there is a connection to the upstream
	answered   bool              // there is an answer
	editHeader func(http.Header) // may be nil
}

func proxiedOf(r *http.Request) *proxied { return r.Context().Value(proxiedKey{}).(*proxied) }

// Pass sends a request straight through. amend, if not nil, may change the headers of
// the answer.
func (r *Route) Pass(w http.ResponseWriter, req *http.Request, amend func(http.Header)) {
	trip := &proxied{sent: time.Now(), editHeader: amend}
	ctx := httptrace.WithClientTrace(context.WithValue(req.Context(), proxiedKey{}, trip),
		&httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { trip.connected = true }})
	req = req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		trip.body = &body{from: req.Body}
		defer trip.body.close()
		req.Body = &reader{body: trip.body}
		// An error only says that the protocol needs no such permission.
		http.NewResponseController(w).EnableFullDuplex() // else the body is read to its end before the answer begins
	}
	r.proxy.ServeHTTP(&responseWriter{w}, req)
	if trip.answered && trip.body.clientError() != nil { // what follows on this connection can't be told from the body
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// problem is what a caller gets to see of an upstream that did not answer: what a job of
// the route would have ended with.
func (r *Route) problem(err error, connected bool) *jobs.Problem {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && connected {
		p := jobs.NewProblem("timeout", "Upstream timeout", "%s did not answer in time. Ask with Prefer: respond-async for what takes long, if the route allows it.", r.Upstream.Host)
		p.Status = http.StatusGatewayTimeout
		return p
	}
	p := egress.AttemptError(context.Background(), r.Upstream, err).(*jobs.Failure).Problem
	p.Status = http.StatusBadGateway
	return p
}

// disableBuffering tells a proxy in front of the hub to pass events on as they come.
func disableBuffering(h http.Header) {
	if media, _, _ := mime.ParseMediaType(h.Get("Content-Type")); media == "text/event-stream" && h.Get("X-Accel-Buffering") == "" {
		h.Set("X-Accel-Buffering", "no")
	}
}

// responseWriter passes 1xx responses on without their headers of one connection, which
// net/http/httputil leaves there (golang.org/issue/81319), and keeps the server from
// guessing a type where the upstream gave none.
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

// pool is buffers for bodies on their way through.
type pool struct{ sync.Pool }

var buffers = &pool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

func (p *pool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *pool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

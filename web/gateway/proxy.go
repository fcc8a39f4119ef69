package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/web/peers"
)

const (
	connectTimeout = 10 * time.Second // and as much again for TLS
	idleTimeout    = 30 * time.Second
	maxIdle        = 256 // connections to one upstream
	maxHeader      = 256 << 10
	stallTime      = 30 * time.Second // an upstream may take no byte of a request for so long
)

// prepare makes what passes requests of a route through.
func (r *Route) prepare(fail func(http.ResponseWriter, *http.Request, error)) {
	dialer := net.Dialer{Timeout: connectTimeout}
	r.transport = &http.Transport{
		Proxy: nil, // what the environment says is for programs on this machine
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return peers.NewConn(c, stallTime), nil
		},
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  cmp.Or(r.Timeout, jobs.DefaultTimeout),
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // the body is the client's, as it is
		ForceAttemptHTTP2:      true,
	}
	r.proxy = &httputil.ReverseProxy{
		Transport:  r.transport,
		BufferPool: buffers,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = join(r.Upstream, r.Strip, p.In.URL, r.Async != Never)
			p.Out.Host = ""
			p.Out.Trailer = p.In.Trailer // the same map: its values come with the end of the body
			trailers := p.Out.Header.Get("Te")
			p.Out.Header = outgoing(p.In)
			if trailers != "" { // set by ReverseProxy: the client understands trailers
				p.Out.Header.Set("Te", trailers)
			}
			if Trace(p.Out.Header) == "" {
				p.Out.Header.Set("Traceparent", newTrace())
				p.Out.Header.Del("Tracestate")
			}
		},
		ModifyResponse: func(res *http.Response) error {
			if trip, ok := res.Request.Context().Value(tripKey{}).(*trip); ok {
				trip.begun = true
				now := time.Now()
				r.Stats.answered(res.StatusCode, now.Sub(trip.sent), now)
				if trip.amend != nil {
					trip.amend(res.Header)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			body, _ := req.Body.(*watched)
			late, _ := errors.AsType[*jobs.Problem](err) // of a body that came no further
			switch {
			case late != nil:
				w.Header().Set("Connection", "close")
				fail(w, req, late)
			case req.Context().Err() != nil: // nobody is there to hear of it
				panic(http.ErrAbortHandler)
			case body != nil && body.failed():
				w.Header().Set("Connection", "close")
				fail(w, req, jobs.NewProblem(jobs.BadMessage, "Broken request", "The body did not arrive whole."))
			default:
				if trip, ok := req.Context().Value(tripKey{}).(*trip); ok && !trip.begun {
					now := time.Now()
					r.Stats.answered(0, now.Sub(trip.sent), now)
				}
				fail(w, req, r.problem(err))
			}
		},
	}
}

type tripKey struct{}

// trip is a request on its way through.
type trip struct {
	sent  time.Time
	begun bool              // there is an answer
	amend func(http.Header) // may be nil
}

// Pass sends a request straight through. amend, if not nil, may change the headers of
// the answer.
func (r *Route) Pass(w http.ResponseWriter, req *http.Request, amend func(http.Header)) {
	req = req.WithContext(context.WithValue(req.Context(), tripKey{}, &trip{sent: time.Now(), amend: amend}))
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &watched{ReadCloser: req.Body}
		// An error only says that the protocol needs no such permission.
		http.NewResponseController(w).EnableFullDuplex() // else the body is read to its end before the answer begins
	}
	r.proxy.ServeHTTP(&interim{w}, req)
}

// problem is what a caller gets to see of an upstream that did not answer.
func (r *Route) problem(err error) *jobs.Problem {
	host := r.Upstream.Host
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		p := jobs.NewProblem("timeout", "Upstream timeout", "%s did not answer in time. Ask with Prefer: respond-async for what takes long, if the route allows it.", host)
		p.Status = http.StatusGatewayTimeout
		return p
	}
	p := jobs.NewProblem("upstream_unreachable", "Upstream unreachable", "%s gave no complete answer. Check that it is up; whether it did what was asked is unknown.", host)
	p.Status = http.StatusBadGateway
	return p
}

// interim passes 1xx responses on without their headers of one connection, which
// net/http/httputil leaves there (golang.org/issue/81319), and keeps the server from
// guessing a type where the upstream gave none.
type interim struct{ http.ResponseWriter }

func (w *interim) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *interim) WriteHeader(status int) {
	h := w.Header()
	if _, typed := h["Content-Type"]; !typed && status >= 200 {
		h["Content-Type"] = nil
	}
	if status < 200 {
		jobs.DropNamed(h, h["Connection"])
		for name := range h {
			if ofConnection(name) || strings.EqualFold(name, "Content-Length") {
				delete(h, name)
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// watched remembers that the client did not send the body as it should have.
type watched struct {
	io.ReadCloser
	mu  sync.Mutex // protects err
	err error
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *watched) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil
}

// pool is buffers for bodies on their way through.
type pool struct{ sync.Pool }

var buffers = &pool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

func (p *pool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *pool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// upstream is a transport that answers in the process.
type upstream func(r *http.Request) (*http.Response, error)

func (u upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res, err := u(r)
	if err == nil && res.Request == nil {
		res.Request = r
	}
	return res, err
}

// reply makes an answer of an upstream; lines are its headers.
func reply(status int, body string, lines ...string) *http.Response {
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Length": {strconv.Itoa(len(body))}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if http.CanonicalHeaderKey(name) == "Date" {
			h.Del(name)
		}
		h.Add(name, value)
	}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// world is a cache in front of an upstream that counts.
type world struct {
	t     testing.TB
	cache *Cache
	next  *Transport
	mu    sync.Mutex
	seen  []*http.Request
	do    upstream
}

func newWorld(t testing.TB, o Options, p Policy, do upstream) *world {
	w := &world{t: t, cache: New(o), do: do}
	t.Cleanup(w.cache.Close)
	w.next = w.cache.Transport(upstream(func(r *http.Request) (*http.Response, error) {
		w.mu.Lock()
		w.seen = append(w.seen, r)
		do := w.do
		w.mu.Unlock()
		return do(r)
	}), p)
	return w
}

func (w *world) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

func (w *world) last() *http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[len(w.seen)-1]
}

func (w *world) answers(do upstream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.do = do
}

// request makes the request "METHOD URL", with headers as lines.
func request(t testing.TB, line string, lines ...string) *http.Request {
	method, target, _ := strings.Cut(line, " ")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	if u.Host == "" {
		u.Scheme, u.Host = "http", "up"
	}
	r := &http.Request{Method: method, URL: u, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		name = strings.TrimSuffix(name, ":")
		if name == "Content-Length" {
			r.ContentLength, _ = strconv.ParseInt(value, 10, 64)
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", int(r.ContentLength))))
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

// result is an answer to a client.
type result struct {
	*http.Response
	body string
	err  error
	x    Exchange
}

// send sends a request of a caller and reads its answer.
func (w *world) send(caller, line string, lines ...string) result {
	return w.sendIn(context.Background(), caller, line, lines...)
}

func (w *world) sendIn(ctx context.Context, caller, line string, lines ...string) (got result) {
	got.x.Caller = caller
	r := request(w.t, line, lines...)
	got.Response, got.err = w.next.RoundTrip(r.WithContext(With(ctx, &got.x)))
	if got.err != nil {
		return got
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	got.body, got.err = string(b), err
	return got
}

// recorder is a client of a proxy with its 1xx answers.
type recorder struct {
	header  http.Header
	status  int
	sent    http.Header
	body    bytes.Buffer
	interim []interim
}

type interim struct {
	status int
	header http.Header
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if status < 200 {
		r.interim = append(r.interim, interim{status, r.header.Clone()})
		return
	}
	if r.status == 0 {
		r.status, r.sent = status, r.header.Clone()
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *recorder) Flush() {}

var quiet = log.New(io.Discard, "", 0)

// proxy sends a request through a reverse proxy, as the gateway does.
func proxy(t http.RoundTripper, in *http.Request, caller string) (rec *recorder) {
	rec = &recorder{header: http.Header{}}
	p := &httputil.ReverseProxy{Transport: t, FlushInterval: -1, ErrorLog: quiet,
		Rewrite: func(*httputil.ProxyRequest) {},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if errors.Is(err, ErrNotStored) {
				w.WriteHeader(http.StatusGatewayTimeout)
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		}}
	ctx := context.WithValue(With(in.Context(), &Exchange{Caller: caller}), http.ServerContextKey, new(http.Server))
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
	}()
	p.ServeHTTP(rec, in.WithContext(ctx))
	return rec
}

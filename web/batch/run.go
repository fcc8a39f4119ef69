package batch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/httpheader"
	"jobhub/web/rest"
)

// batch is a batch at work. Each item is a request to the server's own handler, in a
// goroutine that run waits for.
type batch struct {
	server    *Server
	outer     *http.Request // whose caller the items act for
	items     []batchItem
	key       func(index int) string // Idempotency-Key of an item that has none; nil for none
	onAnswer  func()                 // called after every answer; may be nil
	resumable bool                   // an item that is cut short gets no answer: it is asked again
	start     time.Time              // of an asynchronous batch
	bytesLeft atomic.Int64           // bytes that answers may still take
	reserved  atomic.Int64           // bytes of the server's budget

	slots   chan struct{}
	workers sync.WaitGroup

	mu                  sync.Mutex // protects the fields below
	dependents          map[int][]int
	pendingDependencies []int        // how many other items each waits for
	dependencyFailed    []bool       // one of these did not answer 2xx
	responses           []jobs.Value // nil where there is none yet
	answered            int
	failures            int // of these, how many are not 2xx
	times               []itemTime
}

func newBatch(s *Server, outer *http.Request, items []batchItem, most int64) *batch {
	b := &batch{server: s, outer: outer, items: items, slots: make(chan struct{}, rest.BatchConcurrency), dependents: dependentsOf(items),
		pendingDependencies: make([]int, len(items)), dependencyFailed: make([]bool, len(items)), responses: make([]jobs.Value, len(items))}
	b.bytesLeft.Store(most)
	return b
}

// reserve makes room for a part of an answer, within what the batch and all answers may have.
func (b *batch) reserve(n int64) bool {
	if b.bytesLeft.Add(-n) < 0 || !b.server.Answers.Reserve(n) {
		b.bytesLeft.Add(n)
		return false
	}
	b.reserved.Add(n)
	return true
}

// release gives back what an answer took that is not kept.
func (b *batch) release(n int64) {
	b.bytesLeft.Add(n)
	b.reserved.Add(-n)
	b.server.Answers.Release(n)
}

// releaseAll gives back what the answers took.
func (b *batch) releaseAll() { b.server.Answers.Release(b.reserved.Swap(0)) }

// maxTimedItems is of how many items a batch tells when they were at work.
const maxTimedItems = 100

// itemTime is when an item was at work, in ms from the start of the batch; nil where that
// is not known.
type itemTime *[2]int64

// markStarted notes the start of an item.
func (b *batch) markStarted(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.times != nil {
		b.times[i] = &[2]int64{time.Since(b.start).Milliseconds(), -1}
	}
}

// itemKeys derives the keys of the items from that of their batch.
func itemKeys(key string) func(int) string {
	sum := sha256.Sum256([]byte(key))
	prefix := "batch-" + hex.EncodeToString(sum[:16]) + "-"
	return func(index int) string { return fmt.Sprint(prefix, index) }
}

// run serves all items that have no answer yet, and returns when all have one. When ctx ends,
// those that have not begun are not run.
func (b *batch) run(ctx context.Context) {
	type startable struct {
		index int
		req   *http.Request
		err   error
		quick bool // only waits for its commit
	}
	var start []startable
	var refused []int // of a batch that goes on: whose fate is known already
	members := 0
	b.mu.Lock()
	for i := range b.items {
		for _, on := range b.items[i].after {
			if b.responses[on] == nil {
				b.pendingDependencies[i]++
			} else if !succeeded(b.responses[on]) {
				b.dependencyFailed[i] = true
			}
		}
		switch {
		case b.pendingDependencies[i] > 0 || b.responses[i] != nil:
		case b.dependencyFailed[i]:
			refused = append(refused, i)
		default:
			req, err := b.request(i)
			quick := b.isSubmission(req)
			start = append(start, startable{i, req, err, quick})
			if quick {
				members++
			}
		}
	}
	b.mu.Unlock()
	group := engine.NewGroup(members)
	for _, r := range start {
		b.workers.Go(func() {
			if !r.quick {
				b.runItem(ctx, r.index, r.req, r.err)
				return
			}
			ctx, leave := group.Join(ctx)
			defer leave()
			b.submit(ctx, r.index, r.req)
		})
	}
	for _, i := range refused {
		b.refuse(ctx, i)
	}
	b.workers.Wait()
}

// isSubmission reports whether a request hands in a job and does little else. Those of a
// batch are committed together.
func (b *batch) isSubmission(r *http.Request) bool {
	if r == nil {
		return false
	}
	path := r.URL.Path
	if path == "/v1/jobs" || path == "/v1/jobs:bulk" || strings.HasPrefix(path, "/v1/jobs/") && strings.HasSuffix(path, "/retry") {
		return r.Method == http.MethodPost
	}
	return b.server.front.MakesJob(r)
}

// runItem answers one item, and then starts those that waited for it.
func (b *batch) runItem(ctx context.Context, i int, req *http.Request, err error) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		if !b.resumable {
			w := &itemWriter{header: http.Header{}}
			b.fail(w, i, jobs.Unavailable("Not run", "The caller of the batch had left before it was the turn of this request; nothing was done for it."))
			b.answer(ctx, i, w)
		}
		return
	}
	b.markStarted(i)
	w := &itemWriter{header: http.Header{}, batch: b}
	if err != nil {
		b.fail(w, i, err)
	} else {
		itemCtx, cancel := context.WithCancel(ctx)
		defer cancel()
		w.cancel = cancel
		b.call(w, req.WithContext(itemCtx))
	}
	b.finish(ctx, i, w)
}

// submit is serve for an item that hands in a job.
func (b *batch) submit(ctx context.Context, i int, req *http.Request) {
	b.markStarted(i)
	w := &itemWriter{header: make(http.Header, 8), batch: b}
	b.call(w, req.WithContext(ctx))
	b.finish(ctx, i, w)
}

// finish looks at how an item went.
func (b *batch) finish(ctx context.Context, i int, w *itemWriter) {
	if ctx.Err() != nil && b.resumable { // it may have been cut short
		return
	}
	if w.tooLarge {
		w = &itemWriter{header: http.Header{}}
		b.fail(w, i, &jobs.Problem{Type: "urn:jobhub:problem:too_large", Title: "Answer too large", Status: http.StatusBadGateway, Code: jobs.TooLarge,
			Detail: fmt.Sprintf("The answer is over %d bytes, or those to the whole batch are over their limit. The request may have had its effect; send it by itself.", rest.MaxAnswer)})
	}
	b.answer(ctx, i, w)
}

// call has the server answer a request.
func (b *batch) call(w *itemWriter, req *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p != http.ErrAbortHandler {
			b.server.Logger.Error("an item of a batch panicked", "path", req.URL.Path, "panic", p, "stack", string(debug.Stack()))
		}
		if !w.tooLarge {
			w.batch.release(w.reserved)
			*w = itemWriter{header: http.Header{}}
			rest.WriteProblem(w, jobs.Problem{Type: "urn:jobhub:problem:internal", Title: "Broken answer", Status: http.StatusBadGateway, Code: jobs.Internal,
				Detail: "The answer broke off. Whether the request had its effect is unknown."}, req.URL.Path)
		}
	}()
	b.server.front.Serve(w, req)
}

func (b *batch) fail(w http.ResponseWriter, i int, err error) {
	rest.WriteProblem(w, rest.ProblemOf(err), b.items[i].target())
}

// answer records the answer to an item.
func (b *batch) answer(ctx context.Context, i int, w *itemWriter) {
	for name := range w.header {
		if name == "Content-Length" || strings.HasPrefix(name, http.TrailerPrefix) || httpheader.IsHopByHop(name) {
			delete(w.header, name)
		}
	}
	response := appendResponse(make([]byte, 0, 512+len(w.body)), &b.items[i], i, w.code(), w.header, w.body)
	b.mu.Lock()
	if b.times != nil && b.times[i] != nil {
		b.times[i][1] = time.Since(b.start).Milliseconds()
	}
	b.responses[i] = response
	b.answered++
	if !succeeded(response) {
		b.failures++
	}
	var next, refused []int
	for _, d := range b.dependents[i] {
		b.dependencyFailed[d] = b.dependencyFailed[d] || !succeeded(response)
		if b.pendingDependencies[d]--; b.pendingDependencies[d] > 0 {
			continue
		}
		if b.dependencyFailed[d] {
			refused = append(refused, d)
		} else {
			next = append(next, d)
		}
	}
	b.mu.Unlock()
	if b.onAnswer != nil {
		b.onAnswer()
	}
	for _, d := range next {
		b.workers.Go(func() {
			req, err := b.request(d)
			b.runItem(ctx, d, req, err)
		})
	}
	for _, d := range refused {
		b.refuse(ctx, d)
	}
}

// refuse answers an item that waited for one that did not go well.
func (b *batch) refuse(ctx context.Context, i int) {
	w := &itemWriter{header: http.Header{}}
	b.fail(w, i, &jobs.Problem{Type: "urn:jobhub:problem:conflict", Title: "Failed dependency", Status: http.StatusFailedDependency, Code: jobs.Conflict,
		Detail: "A request that this one depends on did not answer 2xx; it was not run."})
	b.answer(ctx, i, w)
}

// succeeded reports whether a response has a status of 2xx.
func succeeded(response jobs.Value) bool {
	_, rest, _ := bytes.Cut(response, []byte(`"status":`)) // an id can't hold it: its quotes are escaped
	return len(rest) > 0 && rest[0] == '2'
}

// document is the answer to the batch as far as it is.
func (b *batch) document() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := 32
	for _, r := range b.responses {
		size += len(r) + 5
	}
	out := append(make([]byte, 0, size), `{"responses":[`...)
	for i, r := range b.responses {
		if i > 0 {
			out = append(out, ',')
		}
		if r == nil {
			r = noAnswer
		}
		out = append(out, r...)
	}
	return append(out, ']', '}')
}

// inheritedHeaders are the headers that an item has from its batch: who calls, and from where.
var inheritedHeaders = []string{"Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "User-Agent", "Accept-Language",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Traceparent", "Tracestate"}

// credentialHeaders are those of them that an item can't have of its own.
var credentialHeaders = []string{"Authorization", "Cookie", "Host", "Origin", "Forwarded"}

// request makes the request of an item. Its error is a *jobs.Problem.
func (b *batch) request(i int) (*http.Request, error) {
	item := &b.items[i]
	bad := func(detail string) (*http.Request, error) {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed request", "%s", detail)
	}
	method := strings.ToUpper(item.Method)
	switch {
	case !httpheader.IsToken(method) || method == http.MethodConnect || method == http.MethodTrace:
		return bad("method must be an HTTP method like GET or POST, and not CONNECT or TRACE.")
	case item.Path != "" && item.URL != "":
		return bad("Give path or url, not both.")
	case !strings.HasPrefix(item.target(), "/") || strings.HasPrefix(item.target(), "//"):
		return bad("path must begin with one /: requests of a batch go to this hub only.")
	case strings.IndexFunc(item.target(), func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '#' }) >= 0:
		return bad("path must not hold spaces, control characters, \\ and #; escape them.")
	}
	u, err := url.ParseRequestURI(item.target())
	if err != nil {
		return bad("path is not a valid path with an optional query.")
	}
	if u.Path == "/v1/ws" || u.Path == "/v1/events" {
		return nil, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Unsupported", Status: http.StatusBadRequest, Code: jobs.Unsupported,
			Detail: "What " + u.Path + " answers has no end; connect to it outside a batch."}
	}
	header := make(http.Header, len(item.Headers)+4)
	keyHeader := b.server.KeyHeader()
	for _, name := range append(slices.Clip(inheritedHeaders), keyHeader) {
		if values := b.outer.Header[name]; values != nil {
			header[name] = values
		}
	}
	for name, value := range item.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpheader.IsToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return bad("headers holds one that HTTP does not allow.")
		case slices.Contains(credentialHeaders, canonical) || canonical == keyHeader || strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "Sec-"):
			return bad(canonical + " is that of the batch; send it there.")
		case httpheader.IsHopByHop(canonical) || canonical == "Content-Length":
		default:
			header[canonical] = []string{value}
		}
	}
	body, contentType, err := itemBody(item.Body)
	if err != nil {
		return bad(err.Error() + ".")
	}
	if contentType != "" && header["Content-Type"] == nil {
		header["Content-Type"] = []string{contentType}
	}
	if b.key != nil && method == http.MethodPost && header["Idempotency-Key"] == nil {
		header["Idempotency-Key"] = []string{b.key(i)}
	}
	return &http.Request{Method: method, URL: u, RequestURI: item.target(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Host: b.outer.Host, RemoteAddr: b.outer.RemoteAddr, TLS: b.outer.TLS}, nil
}

var errTooLarge = errors.New("the answer is too large")

// itemWriter keeps the answer to an item.
type itemWriter struct {
	header   http.Header
	status   int
	body     []byte
	tooLarge bool   // more was written than there is room for
	reserved int64  // bytes of the room that are its own: those written, or announced
	batch    *batch // whose room it takes; nil for what the batch itself says
	cancel   func() // ends the request; may be nil
}

func (w *itemWriter) Header() http.Header { return w.header }

func (w *itemWriter) WriteHeader(status int) {
	if w.status != 0 || status < 200 { // 1xx are about the way, not the answer
		return
	}
	w.status = status
	if size, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && size > 0 {
		w.reserve(size) // at once: pieces of several answers would leave no room for any of them
	}
}

func (w *itemWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.reserve(int64(len(w.body) + len(p))) {
		return 0, errTooLarge
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// reserve makes room for an answer of a size. Without it the request ends.
func (w *itemWriter) reserve(size int64) bool {
	switch more := size - w.reserved; {
	case w.batch == nil || more <= 0 && !w.tooLarge:
		return true
	case !w.tooLarge && size <= rest.MaxAnswer && w.batch.reserve(more):
		w.reserved = size
		return true
	}
	w.tooLarge, w.body = true, nil
	if w.batch.release(w.reserved); w.cancel != nil {
		w.cancel()
	}
	w.reserved = 0
	return false
}

// Flush does nothing: an answer is read when it is whole.
func (w *itemWriter) Flush() {}

func (w *itemWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

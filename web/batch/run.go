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
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/httpheader"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// batch is a batch that runs. Each item is a request to the server's own handler, in a
// goroutine that run waits for.
type batch struct {
	server    *Server
	outer     *http.Request // whose credentials the items use
	items     []batchItem
	key       func(index int) string // returns the Idempotency-Key of an item without one; nil to set none
	onAnswer  func()                 // called after each answer; may be nil
	resumable bool                   // an item that was interrupted gets no answer, and runs again
	start     time.Time              // of an asynchronous batch
	bytesLeft atomic.Int64           // that the answers may still use
	reserved  atomic.Int64           // bytes, of the server's budget

	slots   chan struct{}
	workers sync.WaitGroup

	mu                  sync.Mutex // protects the fields below
	dependents          map[int][]int
	pendingDependencies []int        // how many unanswered items each depends on
	dependencyFailed    []bool       // an item that it depends on was not answered with 2xx
	responses           []jobs.Value // nil where there is none yet
	answered            int
	failures            int // answers that are not 2xx
	times               []itemTime
}

func newBatch(s *Server, outer *http.Request, items []batchItem, most int64) *batch {
	b := &batch{server: s, outer: outer, items: items, slots: make(chan struct{}, rest.BatchConcurrency), dependents: dependentsOf(items),
		pendingDependencies: make([]int, len(items)), dependencyFailed: make([]bool, len(items)), responses: make([]jobs.Value, len(items))}
	b.bytesLeft.Store(most)
	return b
}

// reserve reserves n bytes for an answer, or returns false if the limit of the batch or the
// budget of the server does not allow it.
func (b *batch) reserve(n int64) bool {
	if b.bytesLeft.Add(-n) < 0 || !b.server.Answers.Reserve(n) {
		b.bytesLeft.Add(n)
		return false
	}
	b.reserved.Add(n)
	return true
}

// release gives back n bytes of an answer that is not kept.
func (b *batch) release(n int64) {
	b.bytesLeft.Add(n)
	b.reserved.Add(-n)
	b.server.Answers.Release(n)
}

// releaseAll gives back all that the answers have reserved of the server's budget.
func (b *batch) releaseAll() { b.server.Answers.Release(b.reserved.Swap(0)) }

// maxTimedItems is the largest batch that reports when its items ran.
const maxTimedItems = 100

// itemTime is when an item started and ended, in ms since the start of the batch; nil if that
// is not known.
type itemTime *[2]int64

// markStarted records that an item starts.
func (b *batch) markStarted(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.times != nil {
		b.times[i] = &[2]int64{time.Since(b.start).Milliseconds(), -1}
	}
}

// itemKeys derives the idempotency keys of the items from that of their batch.
func itemKeys(key string) func(int) string {
	sum := sha256.Sum256([]byte(key))
	prefix := "batch-" + hex.EncodeToString(sum[:16]) + "-"
	return func(index int) string { return fmt.Sprint(prefix, index) }
}

// run runs all items that have no answer yet, and returns when all have one. When ctx ends,
// items that have not started are not run.
func (b *batch) run(ctx context.Context) {
	type startable struct {
		index      int
		req        *http.Request
		err        error
		submission bool // see isSubmission
	}
	var start []startable
	var refused []int // items whose dependencies have failed in an earlier attempt
	submissions := 0
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
			submission := b.isSubmission(req)
			start = append(start, startable{i, req, err, submission})
			if submission {
				submissions++
			}
		}
	}
	b.mu.Unlock()
	group := commit.NewGroup(submissions)
	for _, r := range start {
		b.workers.Go(func() {
			if !r.submission {
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

// isSubmission reports whether a request only submits a job. The submissions of a batch are
// committed together, and need no slot.
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

// runItem runs one item, and then starts those that waited for it.
func (b *batch) runItem(ctx context.Context, i int, req *http.Request, err error) {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		if !b.resumable {
			w := &itemWriter{header: http.Header{}}
			b.fail(w, i, jobs.Unavailable("Not run", "The client disconnected before this request was run; nothing was done for it."))
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

// submit is runItem for a submission.
func (b *batch) submit(ctx context.Context, i int, req *http.Request) {
	b.markStarted(i)
	w := &itemWriter{header: make(http.Header, 8), batch: b}
	b.call(w, req.WithContext(ctx))
	b.finish(ctx, i, w)
}

// finish checks how an item ended, and records its answer.
func (b *batch) finish(ctx context.Context, i int, w *itemWriter) {
	if ctx.Err() != nil && b.resumable { // it may have been interrupted
		return
	}
	if w.tooLarge {
		w = &itemWriter{header: http.Header{}}
		b.fail(w, i, &jobs.Problem{Type: "urn:jobhub:problem:too_large", Title: "Answer too large", Status: http.StatusBadGateway, Code: jobs.TooLarge,
			Detail: fmt.Sprintf("The answer is over %d bytes, or all answers of the batch together are over their limit. The request may have taken effect; send it by itself.", rest.MaxAnswer)})
	}
	b.answer(ctx, i, w)
}

// call lets the server answer a request. A panic becomes the answer 502: that of an upstream
// which cut its answer off is what the same request as a job would get.
func (b *batch) call(w *itemWriter, req *http.Request) {
	var cut *jobs.Problem
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
			if cut == nil {
				cut = &jobs.Problem{Type: "urn:jobhub:problem:internal", Title: "Broken answer", Status: http.StatusBadGateway, Code: jobs.Internal,
					Detail: "The answer was cut off. Whether the request took effect is unknown."}
			}
			rest.WriteProblem(w, *cut, req.URL.Path)
		}
	}()
	b.server.front.Serve(w, req.WithContext(gateway.NoteCut(req.Context(), &cut)))
}

func (b *batch) fail(w http.ResponseWriter, i int, err error) {
	rest.WriteProblem(w, rest.ProblemOf(err), b.items[i].target())
}

// answer records the answer to an item, and starts or refuses the items that waited for it.
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

// refuse answers an item one of whose dependencies failed.
func (b *batch) refuse(ctx context.Context, i int) {
	w := &itemWriter{header: http.Header{}}
	b.fail(w, i, &jobs.Problem{Type: "urn:jobhub:problem:conflict", Title: "Failed dependency", Status: http.StatusFailedDependency, Code: jobs.Conflict,
		Detail: "A request that this one depends on was not answered with 2xx, so this one was not run."})
	b.answer(ctx, i, w)
}

// succeeded reports whether a response has a status of 2xx.
func succeeded(response jobs.Value) bool {
	_, rest, _ := bytes.Cut(response, []byte(`"status":`)) // an id can't contain this: its quotes are escaped
	return len(rest) > 0 && rest[0] == '2'
}

// document returns the answer to the batch, with null for items that have none yet.
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

// inheritedHeaders are the headers that an item takes from its batch: who calls, and from where.
var inheritedHeaders = []string{"Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "User-Agent", "Accept-Language",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Traceparent", "Tracestate"}

// credentialHeaders are headers that an item can't set itself.
var credentialHeaders = []string{"Authorization", "Cookie", "Host", "Origin", "Forwarded"}

// request returns the request of an item. Its error is a *jobs.Problem.
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
		return bad("path must not contain spaces, control characters, \\ and #; escape them.")
	}
	u, err := url.ParseRequestURI(item.target())
	if err != nil {
		return bad("path is not a valid path with an optional query.")
	}
	if u.Path == "/v1/ws" || u.Path == "/v1/events" {
		return nil, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Unsupported", Status: http.StatusBadRequest, Code: jobs.Unsupported,
			Detail: "The answer of " + u.Path + " has no end; connect to it outside a batch."}
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
			return bad("headers has a name or value that HTTP does not allow.")
		case slices.Contains(credentialHeaders, canonical) || canonical == keyHeader || strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "Sec-"):
			return bad(canonical + " can't be set in an item; set it on the batch.")
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
	tooLarge bool   // more was written than is allowed
	reserved int64  // bytes reserved: those written, or announced by Content-Length
	batch    *batch // whose bytes it uses; nil for answers of the batch itself
	cancel   func() // ends the request; may be nil
}

func (w *itemWriter) Header() http.Header { return w.header }

func (w *itemWriter) WriteHeader(status int) {
	if w.status != 0 || status < 200 { // 1xx is not the final answer
		return
	}
	w.status = status
	if size, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && size > 0 {
		w.reserve(size) // at once, so that several answers don't use up the limit and none is complete
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

// reserve reserves bytes for an answer of size bytes. If that fails, it cancels the request.
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

// Flush does nothing: the answer is read when it is complete.
func (w *itemWriter) Flush() {}

func (w *itemWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

package web_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/web"
	"jobhub/web/gateway"
)

// upstream is the HTTP API of a route, which counts its requests.
type upstream struct {
	*httptest.Server
	hits atomic.Int64
}

func newUpstream(t *testing.T, h http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) route(path string, change ...func(*gateway.Route)) gateway.Route {
	at, err := url.Parse(u.URL)
	if err != nil {
		panic(err)
	}
	r := gateway.Route{Path: path, Upstream: at}
	for _, c := range change {
		c(&r)
	}
	return r
}

// startRoutes starts a hub with routes, and jobs of kind http as the program has them.
func startRoutes(t *testing.T, routes ...gateway.Route) *world {
	t.Helper()
	w := start(t)
	w.Apply(web.Settings{}, routes)
	return w
}

// sample is the upstream of the differential test: the request says what it answers.
func sample(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(599)
		return
	}
	h := w.Header()
	h.Set("X-Saw", fmt.Sprintf("%s %s %d %x", r.Method, r.RequestURI, len(body), body[:min(len(body), 32)]))
	for _, name := range []string{"Content-Type", "X-One", "X-Many", "Cookie", "Authorization", "Prefer", "Accept-Encoding", "X-Forwarded-Host", "User-Agent"} {
		for _, v := range r.Header[name] {
			h.Add("X-Got-"+name, v)
		}
	}
	q := r.URL.Query()
	switch q.Get("headers") {
	case "many":
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2"}
		h["X-Multi"] = []string{"one", "two, three"}
		h.Set("Etag", `W/"1"`)
		h.Set("X-Empty", "")
		h.Set("X-Latin", "caf\xe9")
		h.Set("Location", "/items/7")
		h.Set("Cache-Control", "max-age=60")
		h.Set("Content-Language", "de")
		h.Set("Vary", "Accept")
	case "hop":
		h.Set("Connection", "X-Private")
		h.Set("X-Private", "1")
		h.Set("Keep-Alive", "timeout=7")
		h.Set("Proxy-Authenticate", "Basic")
	case "untyped":
		h["Content-Type"] = nil
	case "date":
		h.Set("Date", "Tue, 15 Nov 1994 08:12:31 GMT")
	}
	var answer []byte
	switch q.Get("body") {
	case "text":
		answer = []byte("hello\r\n")
	case "binary":
		answer = []byte{0, 1, 2, 0xff, 0xfe, '\n', 0x80}
		h.Set("Content-Type", "application/octet-stream")
	case "json":
		answer = []byte(`{ "b":1.0, "a":12345678901234567890 }`)
		h.Set("Content-Type", "application/json")
	case "gzip":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(bytes.Repeat([]byte("zip "), 1000))
		z.Close()
		answer = b.Bytes()
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Type", "text/plain")
	case "large":
		answer = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		h.Set("Content-Type", "text/plain")
	case "echo":
		answer = body
	}
	if q.Get("body") == "chunked" {
		w.Write([]byte("one"))
		w.(http.Flusher).Flush()
		w.Write([]byte("two"))
		return
	}
	status, _ := strconv.Atoi(cmp.Or(q.Get("status"), "200"))
	w.WriteHeader(status)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		w.Write(answer)
	}
}

// comparable is an answer without what only one of its ways has.
func comparable(r reply) string {
	h := r.header.Clone()
	for _, name := range []string{"Date", "Asyncresult", "Operation-Location", "Preference-Applied", "Content-Security-Policy", "X-Content-Type-Options",
		"Referrer-Policy", "Idempotency-Replayed", "Content-Length"} {
		h.Del(name)
	}
	vary := slices.DeleteFunc(h["Vary"], func(v string) bool { return v == "Prefer" })
	if h["Vary"] = vary; len(vary) == 0 {
		delete(h, "Vary")
	}
	var b strings.Builder
	h.Write(&b)
	return fmt.Sprintf("%d\n%s\n%q", r.status, b.String(), r.body)
}

// TestDifferential sends the same request synchronously, asynchronously with polling, and
// with Prefer: wait; the three answers must be the same.
func TestDifferential(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Strip, r.ForwardAuth = "/api", true }))
	compare := func(method, path, body string, headers ...string) {
		t.Helper()
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		sync := w.do(method, path, body, headers...)
		accepted := w.do(method, path+separator+"async=true", body, headers...).want(202)
		location := accepted.header.Get("Location")
		if _, err := w.engine.Wait(t.Context(), jobs.DefaultTenant, uuid.MustParse(strings.Split(location, "/")[3])); err != nil {
			t.Fatal(err)
		}
		polled := w.do("GET", location, "", "Accept-Encoding", "gzip")
		waited := w.do(method, path, body, append(headers, "Prefer", "respond-async, wait=20")...)
		want := strconv.Itoa(sync.status)
		polled.has("AsyncResult", want, "Content-Security-Policy", "sandbox", "X-Content-Type-Options", "nosniff")
		waited.has("AsyncResult", want, "Preference-Applied", "respond-async, wait=20")
		if method == "HEAD" && waited.header.Get("Content-Length") != sync.header.Get("Content-Length") {
			t.Errorf("HEAD %s: length %q, want %q", path, waited.header.Get("Content-Length"), sync.header.Get("Content-Length"))
		}
		if a, b := comparable(sync), comparable(polled); a != b {
			t.Errorf("%s %s\nsync:   %s\npolled: %s", method, path, a, b)
		}
		if a, b := comparable(sync), comparable(waited); a != b {
			t.Errorf("%s %s\nsync:   %s\nwaited: %s", method, path, a, b)
		}
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		body := ""
		if method != "GET" && method != "HEAD" && method != "OPTIONS" {
			body = `{"n": 1.50, "n2":1}`
		}
		for _, status := range []int{200, 201, 204, 304, 302, 400, 404, 410, 500, 503} {
			compare(method, fmt.Sprintf("/api/items?status=%d&body=json&headers=many", status), body)
		}
	}
	for _, headers := range []string{"many", "hop", "untyped", "date"} {
		for _, body := range []string{"none", "text", "binary", "json", "gzip", "large", "chunked"} {
			compare("GET", "/api/x?headers="+headers+"&body="+body, "", "Accept-Encoding", "gzip")
		}
	}
	for _, body := range []string{"x", "\x00\xff\xfe binary", "ünï ", strings.Repeat("\x01", 70_000), `{"a":1,"a":2}`, "not json"} {
		for _, typ := range []string{"application/json", "application/octet-stream", "text/plain; charset=utf-8"} {
			compare("POST", "/api/x?body=echo", body, "Content-Type", typ)
		}
	}
	compare("POST", "/api/x?body=echo", strings.Repeat("a", 2<<20))
	compare("PUT", "/api/x?body=echo", "x", "Cookie", "a=1; b=2", "Authorization", "Basic dXNlcg==", "X-One", "äö")
	for _, path := range []string{"/api/a%2Fb//c/", "/api/a;b=c/d%20e", "/api/%C3%A4?x=%2F&y=a+b&z", "/api/?a=1&&b=2;c=3"} {
		compare("GET", path, "")
	}
}

// TestPassThrough: what is not asked for asynchronously never becomes a job.
func TestPassThrough(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/"), up.route("/never/", func(r *gateway.Route) { r.Async = gateway.Never }))
	w.do("GET", "/api/x?body=text", "").want(200).has("X-Content-Type-Options", "", "Content-Security-Policy", "")
	w.do("GET", "/api/x", "", "Prefer", "wait=5, handling=strict").want(200).has("X-Got-Prefer", "wait=5, handling=strict")
	w.do("GET", "/api/x?async=false", "", "Prefer", "respond-async").want(200).has("X-Saw", "GET /api/x 0")
	w.do("GET", "/api/x?async=maybe", "").want(200).has("X-Saw", "GET /api/x?async=maybe 0")
	w.do("POST", "/never/x?async=true", "{}", "Prefer", "respond-async").want(200).has("X-Saw", "POST /never/x?async=true 2 7b7d", "X-Got-Prefer", "respond-async")
	w.nothingStored()
	w.do("GET", "/apix", "").problem(404, "not_found")
	w.do("GET", "/api", "").problem(404, "not_found")
}

// TestRouteAccepted: the answer of section 9.
func TestRouteAccepted(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Queue = "orders" }))
	w.do("POST", "/v1/queues/orders/pause", `{}`)
	for i, header := range [][]string{nil, {"Prefer", `foo="a, wait=9"; bar, RESPOND-ASYNC`}} {
		path := "/api/x?a=1&async=true&b=2"
		if i > 0 {
			path = "/api/x?a=1&b=2"
		}
		a := w.do("POST", path, `{}`, header...).want(202)
		body := a.json()
		id := fmt.Sprint(body["id"])
		a.has("Location", "/v1/jobs/"+id+"/response", "Operation-Location", "/v1/jobs/"+id, "Retry-After", "1", "Vary", "Prefer", "Content-Type", "application/json")
		if i > 0 {
			a.has("Preference-Applied", "respond-async")
		}
		if body["progress"] != "IN_QUEUE" || body["queue_position"] != json.Number(strconv.Itoa(i+1)) || body["epoch"] == "" || body["seq"] == nil || len(body) != 6 {
			t.Errorf("body %s", a.body)
		}
		job := w.do("GET", "/v1/jobs/"+id, "").json()
		input := job["input"].(map[string]any)
		if job["kind"] != "http" || job["queue"] != "orders" || job["max_attempts"] != json.Number("1") || input["url"] != up.URL+"/api/x?a=1&b=2" {
			t.Errorf("job %v", job)
		}
		created, _ := time.Parse(time.RFC3339, fmt.Sprint(job["created_at"]))
		expires, _ := time.Parse(time.RFC3339, fmt.Sprint(job["expires_at"]))
		if expires.Sub(created) != 30*time.Second {
			t.Errorf("expires after %s", expires.Sub(created))
		}
		w.do("GET", "/v1/jobs/"+id+"/response", "").want(202).has("Location", "/v1/jobs/"+id+"/response")
		headers := input["headers"].(map[string]any)
		if want := []any{nil, `foo="a, wait=9"; bar`}[i]; headers["prefer"] != want {
			t.Errorf("prefer passed on: %v, want %v", headers["prefer"], want)
		}
	}
	if up.hits.Load() != 0 {
		t.Errorf("%d requests before the queue went on", up.hits.Load())
	}
	w.do("POST", "/v1/queues/orders/resume", `{}`)
}

// TestAlways: a route may be asynchronous without being asked.
func TestAlways(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/jobs-only/", func(r *gateway.Route) { r.Async = gateway.Always }))
	w.do("POST", "/jobs-only/x?async=false", "{}").want(202)
	w.do("POST", "/jobs-only/x?body=text", "{}", "Prefer", "wait=20").want(200).has("AsyncResult", "200", "Preference-Applied", "wait=20")
}

// TestRefusals: what is wrong is refused at once, stores nothing and never reaches the upstream.
func TestRefusals(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/"))
	w.do("POST", "/api/x?async=true", strings.Repeat("x", 2<<20+1)).problem(413, "too_large")
	w.do("POST", "/api/x?async=true", "x", "Idempotency-Key", `"open`).problem(400, "bad_message")
	w.do("POST", "/api/x", "x", "Prefer", "respond-async, wait=soon").problem(400, "bad_message")
	w.do("GET", "/api/x?async=true", "", "X-Latin", "caf\xe9").problem(400, "bad_message")
	w.do("TRACE", "/api/x?async=true", "").problem(501, "unsupported")
	for _, path := range []string{"/api/..%2f..%2fetc/passwd", "/api/%2e%2e/x", "/api/x%00", "/api/%5c..%5cx", "/api/..;/x", "/api/a%0d%0ab", "/api/%2e/x"} {
		w.do("GET", path, "").problem(404, "not_found")
		w.do("GET", path+"?async=true", "").problem(404, "not_found")
	}
	w.nothingStored()
	if up.hits.Load() != 0 {
		t.Errorf("the upstream got %d requests", up.hits.Load())
	}
}

// TestCapacityRule is rule 3.3 of the seed: over the capacity nothing is queued or sent.
func TestCapacityRule(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Queue = "small" }))
	w.do("PATCH", "/v1/queues/small", `{"capacity":2}`)
	w.do("POST", "/v1/queues/small/pause", `{}`)
	for range 2 {
		w.do("POST", "/api/x?async=true", "{}").want(202)
	}
	p := w.do("POST", "/api/x?async=true", "{}")
	if p.problem(503, "queue_full")["type"] != "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity" {
		t.Error(p.body)
	}
	p.has("Retry-After", "1", "RateLimit-Policy", `"default";q=2;w=1`, "RateLimit", `"default";r=0;t=1`)
	if n := len(w.do("GET", "/v1/jobs", "").json()["jobs"].([]any)); n != 2 || up.hits.Load() != 0 {
		t.Errorf("%d jobs, %d requests", n, up.hits.Load())
	}
	w.do("GET", "/api/x", "").want(200) // a full queue does not concern synchronous requests
}

// TestQueueTimeoutRule is rule 3.8: too long in the queue → never sent, and a problem of its own.
func TestQueueTimeoutRule(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Queue, r.QueueTimeout = "slow", 50*time.Millisecond }))
	w.do("POST", "/v1/queues/slow/pause", `{}`)
	p := w.do("POST", "/api/x", "{}", "Prefer", "respond-async, wait=20")
	p.problem(503, "expired")
	p.has("AsyncResult", "503")
	if up.hits.Load() != 0 {
		t.Error("the upstream was called")
	}
}

// TestRunTimeoutRule is rule 3.9: too long at work is another problem, after one request.
func TestRunTimeoutRule(t *testing.T) {
	gone := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); gone <- struct{}{} })
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Timeout = 100 * time.Millisecond }))
	w.do("GET", "/api/x", "", "Prefer", "respond-async, wait=20").problem(504, "timeout")
	<-gone
	w.do("GET", "/api/x", "").problem(504, "timeout")
	<-gone
	if up.hits.Load() != 2 {
		t.Errorf("%d requests", up.hits.Load())
	}
}

// TestRouteRetries: attempts are one unless the route says otherwise.
func TestRouteRetries(t *testing.T) {
	var n atomic.Int64
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(503)
		}
		io.WriteString(w, r.Header.Get("Jobhub-Attempt"))
	})
	w := startRoutes(t, up.route("/once/"), up.route("/thrice/", func(r *gateway.Route) {
		r.MaxAttempts, r.Backoff = 3, jobs.Backoff{Initial: time.Millisecond, Max: time.Millisecond}
	}))
	w.do("GET", "/once/", "", "Prefer", "respond-async, wait=20").want(503)
	n.Store(0)
	if r := w.do("GET", "/thrice/", "", "Prefer", "respond-async, wait=20").want(200); r.body != "3" {
		t.Errorf("answered at attempt %s", r.body)
	}
}

// TestRouteKeys: an Idempotency-Key makes one job of two requests, and goes to the upstream too.
func TestRouteKeys(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Idempotency-Key")) })
	w := startRoutes(t, up.route("/api/"))
	first := w.do("POST", "/api/x?async=true", "{}", "Idempotency-Key", `"k1"`).want(202)
	again := w.do("POST", "/api/x?async=true", "{}", "Idempotency-Key", "k1", "Prefer", "wait=20").want(200).has("Idempotency-Replayed", "true")
	if again.body != `"k1"` || !strings.HasSuffix(again.header.Get("Operation-Location"), first.text("id")) {
		t.Errorf("%q %v", again.body, again.header)
	}
	w.do("POST", "/api/x", "{}", "Idempotency-Key", "k1", "Prefer", "respond-async").want(202).has("Idempotency-Replayed", "true")
	w.do("POST", "/api/x?async=true", "{ }", "Idempotency-Key", "k1").problem(422, "conflict")
	w.do("POST", "/api/x?async=true&other=1", "{}", "Idempotency-Key", "k1").problem(422, "conflict")
	if up.hits.Load() != 1 {
		t.Errorf("%d requests", up.hits.Load())
	}
}

// TestUpstreamDown: 502, synchronous and asynchronous, with the same problem.
func TestUpstreamDown(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/"))
	up.Close()
	w.do("GET", "/api/x", "").problem(502, "upstream_unreachable")
	w.do("GET", "/api/x", "", "Prefer", "respond-async, wait=20").problem(502, "upstream_unreachable")
}

// TestOwnPathsWin: a route can't take the hub's own paths, and an upstream is not open to
// callers that submit its URL themselves.
func TestOwnPathsWin(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/"), up.route("/v1/jobs/"))
	for _, path := range []string{"/v1/jobs", "/healthz", "/", "/v1/queues"} {
		w.do("GET", path, "").want(200)
	}
	w.do("GET", "/v1/jobs/nothing", "").problem(404, "not_found")
	w.do("PUT", "/v1/jobs", "{}").want(405)
	w.do("GET", "/a/../v1/jobs", "").want(307)
	if up.hits.Load() != 0 {
		t.Errorf("%d requests", up.hits.Load())
	}
	w.do("GET", "/elsewhere", "").want(200)
	w.do("POST", "/v1/jobs", `{"kind":"http","input":{"url":"`+up.URL+`/secret"}}`).problem(422, "blocked_address")
	done := w.do("GET", "/elsewhere?async=true", "").want(202)
	id := done.text("id")
	w.await(id, "succeeded")
	w.do("POST", "/v1/jobs/"+id+"/retry", "{}").want(202)
	for _, other := range []string{"http://127.0.0.1:1/", up.URL + "/secret"} {
		w.do("POST", "/v1/jobs/"+id+"/retry", `{"input":{"url":"`+other+`"}}`).problem(422, "blocked_address")
	}
}

// TestLongestPrefix and paths that two readers take for different routes.
func TestLongestPrefix(t *testing.T) {
	named := func(name string) *upstream {
		return newUpstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) })
	}
	all, admin := named("all"), named("admin")
	w := startRoutes(t, all.route("/api/"), admin.route("/api/admin/"), admin.route("/exact"))
	for path, want := range map[string]string{"/api/x": "all", "/api/admin/x": "admin", "/api/administrator": "all", "/exact": "admin", "/exact/x": "admin", "/api/a%2Fb": "all", "/api/admin": "all"} {
		if got := w.do("GET", path, "").want(200).body; got != want {
			t.Errorf("%s went to %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{"/api/%61dmin/x", "/api//admin/x", "/api/admin%2Fx", "/%61pi/x", "/exactly"} {
		w.do("GET", path, "").want(404)
	}
}

// TestReload: routes change without dropping a request that is under way.
func TestReload(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	old := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-leave
		io.WriteString(w, "old")
	})
	fresh := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "new") })
	w := startRoutes(t, old.route("/api/"))
	answer := make(chan string)
	go func() { answer <- w.do("GET", "/api/x", "").body }()
	<-entered
	w.Apply(web.Settings{}, []gateway.Route{fresh.route("/api/")})
	if got := w.do("GET", "/api/x", "").body; got != "new" {
		t.Errorf("after: %s", got)
	}
	close(leave)
	if got := <-answer; got != "old" {
		t.Errorf("under way: %s", got)
	}
}

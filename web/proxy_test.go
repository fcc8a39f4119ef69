package web_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"jobhub/web"
	"jobhub/web/gateway"
)

// exchange sends bytes to the hub and returns all that it answers until the connection ends
// or has been quiet for a moment after an answer.
func (w *world) exchange(text string) string {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "HOST", strings.TrimPrefix(w.url, "http://"))); err != nil {
		w.t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// TestSmuggling is S10: what two servers could read differently is refused, and the
// upstream sees no request that the client did not mean.
func TestSmuggling(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/hidden" {
			t.Error("the upstream got the hidden request")
		}
		sample(w, r)
	})
	w := startRoutes(t, up.route("/api/"))
	head := "POST /api/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n"
	const hidden = "GET /api/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, text := range map[string]string{
		"two lengths":        head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"odd encoding":       head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"two encodings":      head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"space before colon": head + "Content-Length : 3\r\n\r\nabc",
		"nul in a value":     head + "X-A: a\x00b\r\n\r\n",
		"control in a path":  "GET /api/\x01 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
		"bad length":         head + "Content-Length: +3\r\n\r\nabc",
		"two hosts":          "GET /api/x HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nConnection: close\r\n\r\n",
	} {
		if got := w.exchange(text); !strings.HasPrefix(got, "HTTP/1.1 400") && !strings.HasPrefix(got, "HTTP/1.1 501") {
			t.Errorf("%s: %.80q", name, got)
		}
	}
	if n := up.hits.Load(); n != 0 {
		t.Errorf("the upstream got %d requests", n)
	}
	for name, text := range map[string]string{
		"length and encoding": head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"bare LF in a chunk":  head + "Transfer-Encoding: chunked\r\n\r\n1\n\r\na\r\n0\r\n\r\n" + hidden,
		"bad chunk":           head + "Transfer-Encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n" + hidden,
		"bad chunk as a job":  strings.Replace(head, "/api/x", "/api/x?async=true", 1) + "Transfer-Encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n" + hidden,
	} {
		if got := w.exchange(text); strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if n := up.hits.Load(); n > 4 {
		t.Errorf("the upstream got %d requests", n)
	}
	w.nothingStored()
}

// TestHopByHop is S9: headers of one connection, upgrades and spoofed forwarding headers
// end at the hub, straight through and as a job.
func TestHopByHop(t *testing.T) {
	var seen http.Header
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		h := w.Header()
		h.Set("Connection", "X-Secret")
		h.Set("X-Secret", "1")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Keep-Alive", "timeout=9")
		h.Set("Upgrade", "h2c")
		h.Set("X-Open", "1")
	})
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.ForwardAuth = true }))
	spoofed := []string{"X-User", "X_User", "X.User", "Upgrade", "Http2-Settings", "Te", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Proxy",
		"Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Server", "X_Forwarded_For", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "Jobhub-Attempt"}
	headers := []string{"Connection", "close, X-User, X-Forwarded-For, Upgrade", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil.test", "X-Forwarded-Proto", "https",
		"Authorization", "Bearer jh_0123456789", "Cookie", "a=1; jobhub_session=s3cret; b=2", "X-Kept", "yes"}
	for _, name := range spoofed {
		headers = append(headers, name, "spoofed")
	}
	for _, way := range [][]string{nil, {"Prefer", "respond-async, wait=20"}} {
		got := w.do("GET", "/api/x", "", append(headers, way...)...).want(200).has("X-Open", "1")
		for _, name := range []string{"X-Secret", "Proxy-Authenticate", "Keep-Alive", "Upgrade"} {
			if got.header.Get(name) != "" {
				t.Errorf("%v: the answer has %s", way, name)
			}
		}
		for _, name := range spoofed {
			if v := seen[http.CanonicalHeaderKey(name)]; len(v) > 0 && !(name == "Jobhub-Attempt" && v[0] == "1") {
				t.Errorf("%v: the upstream got %s: %s", way, name, v)
			}
		}
		for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": strings.TrimPrefix(w.url, "http://"), "X-Forwarded-Proto": "http",
			"Authorization": "", "Cookie": "a=1; b=2", "X-Kept": "yes", "Connection": ""} {
			if v := strings.Join(seen.Values(name), " | "); v != want {
				t.Errorf("%v: the upstream got %s: %q, want %q", way, name, v, want)
			}
		}
	}
}

// TestInterim: 103 arrives at once, without headers of one connection; then the answer.
func TestInterim(t *testing.T) {
	hinted := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "</style.css>; rel=preload")
		h.Set("Connection", "X-Secret")
		h.Set("X-Secret", "1")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("X-Secret")
		h.Del("Connection")
		<-hinted
		h.Set("Link", "</final>")
		io.WriteString(w, "answer")
	})
	w := startRoutes(t, up.route("/api/"))
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != 103 || h.Get("Link") != "</style.css>; rel=preload" || h.Get("X-Secret") != "" || h.Get("Connection") != "" {
			t.Errorf("%d %v", code, h)
		}
		close(hinted)
		return nil
	}})
	req, _ := http.NewRequestWithContext(ctx, "GET", w.url+"/api/x", nil)
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if string(body) != "answer" || res.Header.Get("Link") != "</final>" || res.StatusCode != 200 {
		t.Errorf("%d %v %q", res.StatusCode, res.Header, body)
	}
}

// TestStreaming: pieces arrive both ways while the request is still under way, trailers
// after it, and a client that goes takes the upstream's request with it.
func TestStreaming(t *testing.T) {
	gone := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/forever" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(gone)
			return
		}
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(w, "got "+line)
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Sum", r.Trailer.Get("X-Client"))
	})
	w := startRoutes(t, up.route("/api/"))
	body, send := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+"/api/x", body)
	req.Trailer = http.Header{"X-Client": {"end"}}
	go io.WriteString(send, "one\n")
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := bufio.NewReader(res.Body)
	for _, word := range []string{"one", "two", "three"} {
		if word != "one" {
			io.WriteString(send, word+"\n")
		}
		if line, err := out.ReadString('\n'); line != "got "+word+"\n" {
			t.Fatalf("%q %v", line, err)
		}
	}
	send.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 || res.Trailer.Get("X-Sum") != "end" {
		t.Errorf("%q %v, trailers %v", rest, err, res.Trailer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, _ = http.NewRequestWithContext(ctx, "GET", w.url+"/api/forever", nil)
	if res, err = w.client.Do(req); err != nil {
		t.Fatal(err)
	}
	cancel()
	res.Body.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the request to the upstream was not cancelled after the client disconnected")
	}
}

// zeros is so many bytes.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), int64(*z))
	clear(p[:n])
	*z -= zeros(n)
	return int(n), nil
}

// TestMemoryIsFlat: 64 MiB go up and come back, and the hub holds next to nothing of it.
func TestMemoryIsFlat(t *testing.T) {
	const size = 64 << 20
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	w := startRoutes(t, up.route("/api/"))
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	body := zeros(size)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+"/api/x", &body)
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	most, got, buf, sum := uint64(0), 0, make([]byte, 1<<20), sha256.New()
	for err == nil {
		var n int
		n, err = io.ReadFull(res.Body, buf)
		sum.Write(buf[:n])
		got += n
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
	}
	if got != size {
		t.Errorf("%d of %d bytes came back: %v", got, size, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if allocated := now.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

// TestCORS: pages of listed origins may use the hub and its routes, others may not.
func TestCORS(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	})
	w := startRoutes(t)
	const app = "https://app.example.com"
	w.do("GET", "/v1/jobs", "", "Origin", app).problem(403, "forbidden")
	w.Apply(web.Settings{Origins: []string{app}}, []gateway.Route{up.route("/api/")})
	for _, path := range []string{"/v1/jobs", "/api/x"} {
		w.do("OPTIONS", path, "", "Origin", app, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type,prefer").want(204).
			has("Access-Control-Allow-Origin", app, "Access-Control-Allow-Methods", "PUT", "Access-Control-Allow-Headers", "content-type,prefer", "Access-Control-Max-Age", "600", "Access-Control-Allow-Credentials", "")
		w.do("OPTIONS", path, "", "Origin", "https://evil.test", "Access-Control-Request-Method", "PUT").want(403).has("Access-Control-Allow-Origin", "")
	}
	if up.hits.Load() != 0 {
		t.Error("a preflight reached the upstream")
	}
	list := w.do("GET", "/v1/jobs", "", "Origin", app).want(200).has("Access-Control-Allow-Origin", app, "Vary", "Origin")
	for _, name := range []string{"AsyncResult", "Location", "Operation-Location", "Retry-After"} {
		if !strings.Contains(list.header.Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("%s is not exposed", name)
		}
	}
	w.do("GET", "/v1/jobs", "").want(200).has("Access-Control-Allow-Origin", "", "Vary", "Origin")
	for _, way := range []string{"/api/x", "/api/x?async=true"} {
		got := w.do("GET", way, "", "Origin", app, "Prefer", "wait=20")
		if v := got.header.Values("Access-Control-Allow-Origin"); fmt.Sprint(v) != "["+app+"]" || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", way, got.header)
		}
	}
	w.do("GET", "/api/x", "").want(200).has("Access-Control-Allow-Origin", "*")
}

// TestTrace: the trace context goes from the request to the job and to the upstream.
func TestTrace(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Traceparent"), " ", r.Header.Get("Tracestate"))
	})
	w := startRoutes(t, up.route("/api/"))
	for _, way := range [][]string{nil, {"Prefer", "respond-async, wait=20"}} {
		if got := w.do("GET", "/api/x", "", append(way, "Traceparent", parent, "Tracestate", "a=1,b=2")...).body; got != parent+" a=1,b=2" {
			t.Errorf("%v: carried %q", way, got)
		}
		for _, bad := range []string{"", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-XYZ", parent + "-extra"} {
			got := w.do("GET", "/api/x", "", append(way, "Traceparent", bad, "Tracestate", "a=1")...).body
			if len(got) != 56 || !strings.HasPrefix(got, "00-") || strings.HasPrefix(got, "00-0000000000000000") {
				t.Errorf("%v: in place of %q: %q", way, bad, got)
			}
		}
	}
}

// TestSeedRules is the table of seed 003: asynchronous create, update and delete.
func TestSeedRules(t *testing.T) {
	held := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/held"):
			<-held
		case r.Method == "POST":
			w.Header().Set("Location", "/unifiedconfig/config/calltype/5000")
			w.WriteHeader(201)
		case strings.HasSuffix(r.URL.Path, "/404"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(404)
			io.WriteString(w, `{"apiError":"unknown"}`)
		}
	})
	t.Cleanup(func() { close(held) })
	w := startRoutes(t, up.route("/unifiedconfig/"))
	for _, step := range []struct {
		method, path string
		status       int
		location     string
	}{
		{"POST", "/unifiedconfig/config/calltype", 201, "/unifiedconfig/config/calltype/5000"},
		{"PUT", "/unifiedconfig/config/calltype/5000", 200, ""},
		{"PATCH", "/unifiedconfig/config/calltype/5000", 200, ""},
		{"DELETE", "/unifiedconfig/config/calltype/5000", 200, ""},
		{"PUT", "/unifiedconfig/config/calltype/404", 404, ""},
	} {
		accepted := w.do(step.method, step.path+"?async=true", `{"name":"c"}`).want(202)
		if accepted.text("progress") != "IN_QUEUE" {
			t.Errorf("%s", accepted.body)
		}
		at := accepted.header.Get("Location")
		polled := w.do("GET", at, "")
		for order := 0; polled.header.Get("AsyncResult") == ""; polled = w.do("GET", at, "") {
			polled.want(202).has("Location", at)
			now := strings.Index("IN_QUEUE IN_PROGRESS", polled.text("progress"))
			if now < order {
				t.Errorf("progress went back: %s", polled.body)
			}
			order = now
		}
		polled.want(step.status).has("Location", step.location)
		if step.status == 404 && polled.body != `{"apiError":"unknown"}` {
			t.Errorf("%q", polled.body)
		}
	}
	for range 100 { // none of them waits for the upstream
		w.do("POST", "/unifiedconfig/held?async=true", `{}`).want(202)
	}
}

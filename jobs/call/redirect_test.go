package call

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestRedirectToBlocked(t *testing.T) {
	canary, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(canary.Listener.Addr().String())
	outer, _ := serveOn(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to")+"?s3cret")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	for _, tc := range []struct {
		host    string
		control bool // reachable once loopback is open
	}{
		{"127.0.0.1", true}, {"inside.test", true}, {"[::ffff:127.0.0.1]", true},
		{"127.1", false}, {"2130706433", false}, {"0x7f.1", false}, {"017700000001", false}, {"[::1%25lo]", false},
	} {
		for _, allow := range [][]netip.Prefix{onlyTwo, loopback} {
			c := newCaller(Options{Allow: allow})
			c.guard.Dialer.Resolver = resolver(func() []string { return []string{"127.0.0.1"} })
			hits.Store(0)
			res, err := attempt(t, c, map[string]any{"url": outer.URL + "/?to=http://" + strings.ReplaceAll(tc.host, "%", "%25") + ":" + port + "/", "body": "x"})
			want := int64(0)
			if tc.control && len(allow) == len(loopback) {
				want = 1
				if err != nil {
					t.Errorf("%s: control: %v", tc.host, err)
				}
			} else if mustFail(t, err, jobs.BlockedAddress, true); res.Response != nil {
				t.Errorf("%s: kept the redirect as the answer: %+v", tc.host, res.Response)
			}
			if hits.Load() != want {
				t.Errorf("%s with %v: the canary got %d requests, want %d", tc.host, allow, hits.Load(), want)
			}
		}
	}
}

func TestRedirectRefused(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
		w.Write([]byte("moved"))
	})
	c := newCaller(Options{Allow: loopback})
	for _, to := range []string{"ftp://a.example/s3cret", "http://s3cret:x@127.0.0.1/", "file:///s3cret", "http://a.example:0/", "/again?to=/again"} {
		_, err := attempt(t, c, map[string]any{"url": s.URL + "/?to=" + strings.ReplaceAll(to, "?", "%3f")})
		if to == "/again?to=/again" {
			if err == nil || !strings.Contains(err.Error(), "302") {
				t.Errorf("a redirect without a location: %v", err)
			}
			continue
		}
		mustFail(t, err, egress.UpstreamStatus, true)
	}
	res, err := attempt(t, c, map[string]any{"url": s.URL + "/?to=http://127.1/", "expect": []int{302}})
	if err != nil || res.Response.Status != 302 || string(res.Response.Body) != "moved" {
		t.Errorf("an expected redirect: got %+v, %v", res.Response, err)
	}
}

func TestRedirectLimit(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusSeeOther)
			return
		}
		fmt.Fprintf(w, "%s %d", r.Method, r.ContentLength)
	})
	c := newCaller(Options{Allow: loopback})
	res, err := attempt(t, c, map[string]any{"url": s.URL + "/5", "body": "x"})
	if err != nil || string(res.Response.Body) != "GET 0" {
		t.Errorf("5 redirects: %+v %v", res.Response, err)
	}
	_, err = attempt(t, c, map[string]any{"url": s.URL + "/6"})
	mustFail(t, err, egress.UpstreamStatus, true)
}

func TestRedirectHeaders(t *testing.T) {
	type seen struct{ path, auth, cookie, key, accept, idem, referer, body string }
	got := make(chan seen, 10)
	next := map[string]string{}
	h := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- seen{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Api-Key"),
			r.Header.Get("Accept"), r.Header.Get("Idempotency-Key"), r.Header.Get("Referer"), string(b)}
		if to := next[r.URL.Path]; to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}
	home, away := serve(t, h), serve(t, h)
	next["/start"] = "/moved"
	next["/moved"] = away.URL + "/away"
	next["/away"] = home.URL + "/back"
	_, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": home.URL + "/start?t=s3cret", "body": "b",
		"headers": map[string]string{"Authorization": "a", "Cookie": "c", "X-Api-Key": "k", "Accept": "*/*", "Idempotency-Key": "i"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []seen{
		{"/start", "a", "c", "k", "*/*", "i", "", "b"},
		{"/moved", "a", "c", "k", "*/*", "i", home.URL + "/start?t=s3cret", "b"},
		{"/away", "", "", "", "*/*", "i", "", "b"},
		{"/back", "", "", "", "*/*", "i", "", "b"},
	} {
		if s := <-got; s != want {
			t.Errorf("got  %+v\nwant %+v", s, want)
		}
	}
}

// A public server can't send the hub into a range that the operator opened for its jobs,
// also not through another one; a server in such a range itself can.
func TestRedirectFromPublic(t *testing.T) {
	inner, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	var status atomic.Int64
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(int(status.Load()))
	}
	public, _ := serveOn(t, "127.0.0.2:0", h)
	local, _ := serveOn(t, "127.0.0.1:0", h)
	onTwo := func(a net.Addr) bool { return strings.HasPrefix(a.String(), "127.0.0.2:") }
	c := newCaller(Options{Allow: loopback})
	c.isPublic, c.outside = onTwo, egress.New(egress.Options{Allow: onlyTwo})
	c.public = c.outside.Transport(egress.Outbound{})
	escaped := func(u string) string { return url.QueryEscape(u) }
	for _, s := range []int{301, 302, 303, 307, 308} {
		status.Store(int64(s))
		for _, way := range []struct {
			url     string
			allowed bool
		}{
			{inner.URL, true},
			{local.URL + "/?to=" + escaped(inner.URL), true},
			{public.URL + "/?to=" + escaped(inner.URL), false},
			{public.URL + "/?to=" + escaped("http://localhost:"+inner.URL[strings.LastIndexByte(inner.URL, ':')+1:]), false},
			{public.URL + "/?to=" + escaped(public.URL+"/?to="+escaped(inner.URL)), false},
			{local.URL + "/?to=" + escaped(public.URL+"/?to="+escaped(inner.URL)), false},
		} {
			hits.Store(0)
			_, err := attempt(t, c, map[string]any{"url": way.url})
			if way.allowed != (err == nil) || way.allowed != (hits.Load() == 1) {
				t.Errorf("%d by %s: %v, %d requests", s, way.url, err, hits.Load())
			}
			if !way.allowed {
				mustFail(t, err, jobs.BlockedAddress, true)
			}
		}
	}
}

// A redirect that would turn a request with an effect into a GET without its body fails; 303
// means just that, and 307 and 308 keep both.
func TestRedirectKeepsTheMethod(t *testing.T) {
	got := make(chan string, 10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Method + " " + r.URL.Path + " " + string(body)
		var status int
		if fmt.Sscanf(r.URL.Path, "/%d", &status); status > 0 {
			w.Header().Set("Location", "/there?s3cret=1")
			w.WriteHeader(status)
		}
	})
	c := newCaller(Options{Allow: loopback})
	for _, tc := range []struct {
		method string
		status int
		second string // empty: it fails
	}{
		{"POST", 301, ""}, {"POST", 302, ""}, {"PUT", 301, ""}, {"DELETE", 302, ""}, {"PATCH", 302, ""}, {"PROPFIND", 301, ""},
		{"GET", 301, "GET /there "}, {"HEAD", 302, "HEAD /there "}, {"POST", 303, "GET /there "}, {"PUT", 303, "GET /there "},
		{"POST", 307, "POST /there x"}, {"DELETE", 308, "DELETE /there x"},
	} {
		in := map[string]any{"url": fmt.Sprintf("%s/%d?s3cret=2", s.URL, tc.status), "method": tc.method}
		if tc.method != "GET" && tc.method != "HEAD" {
			in["body"] = "x"
		}
		_, err := attempt(t, c, in)
		<-got
		if tc.second != "" {
			if err != nil {
				t.Errorf("%s %d: %v", tc.method, tc.status, err)
			} else if second := <-got; second != tc.second {
				t.Errorf("%s %d: then %q, want %q", tc.method, tc.status, second, tc.second)
			}
			continue
		}
		f := mustFail(t, err, egress.UpstreamStatus, true)
		for _, word := range []string{fmt.Sprint(tc.status), s.URL + "/there", tc.method} {
			if !strings.Contains(f.Problem.Detail, word) {
				t.Errorf("%s %d: %q does not name %s", tc.method, tc.status, f.Problem.Detail, word)
			}
		}
	}
	if len(got) > 0 {
		t.Errorf("%q was sent as well", <-got)
	}
}

// What may not stand in a query is encoded on its way, also behind a redirect; what is
// encoded already stays as it is.
func TestQueryOnTheWire(t *testing.T) {
	for raw, want := range map[string]string{
		"q=a b&c=%20+d":     "q=a%20b&c=%20+d",
		"name=Zoë&ö=%C3%B6": "name=Zo%C3%AB&%C3%B6=%C3%B6",
		"100%&%zz=%":        "100%&%zz=%",
		`j={"a":[1|2]}&b='`: `j={"a":[1|2]}&b='`,
		"日=😀":               "%E6%97%A5=%F0%9F%98%80",
	} {
		lines := make(chan string, 10)
		server := requestLines(t, lines)
		for _, path := range []string{"/x?", "/moved?"} {
			if _, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": server + path + raw}); err != nil {
				t.Errorf("%q: %v", raw, err)
			}
		}
		if len(lines) != 3 {
			t.Errorf("%q: %d requests, want 3", raw, len(lines))
		}
		close(lines)
		for line := range lines {
			if !strings.HasSuffix(line, "?"+want+" HTTP/1.1") {
				t.Errorf("%q went out as %q", raw, line)
			}
		}
	}
}

// requestLines is a server that keeps the first line of each request as it came; /moved redirects to
// /x with the same query, not encoded.
func requestLines(t *testing.T, lines chan<- string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			line, _ := in.ReadString('\n')
			line = strings.TrimSpace(line)
			lines <- line
			for rest := line; rest != "\r\n" && rest != ""; rest, _ = in.ReadString('\n') {
			}
			if _, query, _ := strings.Cut(strings.TrimSuffix(line, " HTTP/1.1"), "?"); strings.HasPrefix(line, "GET /moved") {
				decoded := strings.ReplaceAll(query, "%20", " ")
				fmt.Fprintf(conn, "HTTP/1.1 302 Found\r\nLocation: /x?%s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", strings.ReplaceAll(decoded, "c= ", "c=%20"))
			} else {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

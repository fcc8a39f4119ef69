package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func parse(t testing.TB, text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ upstream, strip, target, want string }{
		{"http://u", "", "/api/x", "http://u/api/x"},
		{"http://u/", "", "/api/x/", "http://u/api/x/"},
		{"http://u/base", "/api", "/api/x", "http://u/base/x"},
		{"http://u/base/", "/api/", "/api/", "http://u/base/"},
		{"http://u", "/api", "/api", "http://u/"},
		{"http://u", "", "/a%2Fb//c;d=e/%20f", "http://u/a%2Fb//c;d=e/%20f"},
		{"http://u", "/a", "/a%2Fb", "http://u/%2Fb"},
		{"http://u", "", "//double", "http://u//double"},
		{"http://u", "", "/x?", "http://u/x?"},
		{"http://u", "", "/x?async=true", "http://u/x"},
		{"http://u", "", "/x?a=1&async=true&b=%2f;c&&d", "http://u/x?a=1&b=%2f;c&&d"},
		{"http://u", "", "/x?async=yes&my_async=true&async=false", "http://u/x?async=yes&my_async=true"},
		{"http://u", "", "/x?a=b#c", "http://u/x?a=b%23c"},
		{"http://u", "", "/x?a=\"<>|", "http://u/x?a=\"<>|"},
		{"http://u", "", "/x?q=a b%20c+d&ä=é%C3%A9\xff", "http://u/x?q=a%20b%20c+d&%C3%A4=%C3%A9%C3%A9%FF"},
	} {
		target, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := upstreamURL(parse(t, c.upstream), c.strip, target, true).String(); got != c.want {
			t.Errorf("%s + %s - %s = %s, want %s", c.upstream, c.target, c.strip, got, c.want)
		}
	}
}

// FuzzJoin: whatever a server accepts as a request's target, the upstream gets the same
// host, the same path behind its own, and the query but for async; and a job that keeps the
// URL as a text sends the same.
func FuzzJoin(f *testing.F) {
	for _, seed := range []string{"/api/x", "//x/%2e%2e/", "/a;b?c=d&async=true", "/%zz", "/x?%", "/\\", "/x?a#b", "/é", "/%ff?\xff", "http://evil/x", "*", "/@evil:80/"} {
		f.Add(seed, "/api")
	}
	f.Fuzz(func(t *testing.T, target, strip string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path == "" || u.Path[0] != '/' {
			return
		}
		to := upstreamURL(&url.URL{Scheme: "http", Host: "up:1", Path: "/base"}, "", u, true)
		if to.Host != "up:1" || to.User != nil || to.EscapedPath() != "/base"+u.EscapedPath() {
			t.Errorf("%q → %q", target, to)
		}
		rest, _ := cutAsync(u.RawQuery)
		if want := egress.EscapeQuery(rest); to.RawQuery != want {
			t.Errorf("query %q, want %q", to.RawQuery, want)
		}
		again, err := url.Parse(to.String())
		if err != nil || again.RequestURI() != to.RequestURI() || again.Host != to.Host {
			t.Errorf("%q: as a text %q, %v", to.RequestURI(), again, err)
		}
	})
}

// FuzzHeader: of whatever headers a client sends, the upstream gets none that is about a
// connection, tells of another client, or reads like such a one.
func FuzzHeader(f *testing.F) {
	f.Add("X-A: 1\r\nConnection: X-A, close\r\nX_A: 2")
	f.Add("Cookie: jobhub_session=1; a=b\r\nAuthorization: Bearer jh_x\r\nX-Forwarded-For: 1.1.1.1")
	f.Add("Prefer: respond-async\r\nTe: trailers\r\nUpgrade: h2c\r\ntraceparent: 00-a")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("POST", "/x?async=true", nil)
		r.RemoteAddr = "192.0.2.7:1"
		for line := range strings.SplitSeq(text, "\r\n") {
			name, value, ok := strings.Cut(line, ": ")
			if ok && isField(name, value) {
				r.Header.Add(name, value)
			}
		}
		h := (&Route{ForwardAuth: true}).upstreamHeader(r)
		for name := range h {
			if !isPlainHeaderName(name) || isConnectionHeader(name) {
				t.Errorf("%s is passed on", name)
			}
		}
		for _, list := range r.Header["Connection"] {
			for name := range strings.SplitSeq(list, ",") {
				name = http.CanonicalHeaderKey(strings.TrimSpace(name))
				if _, there := h[name]; there && !strings.HasPrefix(name, "X-Forwarded-") && name != "User-Agent" {
					t.Errorf("%s is passed on, which Connection names", name)
				}
			}
		}
		if h.Get("X-Forwarded-For") != "192.0.2.7" || strings.HasPrefix(h.Get("Authorization"), "Bearer jh_") || strings.Contains("; "+strings.Join(h["Cookie"], "; "), "; jobhub_session=") {
			t.Errorf("%v", h)
		}
		if trace := Trace(r.Header); trace != "" && !jobs.ValidTraceparent(strings.Split(trace, " ")[0]) {
			t.Errorf("trace %q", trace)
		}
		spec, err := (&Route{Path: "/", Upstream: &url.URL{Scheme: "http", Host: "up"}}).Spec(r, []byte(text), nil, false)
		if err == nil && (spec.Input.Compact() != nil || len(spec.Via.Upstreams) != 1 || len(spec.Via.Trace) < 55) {
			t.Errorf("%+v", spec)
		}
	})
}

// isField reports whether net/http's server would let the header through.
func isField(name, value string) bool {
	if name == "" || strings.Trim(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return false
	}
	return !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// TestFanout: a route with several targets makes a job of kind fanout.
func TestFanout(t *testing.T) {
	r := Route{Path: "/q/", Policy: "any", Strip: "/q", Async: Always, MaxAttempts: 3, Targets: []Target{
		{Name: "north", Upstream: parse(t, "http://127.0.0.1:1/n")},
		{Name: "south", Upstream: parse(t, "http://127.0.0.1:2"), Timeout: 2 * time.Second, Strip: "/q/x"}}}
	req := httptest.NewRequest("PUT", "/q/x/y?a=1&async=true", nil)
	req.Header.Set("Content-Type", "application/json")
	spec, err := r.Spec(req, []byte(`{"a": 1}`), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Policy  string
		Targets []struct {
			Name, Method, URL, Body, Timeout string
			Headers                          map[string]jsontext.Value
		}
	}
	if err := json.Unmarshal(spec.Input, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if spec.Kind != "fanout" || spec.MaxAttempts != 3 || spec.QueueTimeout != DefaultQueueTimeout || in.Policy != "any" || len(in.Targets) != 2 ||
		in.Targets[0].URL != "http://127.0.0.1:1/n/x/y?a=1" || in.Targets[1].URL != "http://127.0.0.1:2/y?a=1" || in.Targets[1].Timeout != "2s" ||
		in.Targets[0].Name != "north" || in.Targets[1].Body != `{"a": 1}` || in.Targets[1].Method != "PUT" || string(in.Targets[0].Headers["content-type"]) != `"application/json"` {
		t.Errorf("%s %s", spec.Kind, spec.Input)
	}
	if got := spec.Via.Upstreams; len(got) != 2 || got[0] != "http://127.0.0.1:1" || got[1] != "http://127.0.0.1:2" {
		t.Errorf("%v", got)
	}
	spec, err = r.Spec(req, nil, nil, true)
	if err != nil || spec.QueueTimeout != 0 {
		t.Errorf("the queue's own timeout: %v %v", spec.QueueTimeout, err)
	}
}

func TestTraceState(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct{ parent, state, want string }{
		{parent, "", parent},
		{parent, "a=1", parent + " a=1"},
		{parent, strings.Repeat("x", 513), parent},
		{parent, "a=\xe9", parent},
		{"cc" + parent[2:] + "-more", "", "cc" + parent[2:] + "-more"},
		{"ff" + parent[2:], "", ""},
		{strings.ToUpper(parent), "", ""},
	} {
		h := http.Header{"Traceparent": {c.parent}, "Tracestate": {c.state}}
		if got := Trace(h); got != c.want {
			t.Errorf("%q %q: %q", c.parent, c.state, got)
		}
	}
	if !jobs.ValidTraceparent(newTrace()) {
		t.Error(newTrace())
	}
}

package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"jobhub/web"
	"jobhub/web/gateway"
)

var loopbackRange = netip.MustParsePrefix("127.0.0.0/8")

// A trusted proxy says who calls and how; nobody else can.
func TestTrustedProxies(t *testing.T) {
	for name, test := range map[string]struct {
		trusted    bool
		origin     string
		in         []string
		xff, proto string
	}{
		"nobody":           {false, "", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https"}, "127.0.0.1", "http"},
		"trusted":          {true, "", []string{"X-Forwarded-For", "9.9.9.9", "X-Forwarded-Proto", "https"}, "9.9.9.9, 127.0.0.1", "https"},
		"chain":            {true, "", []string{"X-Forwarded-For", "1.1.1.1, 9.9.9.9"}, "1.1.1.1, 9.9.9.9, 127.0.0.1", "http"},
		"silent":           {true, "", nil, "127.0.0.1", "http"},
		"strange":          {true, "", []string{"X-Forwarded-For", "unknown", "X-Forwarded-Proto", "gopher"}, "unknown, 127.0.0.1", "http"},
		"by its address":   {false, "https://hub.example.com", []string{"X-Forwarded-Proto", "http"}, "127.0.0.1", "https"},
		"proxy goes first": {true, "https://hub.example.com", []string{"X-Forwarded-Proto", "http"}, "127.0.0.1", "http"},
	} {
		t.Run(name, func(t *testing.T) {
			var got lastRequest
			up := newUpstream(t, got.serve)
			w := startIn(t, t.TempDir(), func(p *parts) {
				p.web.Origin = test.origin
				if test.trusted {
					p.web.Proxies = []netip.Prefix{loopbackRange}
				}
			})
			w.Apply(web.Settings{}, []gateway.Route{up.route("/api/")})
			for _, path := range []string{"/api/x", "/api/x?async=true"} {
				r := w.do("GET", path, "", test.in...)
				if r.status == 202 {
					w.await(r.text("id"), "succeeded")
				}
				got.want(t, "X-Forwarded-For", test.xff, "X-Forwarded-Proto", test.proto)
			}
		})
	}
}

// Behind a trusted proxy that speaks TLS, the hub's own pages have its https origin.
func TestOwnOriginBehindATrustedProxy(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.web.Proxies, p.web.Hosts = []netip.Prefix{loopbackRange}, []string{"hub.example.com"}
	})
	page := []string{"Host", "hub.example.com", "Origin", "https://hub.example.com"}
	w.do("POST", "/v1/jobs", `{"kind":"echo"}`, page...).problem(403, "forbidden")
	w.do("POST", "/v1/jobs", `{"kind":"echo"}`, append(page, "X-Forwarded-Proto", "https")...).want(202)
}

// Pages and routes keep to their hosts, and so does the session.
func TestDashboardHost(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "jobhub_session=forged")
		w.Header().Add("Set-Cookie", "own=1")
	})
	w := start(t)
	w.Apply(web.Settings{Dashboard: "dash.example.com"}, []gateway.Route{up.route("/")})
	on := []string{"Host", "dash.example.com"}
	w.do("GET", "/", "", on...).want(200).has("Content-Type", "text/html; charset=utf-8")
	w.do("GET", "/queues", "", on...).want(200)
	w.do("GET", "/elsewhere", "", on...).want(404)
	w.do("GET", "/v1/jobs", "", on...).want(200)
	w.do("GET", "/queues", "").problem(404, "not_found")
	w.do("GET", "/elsewhere", "").want(200).has("Set-Cookie", "own=1")
	w.do("GET", "/v1/jobs", "").want(200)
	w.do("GET", "/static/jobhub.js", "").want(200)
}

// An upstream can't replace the dashboard's session, through a job either.
func TestUpstreamSetsNoSession(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for _, cookie := range []string{"jobhub_session=forged", " __Host-Jobhub_x=1; Path=/", "own=1"} {
			w.Header().Add("Set-Cookie", cookie)
		}
	})
	w := startRoutes(t, up.route("/api/"))
	w.do("GET", "/api/x", "").want(200).has("Set-Cookie", "own=1")
	w.do("GET", "/api/x", "", "Prefer", "respond-async, wait=20").want(200).has("Set-Cookie", "own=1")
}

// Outside of routes an answer says nothing to browsers about the hub's own host.
func TestHeadersThatCommandBrowsers(t *testing.T) {
	w := start(t)
	r := w.do("POST", "/v1/jobs", `{"kind":"answer","input":"commands"}`, "Prefer", "wait=20").want(200)
	for name := range answers["commands"].Header {
		switch name {
		case "Cache-Control":
			r.has(name, "private, no-store")
		case "Content-Disposition":
			r.has(name, "attachment")
		case "Content-Type", "X-Mine":
			r.has(name, answers["commands"].Header.Get(name))
		default:
			r.has(name, "")
		}
	}
}

// Module scripts of the dashboard load although a proxy has changed the hub's address.
func TestStaticFilesForAnyOrigin(t *testing.T) {
	w := start(t)
	w.do("GET", "/static/dashboard.js", "", "Origin", "https://proxy.example").want(200)
	p := w.do("GET", "/v1/jobs", "", "Origin", "https://proxy.example").problem(403, "forbidden")
	if want := "--url https://proxy.example"; !strings.Contains(fmt.Sprint(p["detail"]), want) {
		t.Errorf("%v does not say %s", p["detail"], want)
	}
}

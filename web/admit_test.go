package web_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestHostsAndOrigins(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) {
		p.web.Hosts, p.web.Origins = []string{"hub.example.com"}, []string{"https://app.example.com"}
	})
	own := strings.TrimPrefix(w.url, "http://")
	_, port, _ := strings.Cut(own, ":")
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{own, "", 200},
		{"localhost", "", 200},
		{"localhost:" + port, "", 200},
		{"LocalHost:1", "", 200},
		{"localhost.", "", 200},
		{"127.0.0.1:9", "", 200},
		{"127.8.8.8", "", 200},
		{"[::1]", "", 200},
		{"[::1]:" + port, "", 200},
		{"[::ffff:127.0.0.1]", "", 200},
		{"hub.example.com", "", 200},
		{"HUB.example.com:443", "", 200},
		{"evil.test", "", 421},
		{"evil.test:" + port, "", 421},
		{"evil.test", "http://evil.test", 421}, // a rebound name is its own origin
		{"localhost.evil.test", "", 421},
		{"evil.test#localhost", "", 421},
		{"127.0.0.1.evil.test", "", 421},
		{"hub.example.com.evil.test", "", 421},
		{"10.0.0.1", "", 421},
		{"0.0.0.0", "", 421},
		{"127.1", "", 421},
		{"2130706433", "", 421},
		{"0x7f.0.0.1", "", 421},
		{"[::]", "", 421},

		{own, "http://" + own, 200},
		{own, "HTTP://" + strings.ToUpper(own), 200},
		{"localhost:" + port, "http://localhost:" + port, 200},
		{"hub.example.com", "http://hub.example.com", 200},
		{own, "https://app.example.com", 200},
		{own, "https://evil.test", 403},
		{own, "null", 403},
		{own, "https://" + own, 403}, // http and https are two origins
		{own, "http://127.0.0.1:1", 403},
		{own, "http://127.0.0.1", 403},
		{own, "http://localhost:" + port, 403},
		{own, "http://" + own + ".evil.test", 403},
		{own, "http://evil.test/" + own, 403},
		{own, "http://" + own + "@evil.test", 403},
		{own, "http://app.example.com", 403},
		{own, "https://app.example.com.evil.test", 403},
		{own, "https://app.example.com:8443", 403},
		{own, "file://", 403},
	} {
		headers := []string{"Host", test.host}
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin)
		}
		t.Run(test.host+" from "+test.origin, func(t *testing.T) {
			for _, request := range []string{"GET /v1/jobs", "GET /", "GET /static/jobhub.css", "GET /v1/ws", "POST /v1/jobs"} {
				method, path, _ := strings.Cut(request, " ")
				body := ""
				if method == "POST" {
					body = `{"kind":"nobody"}`
				}
				want := test.want
				if want == 403 && strings.HasPrefix(path, "/static/") {
					want = 200 // it is the same for everybody
				}
				if want == 200 && path == "/v1/ws" {
					want = 426
				}
				if want == 200 && method == "POST" {
					want = 202
				}
				r := w.do(method, path, body, headers...)
				if r.t = t; want == 421 || want == 403 {
					r.problem(want, "forbidden")
				} else {
					r.want(want)
				}
			}
		})
	}
}

func TestWebSocketFromAForeignOrigin(t *testing.T) {
	w := start(t)
	own := strings.TrimPrefix(w.url, "http://")
	for _, test := range []struct {
		host, origin string
		want         int
	}{{own, "http://" + own, 101}, {own, "https://evil.test", 403}, {own, "null", 403}, {"evil.test", "http://evil.test", 421}} {
		r := w.do("GET", "/v1/ws", "", "Host", test.host, "Origin", test.origin, "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
		r.want(test.want)
	}
}

func TestCrossSiteRequestsChangeNothing(t *testing.T) {
	w := start(t)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"},
		{"Sec-Fetch-Site", "cross-site", "Origin", "null"},
		{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:1"},
		{"Origin", "https://evil.test", "Content-Type", "application/x-www-form-urlencoded"},
		{"Origin", "https://evil.test", "Content-Type", "text/plain"},
	} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, headers...).problem(http.StatusForbidden, "forbidden")
		w.nothingStored()
	}
	w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
	w.nothingStored()
	id := w.submit(`{"kind":"nobody"}`, "Sec-Fetch-Site", "same-origin", "Origin", w.url)
	for _, path := range []string{"/v1/jobs/" + id + "/cancel", "/jobs/" + id + "/cancel"} {
		w.do("POST", path, "", "Sec-Fetch-Site", "cross-site").problem(http.StatusForbidden, "forbidden")
	}
	w.do("DELETE", "/v1/jobs/"+id, "", "Sec-Fetch-Site", "cross-site").problem(http.StatusForbidden, "forbidden")
	if state := w.do("GET", "/v1/jobs/"+id, "", "Sec-Fetch-Site", "cross-site").want(200).text("state"); state != "queued" {
		t.Errorf("the job is %s", state)
	}
}

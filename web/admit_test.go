package web_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/sqlite"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
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
		{"localhost:19000,evil.example", "", 421},
		{"localhost,evil.example", "", 421},
		{"localhost:port", "", 421},
		{"localhost:", "", 421},
		{"localhost:123456", "", 421},
		{"localhost:80:80", "", 421},
		{"user@localhost", "", 421},
		{"localhost/", "", 421},
		{"local host", "", 421},
		{"::1", "", 421},
		{"[localhost]", "", 421},
		{"[::1", "", 421},

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

// Probes ask by any address, and hear of the hub's state and of nothing else.
func TestProbesWhateverTheHost(t *testing.T) {
	w := start(t)
	w.ReportConfig(web.ConfigState{File: "jobhub.yaml", LoadedAt: time.Now(), Err: errors.New("secret")})
	for _, host := range []string{"10.1.2.3", "10.1.2.3:8080", "[2001:db8::1]:8080", "pod.cluster.local", "a,b"} {
		w.do("GET", "/healthz", "", "Host", host).want(200)
		if r := w.do("GET", "/readyz", "", "Host", host).want(200); strings.Contains(r.body, "secret") || !strings.Contains(r.body, `"ready"`) {
			t.Errorf("%s hears %s", host, r.body)
		}
		w.do("GET", "/healthz", "", "Host", host, "Origin", "http://evil.test").want(403)
		w.do("GET", "/metrics", "", "Host", host).want(421)
	}
	if r := w.do("GET", "/readyz", "").want(200); !strings.Contains(r.body, "secret") {
		t.Errorf("on the spot: %s", r.body)
	}
}

// What a route passes on has been called by one name, in a form that reads the same everywhere.
func TestHostIsNotPassedOnUnlessGood(t *testing.T) {
	asked := 0
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.WriteString(w, r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(up.Close)
	w := start(t)
	base, _ := url.Parse(up.URL)
	w.Apply(web.Settings{}, []gateway.Route{{Path: "/up/", Upstream: base}})
	for _, host := range []string{"localhost:19000,evil.example", "localhost, evil.example", "localhost\tevil", "localhost;x", `localhost"`} {
		if res := w.rawAnswer("GET /up/ HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(res, "HTTP/1.1 421") && !strings.HasPrefix(res, "HTTP/1.1 400") {
			t.Errorf("%q: %.100s", host, res)
		}
	}
	if asked != 0 {
		t.Error("the upstream was asked")
	}
	if r := w.do("GET", "/up/", "", "Host", "localhost:19000").want(200); r.body != "localhost:19000" {
		t.Errorf("passed on: %s", r.body)
	}
}

// rawAnswer sends bytes and returns what comes until the end.
func (w *world) rawAnswer(request string) string {
	w.t.Helper()
	c := w.rawDial(request)
	text, err := io.ReadAll(c)
	if err != nil {
		w.t.Error(err)
	}
	return string(text)
}

// TestWrongKeys: after too many wrong keys an address has to wait; right keys never have to.
func TestWrongKeys(t *testing.T) {
	w := start(t)
	good := w.key(auth.Viewer, "default")
	seen := map[int]int{}
	for i := range 3000 {
		r := w.with(fmt.Sprint("jh_wrong", i), "GET", "/v1/jobs", "")
		if seen[r.status]++; r.status == 429 {
			r.problem(429, "rate_limited")
			r.has("Retry-After", "1")
		} else {
			r.problem(401, "unauthorized")
		}
	}
	if seen[401] < 100 || seen[429] < 1000 {
		t.Errorf("by status: %v", seen)
	}
	w.with(good, "GET", "/v1/jobs", "").want(200)
	w.do("POST", "/login", "key=jh_wrong", "Content-Type", "application/x-www-form-urlencoded")
	w.do("POST", "/login", "key="+good, "Content-Type", "application/x-www-form-urlencoded").want(303)
}

// TestLastEventID: replacements of EventSource resume with a parameter.
func TestLastEventID(t *testing.T) {
	w := start(t)
	for range 3 {
		w.submit(`{"kind":"nobody"}`)
	}
	epoch := w.hub.Epoch()
	for _, query := range []string{"all=1&lastEventId=" + epoch + ":1", "all=1&lastEventId=" + epoch + "%3A1", "lastEventId=" + epoch + ":1&all=1&epoch=" + epoch + "&seq=3"} {
		s := w.stream("/v1/events?" + query)
		if m := s.next(); m["type"] != "subscribed" || m["recovered"] != true || fmt.Sprint(m["seq"]) != "1" {
			t.Errorf("%s: %v", query, m)
		}
		if m := s.next(); m["type"] != "job.queued" || fmt.Sprint(m["seq"]) != "2" {
			t.Errorf("%s: %v", query, m)
		}
	}
	s := w.stream("/v1/events?all=1&lastEventId="+epoch+":1", "Last-Event-ID", epoch+":2")
	if m := s.next(); fmt.Sprint(m["seq"]) != "2" {
		t.Errorf("the header does not win: %v", m)
	}
	if m := w.stream("/v1/events?all=1&lastEventId=").next(); m["recovered"] != nil {
		t.Errorf("none is none: %v", m)
	}
	w.do("GET", "/v1/ws?all=1&lastEventId="+epoch+":1", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").problem(400, "bad_message")
}

// TestNamesOfPlaces: . and .. are no names, wherever one is made.
func TestNamesOfPlaces(t *testing.T) {
	w := start(t)
	for _, name := range []string{".", ".."} {
		w.do("POST", "/v1/jobs", `{"kind":"`+name+`"}`).problem(422, "bad_message")
		w.do("POST", "/v1/jobs", `{"kind":"nobody","queue":"`+name+`"}`).problem(422, "bad_message")
		w.do("POST", "/v1/workers", `{"kinds":["`+name+`"]}`).problem(422, "bad_message")
		at := strings.ReplaceAll(name, ".", "%2E")
		w.do("PATCH", "/v1/queues/"+at, `{"capacity":1}`).problem(404, "not_found")
		w.do("PUT", "/v1/schedules/"+at, `{"cron":"@daily","job":{"kind":"nobody"}}`).problem(404, "not_found")
	}
	w.nothingStored()
	for _, name := range []string{"...", ".a", "a.", "-"} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody","queue":"`+name+`"}`).want(202)
	}
}

// TestOldNamesOfPlaces: what an earlier version has stored stays in reach.
func TestOldNamesOfPlaces(t *testing.T) {
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7())
	err = store.Commit(t.Context(), &jobs.Batch{Now: time.Now(),
		Documents: []*jobs.DocumentChange{{Document: jobs.Document{Tenant: jobs.DefaultTenant, Kind: "schedule", Name: "..", Data: jobs.Value(`{"cron":"@daily","time_zone":"UTC","job":{"kind":"nobody"},"paused":true}`)}}},
		Changes:   []*jobs.Change{{Job: jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: "..", Queue: "..", State: jobs.Queued, Input: jobs.Value("1"), MaxAttempts: 1, CreatedAt: time.Now()}, Event: jobs.Event{Type: jobs.JobQueued}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	w := startIn(t, dir, nil)
	if r := w.do("GET", "/v1/jobs?queue=..", "").want(200); !strings.Contains(r.body, id.String()) {
		t.Errorf("not listed: %s", r.body)
	}
	w.do("GET", "/v1/queues/%2E%2E", "").want(200)
	w.do("POST", "/v1/queues/%2E%2E/pause", `{}`).want(200)
	w.do("POST", "/v1/queues/%2E%2E/resume", "").want(200)
	w.do("GET", "/v1/schedules/%2E%2E", "").want(200)
	w.do("DELETE", "/v1/schedules/%2E%2E", "").want(204)
	w.do("GET", "/v1/schedules/%2E%2E", "").want(404)
	w.do("DELETE", "/v1/jobs/"+id.String(), "").want(200)
}

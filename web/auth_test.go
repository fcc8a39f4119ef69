package web_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// key makes a key and returns what its holder sends.
func (w *world) key(role auth.Role, tenant string) string {
	w.t.Helper()
	_, text, err := w.keys.Create(auth.Key{Role: role, Tenant: tenant}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.keys.Authenticate(text, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return text
}

// with sends a request with another key or token; an empty one is none at all.
func (w *world) with(bearer, method, path, body string, headers ...string) reply {
	w.t.Helper()
	before := w.bearer
	defer func() { w.bearer = before }()
	w.bearer = bearer
	return w.do(method, path, body, headers...)
}

// token gets a token for a grant.
func (w *world) token(grant string) string {
	w.t.Helper()
	return w.do("POST", "/v1/tokens", grant).want(200).text("token")
}

// unauthorized checks a 401, and with what challenge it comes.
func (r reply) unauthorized(challenge string) map[string]any {
	r.t.Helper()
	return r.has("WWW-Authenticate", challenge, "Set-Cookie", "").problem(http.StatusUnauthorized, "unauthorized")
}

const badToken = `Bearer error="invalid_token"`

// rights says for each route which roles may use it; "all" is every client, "job"
// after the roles also a token for the job. Live subscriptions check their own.
var rights = map[string]string{
	"POST /v1/jobs":                        "admin operator submitter",
	"GET /v1/jobs":                         "admin operator submitter worker viewer",
	"GET /v1/jobs/{id}":                    "admin operator submitter worker viewer job",
	"GET /v1/jobs/{id}/response":           "admin operator submitter worker viewer job",
	"POST /v1/jobs/{id}/cancel":            "admin operator submitter job",
	"DELETE /v1/jobs/{id}":                 "admin operator submitter job",
	"POST /v1/jobs/{id}/retry":             "admin operator submitter",
	"PATCH /v1/jobs/{id}":                  "admin operator submitter",
	"POST /v1/jobs/{id}/run":               "admin operator submitter",
	"POST /v1/jobs/{id}/delete":            "admin operator",
	"POST /v1/jobs:bulk":                   "admin operator",
	"POST /v1/batch":                       "admin operator submitter",
	"POST /batch":                          "admin operator submitter",
	"GET /v1/schedules":                    "admin operator submitter worker viewer",
	"GET /v1/schedules/{name}":             "admin operator submitter worker viewer",
	"PUT /v1/schedules/{name}":             "admin operator",
	"DELETE /v1/schedules/{name}":          "admin operator",
	"GET /v1/queues":                       "admin operator submitter worker viewer",
	"GET /v1/queues/{name}":                "admin operator submitter worker viewer",
	"PATCH /v1/queues/{name}":              "admin operator",
	"POST /v1/queues/{name}/pause":         "admin operator",
	"POST /v1/queues/{name}/resume":        "admin operator",
	"POST /v1/workers":                     "admin operator worker",
	"GET /v1/workers":                      "admin operator submitter worker viewer",
	"DELETE /v1/workers/{id}":              "admin operator worker",
	"POST /v1/workers/{id}/lease":          "admin operator worker",
	"POST /v1/workers/{id}/beat":           "admin operator worker",
	"POST /v1/workers/{id}/quiet":          "admin operator",
	"POST /v1/workers/{id}/terminate":      "admin operator",
	"POST /v1/leases/{token}/events":       "admin operator worker",
	"POST /v1/leases/{token}/complete":     "admin operator worker",
	"POST /v1/leases/{token}/fail":         "admin operator worker",
	"POST /v1/leases/{token}/snooze":       "admin operator worker",
	"POST /v1/leases/{token}/release":      "admin operator worker",
	"POST /v1/keys":                        "admin",
	"GET /v1/keys":                         "admin",
	"GET /v1/keys/{id}":                    "admin",
	"PATCH /v1/keys/{id}":                  "admin",
	"DELETE /v1/keys/{id}":                 "admin",
	"POST /v1/tokens":                      "admin operator submitter worker viewer",
	"GET /v1/ws":                           "all", // its messages are judged one by one
	"GET /v1/events":                       "admin operator submitter worker viewer job",
	"GET /openapi.json":                    "all",
	"GET /asyncapi.json":                   "all",
	"GET /docs":                            "all",
	"GET /docs/{page}":                     "all",
	"GET /metrics":                         "admin monitor",
	"GET /healthz":                         "all",
	"GET /readyz":                          "all",
	"GET /{$}":                             "admin operator submitter worker viewer",
	"GET /jobs":                            "admin operator submitter worker viewer",
	"GET /jobs/export.csv":                 "admin operator submitter worker viewer",
	"GET /jobs/export.ndjson":              "admin operator submitter worker viewer",
	"POST /jobs/bulk":                      "admin operator submitter",
	"GET /jobs/{id}":                       "admin operator submitter worker viewer",
	"GET /jobs/{id}/output":                "admin operator submitter worker viewer",
	"GET /jobs/{id}/input":                 "admin operator submitter worker viewer",
	"GET /jobs/{id}/result":                "admin operator submitter worker viewer",
	"GET /jobs/{id}/edit":                  "admin operator submitter",
	"POST /jobs/{id}/cancel":               "admin operator submitter",
	"POST /jobs/{id}/retry":                "admin operator submitter",
	"POST /jobs/{id}/run":                  "admin operator submitter",
	"GET /jobs/{id}/change":                "admin operator submitter",
	"POST /jobs/{id}/change":               "admin operator submitter",
	"POST /jobs/{id}/delete":               "admin operator",
	"GET /batches":                         "admin operator submitter worker viewer",
	"GET /batches/{id}":                    "admin operator submitter worker viewer",
	"POST /batches/{id}/cancel":            "admin operator submitter",
	"POST /batches/{id}/retry":             "admin operator submitter",
	"GET /routes":                          "admin",
	"GET /queues":                          "admin operator submitter worker viewer",
	"GET /queues/{name}":                   "admin operator submitter worker viewer",
	"POST /queues/{name}":                  "admin operator",
	"POST /queues/{name}/pause":            "admin operator",
	"POST /queues/{name}/resume":           "admin operator",
	"GET /schedules":                       "admin operator submitter worker viewer",
	"POST /schedules":                      "admin operator",
	"GET /schedules/{name}":                "admin operator submitter worker viewer",
	"POST /schedules/{name}":               "admin operator",
	"POST /schedules/{name}/run":           "admin operator",
	"POST /schedules/{name}/pause":         "admin operator",
	"POST /schedules/{name}/resume":        "admin operator",
	"POST /schedules/{name}/delete":        "admin operator",
	"GET /callbacks":                       "admin operator submitter worker viewer",
	"POST /callbacks/enable":               "admin operator",
	"GET /catalog":                         "admin operator submitter worker viewer",
	"GET /catalog/{api}":                   "admin operator submitter worker viewer",
	"GET /catalog/{api}/{version}":         "admin operator submitter worker viewer",
	"POST /catalog/{api}/{version}/access": "admin operator submitter",
	"GET /access":                          "admin operator submitter worker viewer",
	"POST /access/{id}/approve":            "admin",
	"POST /access/{id}/reject":             "admin",
	"POST /access/{id}/suspend":            "admin",
	"GET /workers":                         "admin operator submitter worker viewer",
	"POST /workers/{id}/quiet":             "admin operator",
	"POST /workers/{id}/terminate":         "admin operator",
	"GET /hub":                             "admin",
	"GET /login":                           "all",
	"POST /login":                          "all",
	"POST /logout":                         "all",
	"GET /static/":                         "all",
	"GET /v1/explain":                      "admin operator submitter worker viewer",
	"POST /v1/explain":                     "admin operator submitter worker viewer",
	"GET /v1/usage":                        "admin operator submitter worker viewer monitor",
}

func TestWhoMayUseARoute(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Proxies = []netip.Prefix{loopbackRange} })
	n := 0
	elsewhere := func(path string) []string { // each comes from an address of its own, as wrong credentials are counted
		n++
		return append(formHeaders(path), "X-Forwarded-For", fmt.Sprintf("192.0.%d.%d", n/250, n%250+1))
	}
	admin := w.key(auth.Admin, "default")
	callers := map[string]string{"admin": admin, "nobody": "", "a stranger": "jh_" + strings.Repeat("a", 52), "a forger": "jht_e30.AAAA"}
	for role := range auth.Roles {
		callers[string(role)] = w.key(role, "default")
	}
	patterns := routes(t)
	for pattern := range rights {
		if !slices.Contains(patterns, pattern) {
			t.Errorf("there is no route %s any more", pattern)
		}
	}
	for _, pattern := range patterns {
		allowed, ok := rights[pattern]
		if !ok {
			t.Errorf("nothing says who may use %s", pattern)
			continue
		}
		at := slices.IndexFunc(routeCases, func(c routeCase) bool {
			return c.route == pattern && (c.status < 400 || pattern == "GET /v1/ws" || pattern == "GET /v1/events")
		})
		good := routeCases[at]
		page := !strings.Contains(pattern, " /v1/") && pattern != "GET /metrics" && pattern != "POST /batch"
		for caller, bearer := range callers {
			t.Run(pattern+" by "+caller, func(t *testing.T) {
				w.bearer = admin
				method, path, body := w.prepare(good)
				r := w.with(bearer, method, path, body, elsewhere(path)...)
				r.t = t
				switch {
				case allowed == "all":
					if r.status >= 400 && pattern != "POST /login" { // which has been given no key here
						r.want(good.status)
					}
				case slices.Contains(strings.Fields(allowed), caller):
					r.want(good.status)
				case caller == "nobody" && page:
					r.want(http.StatusSeeOther)
					if to := r.header.Get("Location"); !strings.HasPrefix(to, "/login") {
						t.Errorf("sent to %s", to)
					}
				case caller == "nobody":
					r.unauthorized("Bearer")
				case auth.Roles[auth.Role(caller)] == nil && page:
					r.want(401).has("Content-Type", "text/html; charset=utf-8")
				case auth.Roles[auth.Role(caller)] == nil:
					r.unauthorized(badToken)
				case strings.HasPrefix(pattern, "POST /access/") && r.status == 404: // it does not see the access
				case page:
					r.want(403).has("Content-Type", "text/html; charset=utf-8")
				default:
					r.has("WWW-Authenticate", "").problem(http.StatusForbidden, "forbidden")
				}
			})
		}
		t.Run(pattern+" by a token", func(t *testing.T) {
			w.bearer = admin
			method, path, body := w.prepare(good)
			id := w.submit(`{"kind":"nobody"}`)
			if parts := strings.Split(path, "/"); len(parts) > 3 && parts[2] == "jobs" {
				id = parts[3]
			}
			token := w.token(`{"jobs":["` + id + `"],"queues":["q"],"tags":["t"],"actions":["watch","cancel"]}`)
			r := w.with(token, method, path, body, elsewhere(path)...)
			r.t = t
			switch {
			case allowed == "all":
			case strings.HasSuffix(allowed, " job"):
				r.want(good.status)
			case page:
				r.want(403)
			default:
				r.problem(http.StatusForbidden, "forbidden")
			}
		})
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	w := start(t)
	good := w.key(auth.Viewer, "default")
	w.bearer = good
	w.do("GET", "/v1/jobs", "", "Authorization", "bearer "+good).want(200) // the scheme has no case
	for _, header := range []string{"", "Bearer", good, "Bearer ", "Bearer x", "Bearer " + good + "x", "Bearer " + good[:20], "Bearer " + strings.Repeat("a", 10_000)} {
		w.do("GET", "/v1/jobs", "", "Authorization", header).unauthorized(badToken)
	}
	for _, header := range []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+good)), "Token " + good} { // are not for the hub
		w.do("GET", "/v1/jobs", "", "Authorization", header).unauthorized("Bearer")
	}
	w.with("", "GET", "/v1/jobs?token="+good, "").unauthorized("Bearer") // never in the URL
	w.with("", "GET", "/v1/jobs?access_token="+good, "", "Cookie", "jobhub_session="+good).unauthorized("Bearer")

	expiring, text, err := w.keys.Create(auth.Key{Role: auth.Viewer, Expires: time.Now()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if p := w.with(text, "GET", "/v1/jobs", "").unauthorized(badToken); p["title"] != "Expired" {
		t.Errorf("%s: %v", expiring.ID, p)
	}
	revoked, text, err := w.keys.Create(auth.Key{Role: auth.Admin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.bearer = text
	id := w.submit(`{"kind":"nobody"}`)
	token := w.token(`{"jobs":["` + id + `"]}`)
	cookie := w.logIn(text)
	w.with(token, "GET", "/v1/jobs/"+id, "").want(200)
	if _, err := w.keys.Revoke(revoked.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); w.do("GET", "/v1/jobs", "").status == 200; {
		if time.Now().After(end) {
			t.Fatal("the hub does not notice that a key was revoked")
		}
	}
	for _, bearer := range []string{text, token} {
		if p := w.with(bearer, "GET", "/v1/jobs/"+id, "").unauthorized(badToken); p["title"] != "Revoked" {
			t.Errorf("%v", p)
		}
	}
	w.with("", "GET", "/v1/jobs/"+id, "", "Cookie", cookie).unauthorized("Bearer")
	w.with("", "GET", "/", "", "Cookie", cookie).want(303).has("Location", "/login")
}

// A running hub lets everybody in while there is no key, and from the first one on nobody
// without.
func TestKeysMadeWhileTheHubRuns(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	w.with("jh_something", "GET", "/v1/jobs", "").want(200) // nobody asks
	id := w.submit(`{"kind":"nobody"}`)
	w.do("GET", "/login", "").want(303).has("Location", "/")
	early := w.token(`{"jobs":["` + id + `"]}`)
	tool, err := auth.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := tool.Create(auth.Key{Role: auth.Submitter, Name: "ci"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); w.do("GET", "/v1/jobs/"+id, "").status == 200; {
		if time.Now().After(end) {
			t.Fatal("the hub stays open")
		}
	}
	w.do("GET", "/v1/jobs/"+id, "").unauthorized("Bearer")
	w.with(text, "GET", "/v1/jobs/"+id, "").want(200)
	_, another, err := tool.Create(auth.Key{Role: auth.Viewer}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.with(another, "GET", "/v1/jobs/"+id, "").want(200) // at once
	w.with(early, "GET", "/v1/jobs/"+id, "").unauthorized(badToken)
	if err := os.Remove(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); w.with(text, "GET", "/v1/jobs/"+id, "").status == 200; {
		if time.Now().After(end) {
			t.Fatal("the hub does not notice that the keys are gone")
		}
	}
	w.do("GET", "/v1/jobs/"+id, "").want(401)
	w.with(text, "GET", "/v1/jobs/"+id, "").problem(500, "internal")
}

// offered is the header of a browser's WebSocket with a token.
func offered(bearer string) string {
	return "jobhub.v1, jobhub.token." + base64.RawURLEncoding.EncodeToString([]byte(bearer))
}

func TestCredentialsOfAWebSocket(t *testing.T) {
	w := start(t)
	submitter := w.key(auth.Submitter, "default")
	cookie := w.logIn(submitter)
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, test := range []struct {
		what    string
		headers []string
		want    int
	}{
		{"a header", []string{"Authorization", "Bearer " + submitter}, 101},
		{"a subprotocol", []string{"Sec-WebSocket-Protocol", offered(submitter)}, 101},
		{"a subprotocol alone", []string{"Sec-WebSocket-Protocol", offered(submitter)[len("jobhub.v1, "):]}, 101},
		{"a bad subprotocol", []string{"Sec-WebSocket-Protocol", offered("jh_x")}, 401},
		{"a malformed subprotocol", []string{"Sec-WebSocket-Protocol", "jobhub.v1, jobhub.token.%"}, 401},
		{"a bad header beside a good subprotocol", []string{"Authorization", "Bearer x", "Sec-WebSocket-Protocol", offered(submitter)}, 401},
		{"a cookie", []string{"Cookie", cookie, "Origin", w.url}, 101},
		{"a cookie without an origin", []string{"Cookie", cookie}, 403},
		{"a cookie from elsewhere", []string{"Cookie", cookie, "Origin", "https://evil.test"}, 403},
		{"a forged cookie", []string{"Cookie", cookie + "x", "Origin", w.url}, 101}, // is none: a hello may follow
	} {
		r := w.do("GET", "/v1/ws", "", append(test.headers, upgrade...)...)
		if r.status != test.want {
			t.Errorf("%s: %d, want %d: %s", test.what, r.status, test.want, r.body)
		}
		if got := r.header.Get("Sec-WebSocket-Protocol"); strings.Contains(got, "token") {
			t.Errorf("%s: the token is sent back: %s", test.what, got)
		}
	}
}

// Who pauses a queue is named by their key.
func TestAuthorsAreNamed(t *testing.T) {
	w := start(t)
	_, text, err := w.keys.Create(auth.Key{Role: auth.Operator, Name: "alice"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.bearer = text
	r := w.do("POST", "/v1/queues/q/pause", `{"reason":"lunch"}`).want(200)
	var queue struct{ Pause jobs.Pause }
	if err := json.Unmarshal([]byte(r.body), &queue); err != nil || queue.Pause.By != "alice" {
		t.Errorf("%v %s", err, r.body)
	}
}

package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

// rights says for each route which roles may use it; "all" is whoever can reach it, "job"
// after the roles also a token for the job. Live subscriptions check their own.
var rights = map[string]string{
	"POST /v1/jobs":                    "admin operator submitter",
	"GET /v1/jobs":                     "admin operator submitter worker viewer",
	"GET /v1/jobs/{id}":                "admin operator submitter worker viewer job",
	"GET /v1/jobs/{id}/response":       "admin operator submitter worker viewer job",
	"POST /v1/jobs/{id}/cancel":        "admin operator submitter job",
	"DELETE /v1/jobs/{id}":             "admin operator submitter job",
	"POST /v1/jobs/{id}/retry":         "admin operator submitter",
	"GET /v1/queues":                   "admin operator submitter worker viewer",
	"GET /v1/queues/{name}":            "admin operator submitter worker viewer",
	"PATCH /v1/queues/{name}":          "admin operator",
	"POST /v1/queues/{name}/pause":     "admin operator",
	"POST /v1/queues/{name}/resume":    "admin operator",
	"POST /v1/workers":                 "admin operator worker",
	"GET /v1/workers":                  "admin operator submitter worker viewer",
	"DELETE /v1/workers/{id}":          "admin operator worker",
	"POST /v1/workers/{id}/lease":      "admin operator worker",
	"POST /v1/workers/{id}/beat":       "admin operator worker",
	"POST /v1/workers/{id}/quiet":      "admin operator",
	"POST /v1/workers/{id}/terminate":  "admin operator",
	"POST /v1/leases/{token}/events":   "admin operator worker",
	"POST /v1/leases/{token}/complete": "admin operator worker",
	"POST /v1/leases/{token}/fail":     "admin operator worker",
	"POST /v1/leases/{token}/snooze":   "admin operator worker",
	"POST /v1/leases/{token}/release":  "admin operator worker",
	"POST /v1/tokens":                  "admin operator submitter worker viewer",
	"GET /v1/ws":                       "admin operator submitter",
	"GET /healthz":                     "all",
	"GET /readyz":                      "all",
	"GET /{$}":                         "admin operator submitter worker viewer",
	"GET /jobs/{id}":                   "admin operator submitter worker viewer",
	"POST /jobs/{id}/cancel":           "admin operator submitter",
	"POST /jobs/{id}/retry":            "admin operator submitter",
	"GET /login":                       "all",
	"POST /login":                      "all",
	"POST /logout":                     "all",
	"GET /static/":                     "all",
}

func TestWhoMayUseARoute(t *testing.T) {
	w := start(t)
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
		at := slices.IndexFunc(routeCases, func(c routeCase) bool { return c.route == pattern && (c.status < 400 || pattern == "GET /v1/ws") })
		good := routeCases[at]
		page := !strings.Contains(pattern, " /v1/")
		for caller, bearer := range callers {
			t.Run(pattern+" by "+caller, func(t *testing.T) {
				w.bearer = admin
				method, path, body := w.prepare(good)
				r := w.with(bearer, method, path, body)
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
			r := w.with(token, method, path, body)
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
	for _, header := range []string{"", "Bearer", good, "Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+good)), "Bearer ", "Bearer x", "Bearer " + good + "x", "Bearer " + good[:20],
		"Token " + good, "Bearer " + strings.Repeat("a", 10_000)} {
		w.do("GET", "/v1/jobs", "", "Authorization", header).unauthorized(badToken)
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

func TestTokens(t *testing.T) {
	w := start(t)
	viewer, submitter, other := w.key(auth.Viewer, "default"), w.key(auth.Submitter, "default"), w.key(auth.Admin, "other")
	w.bearer = submitter
	mine := w.submit(`{"kind":"nobody","queue":"reports","tags":["user:7"]}`)
	foreign := w.submit(`{"kind":"nobody","queue":"secret"}`)
	before := time.Now()
	r := w.with(viewer, "POST", "/v1/tokens", `{"jobs":["`+mine+`"]}`).want(200)
	until, err := time.Parse(time.RFC3339, r.text("expires_at"))
	if wait := until.Sub(before); err != nil || wait < 15*time.Minute-time.Second || wait > 15*time.Minute+patience {
		t.Errorf("expires_at %s is in %v", r.text("expires_at"), wait)
	}
	for grant, may := range map[string]string{
		`{"jobs":["MINE"]}`: "watch",
		`{"jobs":["` + strings.ToUpper(unknownID) + `","MINE"],"actions":["watch","cancel"]}`:             "watch cancel",
		`{"queues":["reports"],"actions":["watch"],"ttl":"24h"}`:                                          "watch",
		`{"tags":["user:7"],"actions":["watch","cancel"]}`:                                                "watch cancel",
		`{"tags":["user:7"],"actions":["cancel"]}`:                                                        "cancel",
		`{"jobs":["` + unknownID + `"],"queues":["report"],"tags":["user"],"actions":["watch","cancel"]}`: "",
		`{"jobs":["` + foreign + `"],"tags":["user:70"],"actions":["watch","cancel"]}`:                    "",
	} {
		id := w.submit(`{"kind":"nobody","queue":"reports","tags":["user:7"]}`)
		token := w.token(strings.Replace(grant, "MINE", id, 1))
		get, cancel := w.with(token, "GET", "/v1/jobs/"+id, ""), w.with(token, "DELETE", "/v1/jobs/"+id, "")
		switch may {
		case "watch":
			get.want(200)
			cancel.problem(403, "forbidden")
			w.with(token, "GET", "/v1/jobs/"+id+"/response", "").want(202)
		case "cancel":
			get.problem(403, "forbidden")
			cancel.want(200)
		case "watch cancel":
			get.want(200)
			cancel.want(200)
		default: // not even that it exists
			for _, r := range []reply{get, cancel} {
				r.problem(404, "not_found")
				unknown := w.with(token, "GET", "/v1/jobs/"+strings.Replace(unknownID, "0197", "0198", 1), "")
				if r.body != strings.Replace(unknown.body, strings.Replace(unknownID, "0197", "0198", 1), id, 1) {
					t.Errorf("%s differs from %s", r.body, unknown.body)
				}
			}
		}
		for _, request := range []string{"GET /v1/jobs", "GET /v1/jobs?kind=nobody", "GET /v1/queues", "GET /v1/queues/reports", "GET /v1/workers", "POST /v1/tokens", "POST /v1/jobs", "POST /v1/workers"} {
			method, path, _ := strings.Cut(request, " ")
			w.with(token, method, path, "").problem(403, "forbidden")
		}
		w.with(token, "POST", "/v1/jobs/"+id+"/retry", "").want(map[bool]int{true: 403, false: 404}[may != ""])
		w.with(token, "GET", "/", "").want(403)
		if another := w.submit(`{"kind":"nobody"}`); w.with(token, "GET", "/v1/jobs/"+another, "").status != 404 {
			t.Errorf("%s shows another job", grant)
		}
	}
	// What a token allows ends at its tenant.
	theirs := w.with(other, "POST", "/v1/tokens", `{"jobs":["`+mine+`"],"queues":["reports"],"tags":["user:7"],"actions":["watch","cancel"]}`).want(200).text("token")
	w.with(theirs, "GET", "/v1/jobs/"+mine, "").problem(404, "not_found")
	w.with(theirs, "DELETE", "/v1/jobs/"+mine, "").problem(404, "not_found")
	// A caller gives no more than it has.
	w.with(viewer, "POST", "/v1/tokens", `{"jobs":["`+mine+`"],"actions":["watch","cancel"]}`).problem(403, "forbidden")
	many := strings.TrimSuffix(strings.Repeat(`"q",`, 101), ",")
	for body, status := range map[string]int{`{`: 400, `{"jobs":["` + mine + `"]} {}`: 400, `{"queues":["a"],"queues":["b"]}`: 400, `{"jobs":["` + mine + `"],"all":true}`: 422, `{"Queues":["q"]}`: 422, `[]`: 422,
		`{}`: 422, `{"jobs":[]}`: 422, `{"jobs":["x"]}`: 422, `{"queues":["Q"]}`: 422, `{"tags":[""]}`: 422, `{"tags":["` + strings.Repeat("a", 300) + `"]}`: 422, `{"queues":[` + many + `]}`: 422,
		`{"queues":["q"],"actions":[]}`: 422, `{"queues":["q"],"actions":["submit"]}`: 422, `{"queues":["q"],"actions":["watch","watch","watch"]}`: 422, `{"queues":["q"],"ttl":"24h1s"}`: 422,
		`{"queues":["q"],"ttl":"0s"}`: 422, `{"queues":["q"],"ttl":"-1h"}`: 422, `{"queues":["q"],"ttl":"tomorrow"}`: 422, `{"queues":["q"],"ttl":900}`: 422, ``: 422} {
		w.do("POST", "/v1/tokens", body).problem(status, "bad_message")
	}
	w.do("POST", "/v1/tokens", `{"queues":["q"]}`, "Content-Type", "text/plain").problem(415, "unsupported")
	soon := w.token(`{"jobs":["` + mine + `"],"ttl":"1s"}`)
	w.with(soon, "GET", "/v1/jobs/"+mine, "").want(200)
	for end := time.Now().Add(patience); w.with(soon, "GET", "/v1/jobs/"+mine, "").status == 200; {
		if time.Now().After(end) {
			t.Fatal("a token does not end")
		}
	}
	w.with(soon, "GET", "/v1/jobs/"+mine, "").unauthorized(badToken)
}

// Another tenant's things answer exactly like unknown ones.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	w := start(t)
	a, b := w.key(auth.Admin, "a"), w.key(auth.Admin, "b")
	w.bearer = a
	id := w.submit(`{"kind":"nobody","queue":"q","tags":["t"],"input":"canary"}`, "Idempotency-Key", "one")
	done := w.submit(`{"kind":"nobody","queue":"q"}`)
	w.do("DELETE", "/v1/jobs/"+done, "").want(200)
	w.do("PATCH", "/v1/queues/limited", `{"capacity":1}`).want(200)
	k := w.worker(1, "leased")
	w.submit(`{"kind":"leased"}`)
	lease, _ := k.lease()
	unknownLease := unknownID + "." + strings.SplitN(lease, ".", 2)[1]
	for _, pattern := range routes(t) {
		if !strings.Contains(pattern, "{id}") && !strings.Contains(pattern, "{token}") && !strings.Contains(pattern, "GET /v1/queues/{name}") {
			continue
		}
		var bodies []string
		real, unknown := []string{"{id}", id, "{token}", lease, "{name}", "limited"}, []string{"{id}", unknownID, "{token}", unknownLease, "{name}", "nothing"}
		if strings.Contains(pattern, "/workers/") {
			real[1], unknown[1] = k.id, "wk_nothing"
		}
		if strings.Contains(pattern, "/retry") {
			real[1] = done
		}
		for _, names := range [][]string{real, unknown} {
			method, path, _ := strings.Cut(strings.NewReplacer(names...).Replace(pattern), " ")
			body := ""
			switch {
			case strings.HasSuffix(path, "/events"):
				body = `{"n":1,"type":"progress","percent":1}`
			case strings.HasSuffix(path, "/snooze"):
				body = `{"delay":"1h"}`
			}
			r := w.with(b, method, path, body)
			if r.status != 404 && r.status != 409 {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
			}
			r.header.Del("Date")
			text := fmt.Sprint(r.status, r.header, r.body)
			text = strings.NewReplacer(names[3], "", names[1], "", names[5], "").Replace(text)
			if strings.HasPrefix(path, "/jobs/") { // a page says when it was made
				text = fmt.Sprint(r.status, strings.Contains(text, "canary"))
			}
			bodies = append(bodies, text)
		}
		if stripLength(bodies[0]) != stripLength(bodies[1]) {
			t.Errorf("%s tells a foreign thing from none:\n%s\n%s", pattern, bodies[0], bodies[1])
		}
	}
	w.bearer = b
	for _, path := range []string{"/v1/jobs", "/v1/jobs?queue=q", "/v1/jobs?tag=t", "/v1/jobs?kind=nobody", "/v1/queues", "/v1/workers", "/"} {
		if r := w.do("GET", path, "").want(200); strings.Contains(r.body, id) || strings.Contains(r.body, "canary") || strings.Contains(r.body, "nobody") || strings.Contains(r.body, "limited") || strings.Contains(r.body, k.id) {
			t.Errorf("%s shows things of another tenant: %s", path, r.body)
		}
	}
	w.do("POST", "/v1/jobs", `{"kind":"nobody","after":["`+id+`"]}`).problem(w.with(a, "POST", "/v1/jobs", `{"kind":"nobody","after":["`+unknownID+`"]}`).status, "bad_message")
	// Their keys, queues and workers are their own.
	own := w.do("POST", "/v1/jobs", `{"kind":"nobody","queue":"q","tags":["t"],"input":"canary"}`, "Idempotency-Key", "one").want(202).has("Idempotency-Replayed", "").json()
	if own["id"] == id || own["tenant"] != "b" {
		t.Errorf("a key of another tenant is taken for one's own: %v", own)
	}
	for range 2 {
		w.submit(`{"kind":"nobody","queue":"limited"}`)
	}
	other := w.worker(1, "nobody", "leased")
	if _, job := other.lease(); job["id"] == id || job["queue"] != "q" || job["id"] != own["id"] {
		t.Errorf("b's worker got %v", job)
	}
	if state := w.with(a, "GET", "/v1/jobs/"+id, "").text("state"); state != "queued" {
		t.Errorf("a's job is %s", state)
	}
	w.with(a, "POST", "/v1/leases/"+lease+"/complete", `{"result":1}`).want(200)
	if page := w.do("GET", "/", ""); !strings.Contains(page.body, fmt.Sprint(own["id"])) || strings.Contains(page.body, id) {
		t.Error("b's overview does not show what b has")
	}
}

func stripLength(text string) string {
	before, rest, _ := strings.Cut(text, "Content-Length:[")
	_, after, _ := strings.Cut(rest, "]")
	return before + after
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
		{"a forged cookie", []string{"Cookie", cookie + "x", "Origin", w.url}, 401},
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

// brokenStore can read nothing while it is on.
type brokenStore struct {
	jobs.Store
	on atomic.Bool
}

var errBroken = errors.New("the disk is on fire")

func (s *brokenStore) Job(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	if s.on.Load() {
		return jobs.Job{}, jobs.Position{}, errBroken
	}
	return s.Store.Job(ctx, tenant, id)
}

func (s *brokenStore) List(ctx context.Context, f jobs.Filter) (jobs.Page, error) {
	if s.on.Load() {
		return jobs.Page{}, errBroken
	}
	return s.Store.List(ctx, f)
}

// Whatever happens, no log line holds a secret, nor does an answer.
func TestSecretsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	var broken brokenStore
	w := startIn(t, dir, func(p *parts) {
		p.web.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p.wrap = func(s jobs.Store) jobs.Store { broken.Store = s; return &broken }
	})
	admin := w.key(auth.Admin, "default")
	w.bearer = admin
	id := w.submit(`{"kind":"leased"}`)
	k := w.worker(1, "leased")
	lease, _ := k.lease()
	token, cookie := w.token(`{"jobs":["`+id+`"]}`), w.logIn(admin)
	secrets := []string{admin, token, strings.TrimPrefix(cookie, "jobhub_session="), lease, "jh_wrong", base64.RawURLEncoding.EncodeToString([]byte(admin))}
	all := func() {
		for _, bearer := range []string{admin, token, "jh_wrong", ""} {
			for _, request := range []string{"GET /v1/jobs", "GET /v1/jobs/" + id, "GET /", "GET /jobs/" + id, "GET /v1/workers", "POST /v1/leases/" + lease + "/events", "POST /v1/leases/" + lease + "/snooze", "POST /v1/leases/" + lease + "/complete"} {
				method, path, _ := strings.Cut(request, " ")
				body := ""
				if method == "POST" {
					body = `{"n":1,"type":"log","text":"x"}`
				}
				r := w.with(bearer, method, path, body, "Cookie", cookie, "Sec-WebSocket-Protocol", offered(admin), "Origin", w.url)
				for _, secret := range secrets {
					if instance := `"instance":"` + path + `"`; strings.Contains(strings.ReplaceAll(r.body, instance, ""), secret) && !strings.Contains(path, "/events") {
						t.Errorf("%s answers with a secret: %s", request, r.body)
					}
				}
			}
		}
		w.form("/login", "key=jh_wrong&next=%2F", "").want(401)
	}
	all()
	broken.on.Store(true)
	all()
	w.do("POST", "/v1/leases/"+lease+"/complete", `{"result":1}`).problem(500, "internal")
	w.http.Close() // waits for who writes the log
	text := log.String()
	if !strings.Contains(text, "request failed") || !strings.Contains(text, "/v1/leases/{token}/complete") {
		t.Fatalf("the log lacks something: %s", text)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %s:\n%s", secret, text)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{admin, token, cookie[len("jobhub_session="):]} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds a secret", file)
			}
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

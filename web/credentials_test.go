package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// TestTheKeyHeader: Authorization may be for an API behind the hub; the key is then in a
// header of its own, which goes no further.
func TestTheKeyHeader(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		headers, _ := json.Marshal(r.Header)
		w.Write(headers)
	})
	for _, name := range []string{"", "X-Hub-Key"} {
		t.Run("called "+name, func(t *testing.T) {
			w := start(t)
			w.Apply(web.Settings{KeyHeader: name}, []gateway.Route{up.route("/api/", func(r *gateway.Route) { r.ForwardAuth = true })})
			header := map[string]string{"": "Jobhub-Key", "X-Hub-Key": "x-hub-key"}[name]
			other := map[string]string{"": "X-Hub-Key", "X-Hub-Key": "Jobhub-Key"}[name]
			key, viewer := w.key(auth.Submitter, "default"), w.key(auth.Viewer, "default")
			w.do("GET", "/v1/jobs", "", header, key).want(200)
			w.do("GET", "/v1/jobs", "", other, key).unauthorized("Bearer")
			w.do("GET", "/v1/jobs", "", header, "jh_wrong").unauthorized(badToken)
			w.do("GET", "/v1/jobs", "", header, "").unauthorized(badToken)
			w.do("GET", "/v1/jobs", "", header, "jh_wrong", "Authorization", "Bearer "+key).unauthorized(badToken)
			w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, header, viewer, "Authorization", "Bearer "+key).problem(403, "forbidden") // it goes first
			w.bearer = key
			token := w.token(`{"queues":["default"]}`)
			id := w.submit(`{"kind":"nobody"}`)
			w.bearer = ""
			w.do("GET", "/v1/jobs/"+id, "", header, token).want(200)
			c := w.dial("?queue=default", header, token)
			c.block("q")

			hidden := func(text string) {
				t.Helper()
				if strings.Contains(text, "jh_") || strings.Contains(strings.ToLower(text), strings.ToLower(header)) {
					t.Errorf("the key goes further: %s", text)
				}
			}
			for _, theirs := range []string{"Bearer eyJ.x.y", "Basic eDp5"} {
				passed := w.do("GET", "/api/x", "", header, key, "Authorization", theirs).want(200)
				if hidden(passed.body); !strings.Contains(passed.body, theirs) {
					t.Errorf("the upstream got %s", passed.body)
				}
			}
			async := w.do("GET", "/api/x?async=true", "", header, key).want(202).text("id")
			w.bearer = key
			job := w.await(async, "succeeded")
			hidden(fmt.Sprint(job["input"]))
			hidden(w.do("GET", "/v1/jobs/"+async+"/response", "").want(200).body)

			// Items of a batch have the header from their batch, and none of their own.
			w.bearer = ""
			items := `{"requests":[{"method":"GET","path":"/v1/jobs"},{"method":"GET","path":"/v1/jobs","headers":{"` + header + `":"` + key + `"}}]}`
			if got := statuses(w.do("POST", "/batch", items, header, key).want(200).responses()); got != "200 400" {
				t.Errorf("the items answer %s", got)
			}
		})
	}
}

// TestAuthorizationOfAProxy: a proxy in front of the hub may have its own scheme; what is
// for the hub is looked for elsewhere.
func TestAuthorizationOfAProxy(t *testing.T) {
	w := start(t)
	key := w.key(auth.Operator, "default")
	cookie := w.logIn(key)
	for _, theirs := range []string{"Basic eDp5", "basic eDp5", "Digest username=\"x\"", "Negotiate YII=", "Token " + key} {
		w.do("GET", "/", "", "Authorization", theirs, "Cookie", cookie).want(200)
		w.do("GET", "/v1/jobs", "", "Authorization", theirs, "Cookie", cookie).want(200)
		w.do("GET", "/v1/jobs", "", "Authorization", theirs, "Jobhub-Key", key).want(200)
		w.do("GET", "/", "", "Authorization", theirs).want(303).has("Location", "/login")
		w.do("GET", "/login", "", "Authorization", theirs).want(200)
		w.do("GET", "/v1/jobs", "", "Authorization", theirs).unauthorized("Bearer")
		w.form("/login", url.Values{"key": {key}}.Encode(), "", "Authorization", theirs).want(303).has("Location", "/")
		w.form("/v1/queues/q/pause", "", cookie, "Authorization", theirs, "Content-Type", "application/json").want(200)
		w.do("POST", "/v1/queues/q/pause", "", "Authorization", theirs, "Cookie", cookie).problem(403, "forbidden") // the cookie alone changes nothing
		c := w.dial("", "Authorization", theirs, "Cookie", cookie, "Origin", w.url)
		c.quiet()
		c = w.connect("", "Authorization", theirs)
		c.send(`{"type":"hello","token":"%s"}`, key)
		c.until("welcome")
	}
	// Bearer is the hub's: what is wrong there is said.
	w.do("GET", "/", "", "Authorization", "Bearer jh_wrong", "Cookie", cookie).want(401)
}

// TestTheSessionCookie: it goes over https alone where that is how the hub is reached, and
// to no other application of the host.
func TestTheSessionCookie(t *testing.T) {
	for origin, want := range map[string][]string{
		"":                                 {"; Path=/;", "!Secure"},
		"http://hub.example.com":           {"; Path=/;", "!Secure"},
		"https://hub.example.com":          {"; Path=/;", "; Secure"},
		"https://example.com/tools/jobhub": {"; Path=/tools/jobhub;", "; Secure"},
		"http://example.com/jobhub/":       {"; Path=/jobhub;", "!Secure"},
	} {
		w := startIn(t, t.TempDir(), func(p *parts) { p.web.Origin = origin })
		key := w.key(auth.Viewer, "default")
		in := w.form("/login", url.Values{"key": {key}}.Encode(), "").want(303).header.Get("Set-Cookie")
		cookie, _, _ := strings.Cut(in, ";")
		out := w.form("/logout", "", cookie).want(303).header.Get("Set-Cookie")
		for _, set := range []string{in, out} {
			for _, part := range append(want, "; HttpOnly", "; SameSite=Strict") {
				if not, no := strings.CutPrefix(part, "!"); no == strings.Contains(set, strings.TrimPrefix(part, "!")) {
					t.Errorf("%s: %s with %s", origin, set, not)
				}
			}
		}
	}
}

// TestIdempotencyKeysOfCallers: a key is known to its caller alone, whichever of its tokens
// or sessions shows it, and over a restart.
func TestIdempotencyKeysOfCallers(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	const body = `{"kind":"nobody"}`
	local := w.submit(body, "Idempotency-Key", "k")
	alice, bob := w.key(auth.Operator, "default"), w.key(auth.Operator, "default")
	submit := func(bearer, body string) reply {
		return w.with(bearer, "POST", "/v1/jobs", body, "Idempotency-Key", "k")
	}
	hers := submit(alice, body).want(202).has("Idempotency-Replayed", "").text("id")
	his := submit(bob, `{"kind":"other"}`).want(202).has("Idempotency-Replayed", "").text("id")
	if hers == his || hers == local {
		t.Fatal("callers share a key")
	}
	same := func(r reply, id string) {
		t.Helper()
		if r.want(202).has("Idempotency-Replayed", "true"); r.text("id") != id {
			t.Errorf("the idempotency key gives job %s, want %s", r.text("id"), id)
		}
	}
	for range 2 {
		same(submit(alice, body), hers)
		same(submit(bob, `{"kind":"other"}`), his)
		same(w.form("/v1/jobs", body, w.logIn(alice), "Content-Type", "application/json", "Idempotency-Key", "k"), hers)
		submit(bob, body).problem(422, "conflict")
		c := w.show("", alice)
		c.send(`{"type":"submit","id":"m","key":"k","job":%s}`, body)
		if data := c.until("reply")["data"].(map[string]any); data["id"] != hers {
			t.Errorf("over WebSocket it is %v", data["id"])
		}
		w.close()
		w = startIn(t, dir, nil)
	}
	// And to its path.
	w.with(alice, "POST", "/v1/jobs/"+hers+"/cancel", "").want(200)
	w.with(alice, "POST", "/v1/jobs/"+hers+"/retry", "", "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "")
}

// TestReadinessInDetail: what the configuration is like is for those who watch over the hub.
func TestReadinessInDetail(t *testing.T) {
	w := start(t)
	w.ReportConfig(web.ConfigState{File: "hub.yaml", LoadedAt: time.Now(), Err: fmt.Errorf("secret name"), FailedAt: time.Now()})
	detailed := func(r reply, want bool) {
		t.Helper()
		if r.want(200).has("Content-Type", "application/json"); strings.Contains(r.body, "secret name") != want || r.text("status") != "ready" {
			t.Errorf("%s, want details: %v", r.body, want)
		}
	}
	detailed(w.do("GET", "/readyz", ""), true) // without keys
	keys := map[auth.Role]string{}
	for role := range auth.Roles {
		keys[role] = w.key(role, "default")
	}
	for role, key := range keys {
		detailed(w.with(key, "GET", "/readyz", ""), role == auth.Admin || role == auth.Monitor)
	}
	detailed(w.do("GET", "/readyz", ""), false)
	detailed(w.with("jh_wrong", "GET", "/readyz", ""), false)
}

// TestDocsAreOpen: they say nothing of this hub to those who show no key.
func TestDocsAreOpen(t *testing.T) {
	w := start(t)
	w.do("GET", "/docs", "").want(200).shows(`data-epoch="`+w.hub.Epoch()+`"`, "test")
	_, key, err := w.keys.Create(auth.Key{Role: auth.Viewer, Name: "alice"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/docs", "/docs/operate", "/docs/api"} {
		w.do("GET", path, "").want(200).shows("!"+w.hub.Epoch(), `!action="/logout"`, "<article")
	}
	w.do("GET", "/docs/none", "").want(404)
	w.do("GET", "/docs", "", "Cookie", w.logIn(key)).want(200).shows(`data-epoch="`+w.hub.Epoch()+`"`, "alice")
}

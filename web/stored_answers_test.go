package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jobhub/web/auth"
)

// TestStoredAnswers: a route with a cache asks its upstream once for what may be stored, for
// each consumer by itself unless the answer is public, and changes stored answers like others.
func TestStoredAnswers(t *testing.T) {
	up := newUpstream(t, nil)
	up.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := up.hits.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/public") {
			w.Header().Set("Cache-Control", "public, max-age=60")
		}
		if strings.HasSuffix(r.URL.Path, "/session") {
			w.Header().Set("Set-Cookie", "a=b")
		}
		fmt.Fprintf(w, `{"n":%d}`, n)
	})
	w := startRoutes(t)
	w.applyConfig(up, `
routes:
  - path: /api/
    upstream: UP
    cache: {ttl: 60s}
    response: {headers: {set: {X-Who: "{consumer.name}"}}, body: "{data: .}"}
  - {path: /plain/, upstream: UP}
`)
	ann, bob := w.key(auth.Submitter, "default"), w.key(auth.Submitter, "default")
	ask := func(key, path string) string {
		t.Helper()
		return w.with(key, "GET", path, "").want(200).body
	}
	if first := ask(ann, "/api/x"); first != `{"data":{"n":1}}` || ask(ann, "/api/x") != first {
		t.Errorf("the answer was %s, and then another", first)
	}
	if got := ask(bob, "/api/x"); got != `{"data":{"n":2}}` {
		t.Errorf("another consumer got %s", got)
	}
	if first := ask(ann, "/api/public"); ask(bob, "/api/public") != first {
		t.Errorf("a public answer was not shared")
	}
	hit := w.with(bob, "GET", "/api/public", "").want(200)
	if !strings.Contains(hit.header.Get("Cache-Status"), "hit") || hit.header.Get("Age") == "" || hit.header.Get("X-Who") == "" {
		t.Errorf("a stored answer has %v", hit.header)
	}
	for _, path := range []string{"/api/session", "/plain/x"} {
		if first := ask(ann, path); ask(ann, path) == first {
			t.Errorf("%s was stored", path)
		}
	}
	before := ask(ann, "/api/x")
	w.with(ann, "POST", "/api/x", "{}", "Content-Type", "application/json").want(200)
	if ask(ann, "/api/x") == before {
		t.Error("a change did not remove the stored answer")
	}
	w.with(ann, "GET", "/api/unknown", "", "Cache-Control", "only-if-cached").want(504)
}

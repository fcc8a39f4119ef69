package web_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"jobhub/web"
	"jobhub/web/config"
)

// applyConfig puts a configuration with routes in force. UP stands for the address of the
// upstream.
func (w *world) applyConfig(up *upstream, text string) {
	w.t.Helper()
	c, err := config.Decode("hub.yaml", []byte(strings.ReplaceAll(text, "UP", up.URL)))
	if err == nil {
		err = w.Apply(web.Settings{Plans: c.Plans}, c.Routes)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestChanges: rules change requests and answers, the same for a proxied request and a job.
func TestChanges(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("X-Internal", "1")
		fmt.Fprintf(w, `{"path":%q,"query":%q,"who":%q,"cookie":%q,"body":%s,"big":9007199254740993,"none":[]}`, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("X-Who"), r.Header.Get("Cookie"), body)
	})
	w := startRoutes(t)
	w.applyConfig(up, `
routes:
  - path: /api/orders/{id}
    upstream: UP
    forward_auth: true
    request: {path: "/v2/orders/{id}", headers: {set: {X-Who: "{consumer.name}"}, remove: [Cookie]}, query: {set: {v: "2"}, remove: [debug]}, body: ".order | {id, total}"}
    response: {headers: {remove: [X-Internal], set: {X-Order: "{id}"}}, body: "{data: .}"}
`)
	const want = `{"data":{"path":"/v2/orders/a%20b","query":"a=1&v=2","who":"local","cookie":"","body":{"id":1.10,"total":[]},"big":9007199254740993,"none":[]}}`
	for _, way := range []string{"wait=0", "respond-async, wait=20"} {
		got := w.do("POST", "/api/orders/a%20b?a=1&debug=1", `{"order":{"id":1.10,"total":[],"x":1}}`, "Content-Type", "application/json", "Cookie", "c=1", "Prefer", way).want(200)
		if got.body != want || got.header.Get("ETag") != "" || got.header.Get("X-Internal") != "" || got.header.Get("X-Order") != "a b" {
			t.Errorf("%q: %s %v", way, got.body, got.header)
		}
		w.do("POST", "/api/orders/1", `{"order":`, "Content-Type", "application/json", "Prefer", way).want(400)
		w.do("POST", "/api/orders/1", `x`, "Content-Type", "text/plain", "Prefer", way).want(415)
	}
	if n := up.hits.Load(); n != 2 {
		t.Errorf("the upstream got %d requests", n)
	}
}

// TestMaxBody: a request whose body is larger than the route allows is refused, also when its
// length is not known before.
func TestMaxBody(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t)
	w.applyConfig(up, `
routes:
  - {path: /api/, upstream: UP, max_body: 1KiB}
`)
	w.do("POST", "/api/x", strings.Repeat("x", 1024)).want(200)
	for _, way := range []string{"wait=0", "respond-async"} {
		w.do("POST", "/api/x", strings.Repeat("x", 1025), "Prefer", way).problem(413, "too_large")
		r, err := http.NewRequest("POST", w.url+"/api/x", io.MultiReader(strings.NewReader(strings.Repeat("x", 1000)), strings.NewReader(strings.Repeat("y", 100))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Prefer", way)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != 413 {
			t.Errorf("%q: %d", way, res.StatusCode)
		}
	}
	w.nothingStored()
}

package web_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/config"
)

// TestPool: requests and jobs of a route go to one of its upstreams; one that is down is passed
// over where that is safe.
func TestPool(t *testing.T) {
	answer := func(name string) *upstream {
		return newUpstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name+" "+r.URL.Path) })
	}
	one, two, down := answer("one"), answer("two"), answer("down")
	w := startRoutes(t)
	down.Close() // now that the hub can't get its port
	configure := func(text string) {
		t.Helper()
		c, err := config.Decode("hub.yaml", []byte(strings.NewReplacer("ONE", one.URL, "TWO", two.URL, "DOWN", down.URL).Replace(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(web.Settings{}, c.Routes); err != nil {
			t.Fatal(err)
		}
	}
	configure(`
routes:
  - {path: /both/, strip: /both, upstreams: [{url: ONE/a}, {url: TWO/b}], split_by: "header:X-Who"}
  - {path: /drained/, upstreams: [{url: ONE, weight: 0}, {url: TWO}]}
  - {path: /safe/, upstreams: [{url: DOWN}, {url: TWO}], tries: 2}
  - {path: /broken/, upstream: DOWN, breaker: {failures: 1, window: 10s, open: 1h}}
`)
	seen := map[string]bool{}
	for i := range 50 {
		who := fmt.Sprint("caller ", i)
		got := w.do("GET", "/both/x", "", "X-Who", who).want(200).body
		seen[got] = true
		if again := w.do("GET", "/both/x", "", "X-Who", who).want(200).body; again != got {
			t.Errorf("%s went to %q and to %q", who, got, again)
		}
		if i < 4 {
			if job := w.do("GET", "/both/x", "", "X-Who", who, "Prefer", "respond-async, wait=20").want(200).body; job != got {
				t.Errorf("%s went to %q, and as a job to %q", who, got, job)
			}
		}
		if got := w.do("GET", "/drained/x", "").want(200).body; got != "two /drained/x" {
			t.Errorf("a drained upstream got a request: %q", got)
		}
		w.do("GET", "/safe/x", "").want(200)
		w.do("POST", "/safe/x", "{}").want(200) // nothing was sent to the one that is down
	}
	if len(seen) != 2 || !seen["one /a/x"] || !seen["two /b/x"] {
		t.Errorf("requests went to %v", seen)
	}
	w.do("GET", "/broken/x", "").want(502)
	w.do("GET", "/broken/x", "").problem(503, "upstream_unreachable")
	if after := w.do("GET", "/broken/x", "").header.Get("Retry-After"); after == "" || after == "1" {
		t.Errorf("Retry-After is %q", after)
	}
	configure("routes: [{path: /broken/, upstream: DOWN, breaker: {failures: 1, window: 10s, open: 1h}}]") // a reload keeps what is known
	w.do("GET", "/broken/x", "").want(503)
}

// TestWebSocketThroughARoute: it is passed both ways, after the checks of the route, outlives a
// reload, and is told when the hub goes.
func TestWebSocketThroughARoute(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte(r.URL.Path+" "), data...)) != nil {
				return
			}
		}
	})
	w := startRoutes(t)
	text := `
routes:
  - {path: /chat/, upstream: UP, websocket: true, limits: [{rate: 2/24h, per: consumer}]}
  - {path: /plain/, upstream: UP}
`
	w.applyConfig(up, text)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dial := func(path, key string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(ctx, "ws"+strings.TrimPrefix(w.url, "http")+path, &websocket.DialOptions{Subprotocols: []string{"chat"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
	}
	key := w.key(auth.Submitter, "default")
	if _, res, err := dial("/chat/x", "jh_wrong"); err == nil || res.StatusCode != 401 {
		t.Errorf("with a wrong key: %v %v", res, err)
	}
	if _, res, err := dial("/plain/x", key); err == nil || res.StatusCode == 101 {
		t.Errorf("a route without websocket: %v %v", res, err)
	}
	c, _, err := dial("/chat/x", key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	say := func(word string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(word)); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(ctx); err != nil || string(data) != "/chat/x "+word {
			t.Fatalf("%q %v", data, err)
		}
	}
	if c.Subprotocol() != "chat" {
		t.Errorf("the subprotocol is %q", c.Subprotocol())
	}
	say("hello")
	w.applyConfig(up, text)
	say("after a reload")
	second, _, err := dial("/chat/x", key)
	if err != nil {
		t.Fatal(err)
	}
	second.CloseNow()
	if _, res, err := dial("/chat/x", key); err == nil || res.StatusCode != 429 {
		t.Errorf("over the limit: %v %v", res, err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		soon, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		w.Drain()
		w.Close(soon)
	}()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the connection ended with %v", err)
	}
	<-gone
}

package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// A quiet subscription has missed nothing, whatever was trimmed.
func TestSubscribeBesideAQuietSubscription(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.hub.RingBytes = 1 })
	id := w.submit(`{"kind":"nobody","queue":"quiet"}`)
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"a","job":"%s"}`, id)
	c.until("live")
	for range 20 {
		w.submit(`{"kind":"nobody","queue":"other"}`)
	}
	if _, err := w.store.Trim(t.Context(), jobs.Trim{Seq: w.store.Head().Seq - 2}); err != nil {
		t.Fatal(err)
	}
	c.send(`{"type":"subscribe","id":"b","queue":"third"}`)
	if m := c.next(); m["type"] != "subscribed" || m["id"] != "b" {
		t.Errorf("got %v", m)
	}
}

// After 4100 was sent, nothing that still comes is served.
func TestNothingIsServedBehindAClose(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	id := w.submit(`{"kind":"nobody"}`)
	c := w.show("", w.token(`{"jobs":["`+id+`"],"actions":["watch","cancel"],"ttl":"1s"}`))
	w.measured("jobhub_live_closes_total{code=\"4100\"} 1") // which this client has not read
	c.send(`{"type":"cancel","id":"x","job":"%s"}`, id)
	if code := c.closed(); code != 4100 {
		t.Errorf("closed with %d", code)
	}
	w.measured("jobhub_live_connections 0")
	if state := w.do("GET", "/v1/jobs/"+id, "").want(200).text("state"); state != "queued" {
		t.Errorf("a token that has expired cancelled: %s", state)
	}
}

// measured waits until /metrics has a line.
func (w *world) measured(line string) {
	w.t.Helper()
	for end := time.Now().Add(w.patience); ; {
		text := w.do("GET", "/metrics", "").want(200).body
		if strings.Contains(text, "\n"+line+"\n") {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("no %s in\n%s", line, text)
		}
	}
}

// The end of the hub does not wait for a stream whose client takes nothing.
func TestCloseCutsAStream(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.StallLimit = time.Hour })
	w.submit(`{"kind":"script","input":"s"}`)
	for range 200 {
		w.script("s").output(strings.Repeat("x", 60_000))
	}
	w.stream("/v1/events?all=1&seq=0&epoch=" + w.hub.Epoch()) // only the header is read
	over, cancel := context.WithCancel(context.Background())
	cancel()
	closed := make(chan struct{})
	go func() {
		w.Drain()
		w.Close(over)
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("it waits")
	}
}

package web_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
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
	keyed(t, func(t *testing.T, w *world, _ string) {
		id := w.submit(`{"kind":"nobody"}`)
		c := w.show("", w.token(`{"jobs":["`+id+`"],"actions":["watch","cancel"],"ttl":"1s"}`))
		c.until("welcome")
		time.Sleep(2 * time.Second) // this client does not read the close
		c.send(`{"type":"cancel","id":"x","job":"%s"}`, id)
		time.Sleep(time.Minute)
		if state := w.do("GET", "/v1/jobs/"+id, "").want(200).text("state"); state != "queued" {
			t.Errorf("a token that has expired cancelled: %s", state)
		}
		c.conn.CloseNow()
	})
}

// The end of the hub does not wait for a stream whose client takes nothing.
func TestCloseCutsAStream(t *testing.T) {
	w := start(t)
	w.submit(`{"kind":"script","input":"s"}`)
	for range 200 {
		w.script("s").output(strings.Repeat("x", 60_000))
	}
	w.stream("/v1/events?all=1&seq=0&epoch=" + w.hub.Epoch()) // of which no more is read than the header
	over, cancel := context.WithCancel(context.Background())
	cancel()
	from := time.Now()
	w.Drain()
	w.Close(over)
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

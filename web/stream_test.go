package web_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A snapshot gives no position to resume from before it is complete.
func TestStreamOfASnapshot(t *testing.T) {
	w := start(t)
	a := w.submit(`{"kind":"nobody"}`)
	s := w.stream("/v1/events?all=1&snapshot=1")
	epoch := w.hub.Epoch()
	for i, want := range []struct{ id, kind string }{{"", "subscribed"}, {"", "state"}, {epoch + ":1", "live"}, {epoch + ":2", "job.queued"}, {epoch + ":3", "job.cancelled"}} {
		switch i {
		case 3:
			w.submit(`{"kind":"nobody"}`)
		case 4:
			w.do("POST", "/v1/jobs/"+a+"/cancel", "").want(200)
		}
		if id, data := s.part(); id != want.id || decoded(t, data)["type"] != want.kind {
			t.Errorf("%d: got %q %s, want %v", i, id, data, want)
		}
	}
	s = w.stream("/v1/events?all=1", "Last-Event-ID", epoch+":1")
	for _, want := range []struct{ id, kind string }{{epoch + ":1", "subscribed"}, {epoch + ":2", "job.queued"}, {epoch + ":3", "job.cancelled"}, {epoch + ":3", "live"}} {
		if id, data := s.part(); id != want.id || decoded(t, data)["type"] != want.kind {
			t.Errorf("resumed: got %q %s, want %v", id, data, want)
		}
	}
	for _, id := range []string{"elsewhere:1", "rubbish", epoch + ":99", ":", epoch + ":-1"} {
		_, data := w.stream("/v1/events?all=1&epoch="+epoch+"&seq=1", "Last-Event-ID", id).part()
		if m := decoded(t, data); m["recovered"] != false || m["reason"] == nil {
			t.Errorf("from %q: %s", id, data)
		}
	}
}

func TestStreamsThatAreRefused(t *testing.T) {
	w := start(t)
	for _, query := range []string{"", "?all=1&queue=q", "?all=0", "?bogus=1", "?all=1&seq=x"} {
		w.do("GET", "/v1/events"+query, "").problem(400, "bad_message")
	}
	w.do("GET", "/v1/events?job=0197f0a2-5c1e-7000-8000-000000a44f09", "").problem(404, "not_found")
	w.do("POST", "/v1/events?all=1", "").problem(405, "unsupported")
	if r := w.do("HEAD", "/v1/events?all=1", ""); r.status != 200 || r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
}

// A quiet stream moves forward, and a drain ends it with a hint when to come back.
func TestQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		s := w.stream("/v1/events?queue=quiet")
		s.part()
		s.part()
		w.submit(`{"kind":"nobody","queue":"loud"}`)
		from := time.Now()
		if id, data := s.part(); id != w.hub.Epoch()+":1" || data != "" || time.Since(from) != 25*time.Second {
			t.Errorf("after %s came %q %q", time.Since(from), id, data)
		}
		w.Drain()
		if text := s.rest(); !strings.HasPrefix(text, "retry: ") || !strings.Contains(text, `data: {"type":"reconnect","after_ms":`) {
			t.Errorf("the drain says %q", text)
		}
		w.close()
	})
}

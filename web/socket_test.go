package web_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

func TestSubscriptionInTheQuery(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"script","input":"a","queue":"q1","tags":["t1"]}`)
	w.await(id, "running")
	queries := []string{"job=" + id, "queue=q1", "tag=t1", "kind=script", "all=1", "all=1&progress=none"}
	clients := make([]*client, len(queries))
	for i, query := range queries {
		clients[i] = w.connect("?" + query) // in force before the 101, and nothing is read yet
	}
	w.script("a").succeed("1")
	w.await(id, "succeeded")
	for i, c := range clients {
		if m := c.next(); m["type"] != "welcome" {
			t.Errorf("%s: first came %v", queries[i], m)
		}
		if from, inner, live := c.block("q"); len(inner) > 0 || from["seq"] != live["seq"] || from["recovered"] != nil {
			t.Errorf("%s: %v %v %v", queries[i], from, inner, live)
		}
		if m := c.until("job.succeeded"); m["job"] != id {
			t.Errorf("%s: %v", queries[i], m)
		}
		c.quiet()
	}
	c := w.dial("?snapshot=1&queue=q1")
	if _, inner, _ := c.block("q"); len(inner) > 0 {
		t.Errorf("the snapshot of a queue with one finished job has %v", inner)
	}
	c = w.dial("?snapshot=1&job=" + id)
	if _, inner, _ := c.block("q"); typesOf(inner) != "state" {
		t.Errorf("the snapshot of a job has %v", inner)
	}
	c = w.dial("?job=0197f0a2-5c1e-7000-8000-000000a44f09")
	if m := c.next(); m["type"] != "error" || m["id"] != "q" || m["code"] != "not_found" {
		t.Errorf("an unknown job got %v", m)
	}
}

func TestMalformedSocketRequests(t *testing.T) {
	w := start(t)
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, query := range []string{"bogus=1", "all=yes", "all=1&queue=q", "all=0", "snapshot=1", "queue=", "all=1&seq=-1", "all=1&epoch=e&seq=x", "all=1&progress=some",
		"queue=a&queue=b", "all=1&snapshot=2", "queue=%zz", "token=jh_1&all=1",
		"queue=a+b", "queue=Q", "kind=" + strings.Repeat("k", 65), "kind=a/b", "tag=", "tag=%00", "tag=" + strings.Repeat("t", 129)} {
		w.do("GET", "/v1/ws?"+query, "", upgrade...).problem(http.StatusBadRequest, "bad_message")
		w.do("GET", "/v1/events?"+query, "").problem(http.StatusBadRequest, "bad_message")
	}
	for _, query := range []string{"queue=" + strings.Repeat("q", 64), "kind=a.b_c-9", "tag=user:7", "tag=a+b", "tag=" + strings.Repeat("t", 128)} {
		c := w.dial("?" + query)
		c.block("q")
	}
	w.do("GET", "/v1/ws?all=1", "").has("Upgrade", "websocket").problem(http.StatusUpgradeRequired, "unsupported")
}

func TestCancelOfARunningJobIsTold(t *testing.T) {
	w := start(t)
	c := w.dial("")
	c.send(`{"type":"submit","id":"m1","job":{"kind":"script","input":"a"},"watch":true}`)
	id := c.until("reply")["data"].(map[string]any)["id"].(string)
	c.until("live")
	c.send(`{"type":"cancel","id":"m2","job":"%s"}`, id)
	if data := c.until("reply")["data"].(map[string]any); data["cancel_requested"] != true {
		t.Errorf("the reply says %v", data)
	}
	if data := c.until("job.cancel_requested")["data"].(map[string]any); data["state"] != "running" || data["cancel_requested"] != true {
		t.Errorf("job.cancel_requested: %v", data)
	}
	if data := c.until("job.cancelled")["data"].(map[string]any); data["state"] != "cancelled" || data["reason"] != "user" {
		t.Errorf("job.cancelled: %v", data)
	}
}

// cutLog trims a log once, when the test asks for it, for readers that are behind.
// The hub itself follows on: its own reads name no size.
type cutLog struct {
	hub.Log
	cut atomic.Bool
}

func (l *cutLog) Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error) {
	if q.MaxBytes > 0 && l.cut.CompareAndSwap(true, false) {
		return nil, jobs.ErrTrimmed
	}
	return l.Log.Read(ctx, q)
}

// A client that took nothing for so long that the log was trimmed is told so, and
// given the state anew.
func TestGapIsToldAndHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log cutLog
		w := startIn(t, t.TempDir(), func(p *parts) {
			p.listen = listenPiped()
			log.Log = p.hub.Log
			p.hub.Log, p.hub.RingBytes = &log, 1
		})
		old := w.submit(`{"kind":"nobody","queue":"others"}`)
		c := w.dial("")
		for _, s := range []string{`"id":"all","all":true`, `"id":"queue","queue":"q"`, `"id":"job","job":"` + old + `"`} {
			c.send(`{"type":"subscribe",%s}`, s)
			c.until("live")
		}
		w.submit(`{"kind":"nobody","queue":"others"}`) // the client does not read its event
		time.Sleep(10 * time.Second)
		id := w.submit(`{"kind":"script","input":"a","queue":"q"}`)
		w.await(id, "running")
		synctest.Wait()
		log.cut.Store(true)
		if m := c.next(); m["type"] != "job.queued" || number(t, m, "seq") != 2 {
			t.Errorf("before the gap came %v", m)
		}
		states := map[string]string{}
		for range 3 {
			m := c.next()
			name := m["id"].(string)
			if m["type"] != "gap" || m["reason"] != "expired" || number(t, m, "from") != 2 || number(t, m, "to") != 4 {
				t.Errorf("got %v, want gap from 2 to 4", m)
			}
			for m = c.next(); m["type"] != "live"; m = c.next() {
				if m["type"] != "state" || m["id"] != name || number(t, m, "seq") != 4 {
					t.Errorf("in the block of %s: %v", name, m)
				}
				states[name] += fmt.Sprint(m["data"].(map[string]any)["state"], " ")
			}
			if m["id"] != name || number(t, m, "seq") != 4 {
				t.Errorf("the block of %s ends with %v", name, m)
			}
		}
		if want := map[string]string{"all": "running queued queued ", "queue": "running ", "job": "queued "}; fmt.Sprint(states) != fmt.Sprint(want) {
			t.Errorf("the fresh states are %v, want %v", states, want)
		}
		w.script("a").succeed("1")
		if m := c.next(); m["type"] != "job.succeeded" || m["job"] != id {
			t.Errorf("after the gap came %v", m)
		}
		c.conn.CloseNow()
		w.close()
	})
}

func TestWideSnapshotIsBounded(t *testing.T) {
	w := start(t)
	var load sync.WaitGroup
	for range 17 {
		load.Go(func() {
			for range 59 { // 1003 in all
				if _, err := w.engine.Submit(t.Context(), jobs.Spec{Kind: "nobody"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	load.Wait()
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"s1","all":true,"snapshot":true}`)
	_, states, live := c.block("s1")
	if len(states) != 1000 || live["truncated"] != true {
		t.Errorf("%d states, and %v", len(states), live)
	}
	if newest := states[0]["data"].(map[string]any)["id"]; newest != submitted(w) {
		t.Error("the snapshot does not begin with the newest job")
	}
}

func TestSubscriptionsAreLimited(t *testing.T) {
	c := start(t).dial("")
	var b strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&b, `{"type":"subscribe","id":"s%d","queue":"q%d"}`+"\n", i, i)
	}
	c.send("%s", b.String())
	if m := c.until("error"); m["id"] != "s1000" || m["code"] != "limit_exceeded" || m["retry"] != false {
		t.Errorf("the 1001st subscription got %v", m)
	}
}

func TestViews(t *testing.T) {
	w := start(t)
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"v1","view":"overview"}`)
	html := func(m map[string]any) string { return m["html"].(string) }
	if m := c.next(); m["type"] != "patch" || m["id"] != "v1" || !strings.Contains(html(m), `id="overview-queues"`) || !strings.Contains(html(m), `id="overview-now"`) {
		t.Fatalf("the first patch is %v", m)
	}
	id := w.submit(`{"kind":"script","input":"<b>a</b>","queue":"fresh"}`)
	for {
		m := c.next()
		if text := html(m); m["type"] == "patch" && strings.Contains(text, id) && strings.Contains(text, "fresh") {
			break
		}
	}
	c.send(`{"type":"subscribe","id":"v2","view":"overview"}`)
	if m := c.until("error"); m["code"] != "limit_exceeded" {
		t.Errorf("a second view got %v", m)
	}
	c.send(`{"type":"unsubscribe","id":"v1"}`)
	c.until("reply")
	c.send(`{"type":"subscribe","id":"v2","view":"job:%s"}`, id)
	if m := c.until("patch"); m["id"] != "v2" || !strings.Contains(html(m), "&lt;b&gt;a") || strings.Contains(html(m), "<b>a</b>") {
		t.Errorf("the view of a job: %v", m)
	}
	w.script("<b>a</b>").output("<script>alert(1)</script>\n")
	for {
		if text := html(c.until("patch")); strings.Contains(text, "alert(1)") {
			if strings.Contains(text, "<script>") {
				t.Errorf("output became markup: %s", text)
			}
			break
		}
	}
	c.send(`{"type":"unsubscribe","id":"v2"}`)
	c.until("reply")
	for _, view := range []string{"nothing", "", "job:", "job:x", "job:0197f0a2-5c1e-7000-8000-000000a44f09"} {
		c.send(`{"type":"subscribe","id":"v3","view":"%s"}`, view)
		if m := c.until("error"); m["code"] != "not_found" {
			t.Errorf("view %q got %v", view, m)
		}
	}
	c.send(`{"type":"subscribe","id":"v3","view":"overview","all":true}`)
	if m := c.until("error"); m["code"] != "bad_message" {
		t.Errorf("a view with a filter got %v", m)
	}
}

// A quiet connection is pinged, and the ping moves its position forward. The clock
// of the bubble makes the wait short.
func TestQuietConnectionIsPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		c := w.dial("?queue=quiet")
		c.until("live")
		w.submit(`{"kind":"nobody","queue":"loud"}`)
		for range 3 {
			from := time.Now()
			m := c.next()
			if m["type"] != "ping" || number(t, m, "seq") != 1 || time.Since(from) != 25*time.Second {
				t.Errorf("after %s came %v, want a ping with seq 1 after 25 s", time.Since(from), m)
			}
		}
		c.conn.CloseNow()
		w.close()
	})
}

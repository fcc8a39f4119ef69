package web_test

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"jobhub/web/auth"
)

// described checks that the hub says a message as asyncapi.json has it.
func (w *world) described(m map[string]any) map[string]any {
	w.t.Helper()
	_, byHub := readAsyncAPI(w).said()
	if err := anyOf(byHub[m["type"].(string)], map[string]any(m)); err != nil {
		w.t.Errorf("the hub says %v: %v", m, err)
	}
	return m
}

// TestHello: who shows nothing in the handshake has to say who it is before anything else.
func TestHello(t *testing.T) {
	w := start(t)
	key, other := w.key(auth.Submitter, "default"), w.key(auth.Submitter, "other")
	w.bearer = key
	narrow := w.token(`{"queues":["q"]}`)
	c := w.connect("?queue=q")
	c.send(`{"type":"hello","id":"h","token":"%s"}`, narrow)
	if m := w.described(c.next()); m["type"] != "welcome" {
		t.Errorf("after hello came %v", m)
	}
	c.block("q")
	if m := w.described(c.next()); m["type"] != "reply" || m["id"] != "h" {
		t.Errorf("hello is answered with %v", m)
	}
	c.send(`{"type":"subscribe","id":"wide","all":true}`)
	if m := w.described(c.next()); m["code"] != "forbidden" {
		t.Errorf("a token for a queue may watch all: %v", m)
	}
	for token, code := range map[string]any{"jh_wrong": "unauthorized", other: "forbidden", w.token(`{"queues":["r"]}`): "forbidden", key: nil} {
		c.send(`{"type":"refresh","id":"r","token":"%s"}`, token)
		if m := w.described(c.next()); m["id"] != "r" || m["code"] != code {
			t.Errorf("a refresh is answered with %v, want %v", m, code)
		}
	}
	c.quiet()
}

// TestCloseCodesOfCredentials: the code says whether a client should come back, and how.
func TestCloseCodesOfCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		w.bearer = w.key(auth.Viewer, "default")
		revoked, revokedKey, err := w.keys.Create(auth.Key{Role: auth.Viewer, Tenant: "default"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if m := w.do("GET", "/v1/jobs", ""); m.status != 200 {
			t.Fatal(m.body)
		}
		began := time.Now()
		after := func(c *client, what string, code websocket.StatusCode, wait time.Duration) {
			t.Helper()
			from := time.Now()
			if got := c.closed(); got != code {
				t.Errorf("%s: closed with %d, want %d", what, got, code)
			}
			if took := time.Since(from); took < wait || took > wait+time.Second {
				t.Errorf("%s: closed after %v, want %v", what, took, wait)
			}
		}
		after(w.connect(""), "no hello", 4408, 10*time.Second)

		c := w.connect("")
		c.send(`{"type":"hello","token":"jh_%s"}`, "wrong")
		after(c, "an unknown key", 4401, 0)

		token := w.token(`{"queues":["q"],"ttl":"40s"}`)
		c = w.dial("?queue=q", "Authorization", "Bearer "+token)
		c.block("q")
		said := time.Now()
		if m := w.described(c.until("expiring")); number(t, m, "in_ms") > 20_000 || time.Since(said) < 19*time.Second {
			t.Errorf("after %v came %v", time.Since(said), m)
		}
		after(c, "an expired token", 4100, 20*time.Second)
		offered := "jobhub.token." + base64.RawURLEncoding.EncodeToString([]byte(token))
		after(w.connect("", "Sec-WebSocket-Protocol", offered), "a token that had expired", 4100, 0)

		c = w.dial("", "Authorization", "Bearer "+revokedKey)
		if _, err := w.keys.Revoke(revoked.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		after(c, "a revoked key", 4403, 0)
		if time.Since(began) > time.Hour {
			t.Error("it took too long")
		}
		w.close()
	})
}

package web_test

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

func TestDrainTellsConnectionsToComeBack(t *testing.T) {
	w := start(t)
	idle, busy := w.dial(""), w.dial("?all=1")
	busy.until("live")
	w.Drain()
	for _, c := range []*client{idle, busy} {
		m := c.next()
		if after := number(t, m, "after_ms"); m["type"] != "reconnect" || after > 2000 {
			t.Errorf("got %v, want reconnect within 2 s", m)
		}
		if code := c.closed(); code != websocket.StatusServiceRestart {
			t.Errorf("closed with %d, want 1012", code)
		}
	}
	w.do("GET", "/readyz", "").problem(http.StatusServiceUnavailable, "internal")
	w.do("GET", "/healthz", "").want(http.StatusOK)
	w.do("GET", "/v1/ws", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==").
		has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal")
	w.Drain() // again does no harm
}

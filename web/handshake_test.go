package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestHandshakeRefusals(t *testing.T) {
	const version, key = "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	w := start(t)
	for _, test := range []struct {
		name     string
		from, to string // of the request
		status   []int
		header   string // that says how to do better
	}{
		{"no version", version, "", []int{400, 426}, "Sec-Websocket-Version"},
		{"version 8", version, "Sec-WebSocket-Version: 8\r\n", []int{400, 426}, "Sec-Websocket-Version"},
		{"version 0", version, "Sec-WebSocket-Version: 0\r\n", []int{400, 426}, "Sec-Websocket-Version"},
		{"POST", "GET ", "POST ", []int{405}, "Allow"},
		{"PUT", "GET ", "PUT ", []int{405}, "Allow"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", []int{400, 426, 505}, ""},
		{"no Upgrade", "Upgrade: websocket\r\n", "", []int{426}, "Upgrade"},
		{"another Upgrade", "Upgrade: websocket\r\n", "Upgrade: h2c\r\n", []int{426}, "Upgrade"},
		{"no Connection", "Connection: Upgrade\r\n", "", []int{400, 426}, "Upgrade"},
		{"Connection without it", "Connection: Upgrade\r\n", "Connection: keep-alive\r\n", []int{400, 426}, "Upgrade"},
		{"no key", key, "", []int{400}, ""},
		{"a short key", key, "Sec-WebSocket-Key: c2hvcnQ=\r\n", []int{400}, ""},
		{"a key that is not base64", key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!\r\n", []int{400}, ""},
		{"two keys", key, key + key, []int{400}, ""},
		{"a foreign origin", key, key + "Origin: https://elsewhere.example\r\n", []int{403}, ""},
		{"no origin at all", key, key + "Origin: null\r\n", []int{403}, ""},
		{"a foreign host", "Host: " + w.address(), "Host: rebound.example", []int{421}, ""},
		{"a malformed query", "/v1/ws", "/v1/ws?bogus=1", []int{400}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.rawDial(handshake(w.address(), "", test.from, test.to))
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			fits := false
			for _, status := range test.status {
				fits = fits || res.StatusCode == status
			}
			if !fits || test.header != "" && res.Header.Get(test.header) == "" {
				t.Errorf("%s with %v, want %v and %s", res.Status, res.Header, test.status, test.header)
			}
			body, err := io.ReadAll(res.Body)
			var problem struct {
				Status int
				Code   string
			}
			if err != nil || res.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &problem) != nil || problem.Status != res.StatusCode || problem.Code == "" {
				t.Errorf("not a problem document: %v %s %q", err, res.Header.Get("Content-Type"), body)
			}
		})
	}
}

func TestHandshakes(t *testing.T) {
	w := start(t)
	for name, test := range map[string]struct{ from, to string }{
		"plain":              {"", ""},
		"other case":         {"Connection: Upgrade\r\nUpgrade: websocket", "connection: UPGRADE\r\nupgrade: WebSocket"},
		"as Firefox asks":    {"Connection: Upgrade", "Connection: keep-alive, Upgrade"},
		"own origin":         {"Upgrade: websocket", "Upgrade: websocket\r\nOrigin: " + w.url},
		"with extensions":    {"Upgrade: websocket", "Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-bogus"},
		"a list of upgrades": {"Upgrade: websocket", "Upgrade: h2c, websocket"},
	} {
		t.Run(name, func(t *testing.T) {
			var changes []string
			if test.from != "" {
				changes = []string{test.from, test.to}
			}
			c := w.rawDial(handshake(w.address(), "", changes...))
			res, err := http.ReadResponse(c.r, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(res, err)
			}
			h := res.Header
			if h.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || !strings.EqualFold(h.Get("Upgrade"), "websocket") || !strings.EqualFold(h.Get("Connection"), "upgrade") {
				t.Errorf("the answer is %v", h)
			}
			// Compression would cost memory for each connection; it is not agreed to.
			if h.Get("Sec-Websocket-Extensions") != "" || h.Get("Sec-Websocket-Protocol") != "" {
				t.Errorf("agreed to what was not offered: %v", h)
			}
			if op, welcome := c.frame(); op != opText || !strings.HasPrefix(welcome, `{"type":"welcome","v":1,`) {
				t.Errorf("opcode %x with %s", op, welcome)
			}
		})
	}
}

func TestSubprotocols(t *testing.T) {
	w := start(t)
	for _, test := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"jobhub.v1"}, "jobhub.v1"},
		{[]string{"jobhub.v2", "jobhub.v1"}, "jobhub.v1"},
		{[]string{"jobhub.token.c2VjcmV0", "jobhub.v1"}, "jobhub.v1"},
		{[]string{"jobhub.v9"}, ""},
	} {
		conn, _, err := websocket.Dial(t.Context(), w.url+"/v1/ws", &websocket.DialOptions{Subprotocols: test.offered})
		if err != nil {
			t.Fatal(err)
		}
		if conn.Subprotocol() != test.want {
			t.Errorf("offered %q, agreed on %q", test.offered, conn.Subprotocol())
		}
		conn.CloseNow()
	}
}

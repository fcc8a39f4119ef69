package web_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// TestQueriesThatAreNotUTF8: what is wrong with a request is said in JSON or HTML that can
// be read, wherever the bytes are.
func TestQueriesThatAreNotUTF8(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	const bad = "%ff%00%22%0a"
	paths := []string{"/" + bad, "/v1/" + bad, "/v1/jobs/" + bad, "/v1/schedules/" + bad, "/v1/queues/" + bad, "/jobs/" + bad, "/batches/" + bad, "/queues/" + bad, "/schedules/" + bad, "/docs/" + bad,
		"/jobs/" + id + "?lines=" + bad, "/batches/" + id + "?item=" + bad, "/v1/jobs/" + id + "?version=" + bad, "/schedules?after=" + bad, "/jobs/" + id + "/output?lines=" + bad}
	for _, page := range []string{"/v1/jobs", "/v1/events", "/v1/ws", "/jobs", "/batches", "/callbacks", "/catalog", "/access", "/", "/jobs/export.csv", "/queues", "/login"} {
		for _, name := range []string{bad, "state", "queue", "kind", "tag", "q", "cursor", "limit", "parent", "job", "all", "view", "epoch", "from", "next"} {
			paths = append(paths, page+"?"+name+"="+bad)
		}
	}
	for _, path := range paths {
		for _, accept := range []string{"text/html", "application/json"} {
			headers := []string{"Accept", accept}
			if strings.HasPrefix(path, "/v1/ws") {
				headers = append(headers, "Connection", "upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
			}
			req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			res, err := w.client.Transport.RoundTrip(req)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			kind := res.Header.Get("Content-Type")
			if res.StatusCode == http.StatusSwitchingProtocols || strings.HasPrefix(kind, "text/event-stream") {
				res.Body.Close()
				continue
			}
			var b bytes.Buffer
			b.ReadFrom(res.Body)
			res.Body.Close()
			text := b.Bytes()
			if res.StatusCode >= 500 || !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 || strings.Contains(kind, "json") && !jsontext.Value(text).IsValid() {
				t.Errorf("%s: %d %s %.200q", path, res.StatusCode, kind, text)
			}
		}
	}
}

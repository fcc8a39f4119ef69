package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestLimits meets bounds with one more than they allow: the answer says so, and everybody
// else is served.
func TestLimits(t *testing.T) {
	w := start(t)
	fill := func(n int) string { return strings.Repeat("x", n) }
	items := func(n int) string {
		return `{"requests":[` + strings.TrimSuffix(strings.Repeat(`{"method":"GET","path":"/healthz"},`, n), ",") + `]}`
	}
	tags := func(n int) string {
		list, _ := json.Marshal(strings.Fields(strings.Repeat("t ", n)))
		return string(list)
	}
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"submission":        {"POST", "/v1/jobs", fmt.Sprintf(`{"kind":"nobody","input":%q}`, fill(2<<20)), 413, "too_large"},
		"batch":             {"POST", "/v1/batch", fill(8<<20 + 1), 413, "too_large"},
		"items of a batch":  {"POST", "/v1/batch", items(1001), 413, "too_large"},
		"report":            {"POST", "/v1/leases/x/events", fill(4<<20 + 1), 413, "too_large"},
		"result":            {"POST", "/v1/leases/x/complete", fill(16<<20 + 4<<10 + 1), 413, "too_large"},
		"slots":             {"POST", "/v1/workers", `{"kinds":["a"],"slots":10001}`, 422, "bad_message"},
		"text to search":    {"GET", "/v1/jobs?q=" + fill(257), "", 400, "bad_message"},
		"page of jobs":      {"GET", "/v1/jobs?limit=501", "", 400, "bad_message"},
		"page of queues":    {"GET", "/v1/queues?limit=1001", "", 400, "bad_message"},
		"page of keys":      {"GET", "/v1/keys?limit=501", "", 400, "bad_message"},
		"scopes of a key":   {"POST", "/v1/keys", `{"role":"admin","scopes":` + tags(101) + `}`, 422, "bad_message"},
		"things of a token": {"POST", "/v1/tokens", `{"queues":` + tags(101) + `}`, 422, "bad_message"},
		"body of a version": {"PUT", "/v1/apis/a/versions/v1", fill(3<<20 + 1), 413, "too_large"},
		"tags":              {"POST", "/v1/jobs", `{"kind":"nobody","tags":` + tags(33) + `}`, 422, "bad_message"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.do(test.method, test.path, test.body)
			r.t = t
			r.problem(test.status, test.code)
			w.do("GET", "/healthz", "").want(200)
		})
	}
	if answer := w.rawAnswer("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + fill(64<<10) + "\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("a long head: %.100q", answer)
	}
	c := w.dial("")
	for i := range 1001 {
		c.send(`{"type":"subscribe","id":"s%d","queue":"q%d"}`, i, i)
	}
	if m := c.until("error"); m["code"] != "limit_exceeded" || m["id"] != "s1000" {
		t.Errorf("a subscription too many: %v", m)
	}
	w.nothingStored()
}

// TestDocsLimits: the page has the table, with the values of the code.
func TestDocsLimits(t *testing.T) {
	w := start(t)
	page := w.do("GET", "/docs/limits", "").want(http.StatusOK).body
	for _, part := range []string{"<td>30 s</td>", "<td>256, <code>limits.connections_per_address</code></td>", "<td>1000, <code>limits.queues</code></td>", "<td>2 MiB</td>", "This hub takes "} {
		if !strings.Contains(page, part) {
			t.Errorf("%s is missing", part)
		}
	}
	if strings.Contains(page, "{limits}") {
		t.Error("the table is missing")
	}
}

package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A hub below a path of its host leads nowhere else, whether a proxy takes the path off
// or not.
func TestBasePath(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Origin = "https://hub.example.com/tools/hub" })
	links := regexp.MustCompile(`(?:href|src|action)="([^"#][^"]*)"`)
	url := w.url
	for _, base := range []string{"", "/tools/hub"} {
		accepted := w.do("POST", base+"/v1/jobs", `{"kind":"nobody","queue":"q"}`).want(http.StatusAccepted)
		location := accepted.header.Get("Location")
		if !strings.HasPrefix(location, "/tools/hub/v1/jobs/") || !strings.HasPrefix(accepted.header.Get("Operation-Location"), "/tools/hub/v1/jobs/") {
			t.Errorf("the answer leads to %s and %s", location, accepted.header.Get("Operation-Location"))
		}
		w.do("GET", location, "").want(http.StatusAccepted)
		id := strings.Split(location, "/")[5]
		for _, path := range []string{"/", "/?view=wall", "/jobs", "/jobs/" + id, "/queues", "/queues/q", "/workers", "/hub", "/catalog", "/access", "/docs", "/docs/protocol", "/docs/api", "/login"} {
			page := w.do("GET", base+path, "").body
			found := links.FindAllStringSubmatch(page, -1)
			if len(found) == 0 && path != "/login" {
				t.Errorf("%s has no link", path)
			}
			for _, link := range found {
				if !strings.HasPrefix(link[1], "/tools/hub/") && !strings.Contains(link[1], "://") {
					t.Errorf("%s leads to %s", path, link[1])
				}
			}
		}
		w.url = url + base
		c := w.connect("")
		w.url = url
		c.send(`{"type":"hello"}`)
		c.send(`{"type":"subscribe","id":"v","view":"overview"}`)
		if patch := c.until("patch"); !strings.Contains(patch["html"].(string), `href="/tools/hub/queues/q"`) {
			t.Errorf("a live part leads elsewhere: %s", patch["html"])
		}
	}
	w.do("GET", "/tools/hub", "").want(http.StatusOK)
	if page := w.do("GET", "/workers", "", "Host", "hub.example.com").want(http.StatusOK).body; !strings.Contains(page, "https://hub.example.com/tools/hub") {
		t.Error("a command names another address")
	}
	w.do("POST", "/queues/q/pause", "reason=x", "Content-Type", formType, "Origin", "https://hub.example.com").want(http.StatusSeeOther).has("Location", "/tools/hub/queues/q")
	w.do("POST", "/queues/q/pause", "reason=x", "Content-Type", formType, "Origin", "https://example.com").want(http.StatusForbidden)
	w.do("GET", "/tools/hubris", "").want(http.StatusNotFound)
}

package web_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jobhub/web/auth"
)

// TestDocsMetrics: the page for operators has each figure of a real scrape, and none else.
func TestDocsMetrics(t *testing.T) {
	w := start(t)
	w.submit(`{"kind":"nobody"}`)
	c := w.dial("?all=1&seq=0&epoch=" + w.hub.Epoch()) // vectors are empty until something happens
	c.until("live")
	c.send("\xff")
	c.closed()
	var real []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(w.do("GET", "/metrics", "").want(200).body, -1) {
		name := m[1]
		if group, _, _ := strings.Cut(name, "_"); group != "jobhub" {
			name = group + "_*"
		}
		if !slices.Contains(real, name) {
			real = append(real, name)
		}
	}
	page, err := os.ReadFile("docs/pages/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| metric |")
	var described []string
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z_*]+)`").FindAllStringSubmatch(first, -1) {
			described = append(described, m[1])
		}
	}
	slices.Sort(real)
	slices.Sort(described)
	if !slices.Equal(real, described) {
		t.Errorf("/metrics has\n%q, the page\n%q", real, described)
	}
}

// TestDocsRoles: the page for operators has each role.
func TestDocsRoles(t *testing.T) {
	page, err := os.ReadFile("docs/pages/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for role := range auth.Roles {
		if !strings.Contains(string(page), "| `"+string(role)+"` |") {
			t.Errorf("there is no %s", role)
		}
	}
}

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// axe is the source of the accessibility checker, which npm keeps for the next time.
var axe = sync.OnceValues(func() (string, error) {
	const version = "4.14.1"
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(cache, "jobhub-test", "axe-core-"+version, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		dir := filepath.Dir(filepath.Dir(filepath.Dir(file)))
		if out, err := exec.Command("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent", "axe-core@"+version).CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm: %w\n%s", err, out)
		}
	}
	text, err := os.ReadFile(file)
	return string(text), err
})

// accessible checks the page as it is against WCAG 2.2, level AA.
func (p *page) accessible(name string) {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.evaluate(source + `; ""`)
	const tags = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]`
	found := p.evaluate(`axe.run({ runOnly: ` + tags + `, resultTypes: ["violations"] }).then((r) => JSON.stringify({ passes: r.passes.length,
		wrong: r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target.join(" ") + "\n" + n.failureSummary)) }))`)
	var result struct {
		Passes int
		Wrong  []string
	}
	if err := json.Unmarshal([]byte(found), &result); err != nil || result.Passes < 5 {
		p.t.Fatalf("%s: the checker says %s, %v", name, found, err)
	}
	for _, wrong := range result.Wrong {
		p.t.Errorf("%s: %s", name, wrong)
	}
}

// TestPagesOfJobsAreAccessible looks at each state of the pages of jobs, light and dark, on
// a screen and on a phone.
func TestPagesOfJobsAreAccessible(t *testing.T) {
	t.Parallel()
	empty, h, s, p := startHub(t), startHub(t), newStream(t), openBrowser(t)
	running := h.submit(httpJob(s.URL, `,"tags":["invoice","two","three"]`)).ID
	s.say(t, `{"percent":40,"message":"page 4"}`)
	s.say(t, `"a line"`)
	failed := h.submit(`{"kind":"http","input":{"method":"GET","url":"http://127.0.0.1:1/"},"retry":{"max_attempts":1}}`).ID
	h.await(failed, inState("failed"))
	cancelled := h.submit(nobodys("")).ID
	h.call("POST", "/v1/jobs/"+cancelled+"/cancel", "")
	h.submit(nobodys(`,"delay":"1h"`))
	h.submit(nobodys(""))
	visits := map[string]struct{ url, before string }{
		"empty":         {empty.url + "/jobs", ""},
		"jobs":          {h.url + "/jobs", `document.querySelector("#rows-body input").click()`},
		"further back":  {h.url + "/jobs?limit=2", ""},
		"nothing found": {h.url + "/jobs?q=nothing", ""},
		"menu":          {h.url + "/jobs", `document.querySelectorAll(".menu").forEach((m) => { m.open = true; })`},
		"keys":          {h.url + "/jobs", `document.getElementById("shortcuts").showModal()`},
		"done":          {h.url + "/jobs?did=cancel&done=1&skipped=2&bulk=" + running, ""},
		"question":      {h.url + "/jobs", `document.querySelector("#rows-body input").click(), document.querySelector('[value="cancel selected"]').click()`},
		"running job":   {h.url + "/jobs/" + running, ""},
		"failed job":    {h.url + "/jobs/" + failed, `document.querySelectorAll("details").forEach((d) => { d.open = true; })`},
		"cancelled job": {h.url + "/jobs/" + cancelled, ""},
		"malformed":     {h.url + "/jobs?since=x", ""},
		"edit":          {h.url + "/jobs/" + failed + "/edit", ""},
		"no such job":   {h.url + "/jobs/0197f0a2-5c1e-7000-8000-000000a44f09", ""},
		"stale":         {h.url + "/jobs", `document.body.dataset.stale = "12:00:00"`},
	}
	for _, screen := range []struct {
		width, height int64
		scheme        string
	}{{1440, 900, "light"}, {1440, 900, "dark"}, {390, 844, "light"}, {390, 844, "dark"}} {
		show(p, screen.width, screen.height, screen.scheme)
		for name, v := range visits {
			name := fmt.Sprintf("%s, %s, %d px", name, screen.scheme, screen.width)
			p.visit(v.url)
			if v.before != "" {
				p.evaluate("void (" + v.before + ")")
			}
			if strings.HasPrefix(name, "question") {
				p.shows("#ask[open]", "Cancel 1 job?")
			}
			p.accessible(name)
			if p.evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
				t.Errorf("%s is wider than the screen", name)
			}
		}
	}
	for _, c := range p.heard() {
		if !strings.Contains(c, "status of 40") { // of the pages that are errors
			t.Errorf("the browser complains: %s", c)
		}
	}
}

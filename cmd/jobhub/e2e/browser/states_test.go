package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
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
	p.T.Helper()
	p.checked(name, `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]`, 5)
}

// contrasts checks the colours of the page alone.
func (p *page) contrasts(name string) {
	p.T.Helper()
	p.checked(name, `{ type: "rule", values: ["color-contrast"] }`, 0) // the checker can't see the contrast below a dialog
}

// checked checks the page as it is by some rules of the checker, of which it has to keep a
// few: else nothing was looked at.
func (p *page) checked(name, rules string, least int) {
	p.T.Helper()
	if p.Evaluate(`String(typeof axe)`) == "undefined" {
		source, err := axe()
		if err != nil {
			p.T.Fatal(err)
		}
		p.Evaluate(source + `; ""`)
	}
	found := p.Evaluate(`axe.run({ runOnly: ` + rules + `, resultTypes: ["violations"] }).then((r) => JSON.stringify({ passes: r.passes.length,
		wrong: r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target.join(" ")).join(", ") + "\n" + v.nodes[0].failureSummary) }))`)
	var result struct {
		Passes int
		Wrong  []string
	}
	if err := json.Unmarshal([]byte(found), &result); err != nil || result.Passes < least {
		p.T.Fatalf("%s: the checker says %s, %v", name, found, err)
	}
	for _, wrong := range result.Wrong {
		p.T.Errorf("%s: %s", name, wrong)
	}
}

// fine looks at a page as it is on a screen, on a phone, and on the narrowest of phones,
// where it must not be wider than the screen. In the dark only the colours are others.
func (p *page) fine(name string) {
	p.T.Helper()
	for _, width := range []int64{1440, 390, 320} {
		name := fmt.Sprintf("%s, %d px", name, width)
		show(p, width, 900, "light")
		if wide := p.Evaluate(`document.documentElement.scrollWidth <= innerWidth ? "" : document.documentElement.scrollWidth + " px: " +
			[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((e) => e.cloneNode().outerHTML).join(" ")`); wide != "" {
			p.T.Errorf("%s is wider than the screen: %s", name, wide)
		}
		if width == 320 {
			continue
		}
		p.accessible(name)
		show(p, width, 900, "dark")
		p.contrasts(name + ", dark")
	}
}

// visit is a state of a page: what is done there, and what it shows then.
type visit struct {
	name, path string
	do         string // script
	selector   string
	text       string
}

// looks goes to states of pages, one after the other, and looks whether they are fine.
func (p *page) looks(root string, visits ...visit) {
	p.T.Helper()
	for _, v := range visits {
		show(p, 1440, 900, "light")
		p.visit(root + v.path)
		if v.do != "" {
			p.Evaluate("void (" + v.do + ")")
		}
		p.arrives(fmt.Sprintf(`document.querySelector(%s)?.textContent.includes(%s)`, trial.Quote(v.selector), trial.Quote(v.text)))
		p.fine(v.name)
	}
	p.quiet(root, "status of 40", "status of 42") // of the pages that are errors
}

// TestPagesInEveryState looks at every page in every state that it can be in but those
// without a hub, which TestPagesSayThatTheyAreStale does.
func TestPagesInEveryState(t *testing.T) {
	t.Parallel()
	browser := openBrowser(t)
	empty, full := trial.StartHub(t), newScene(t, trial.StartHub(t))
	data := filepath.Join(t.TempDir(), "data")
	admin, viewer := trial.MakeKey(t, data, "--role", "admin"), trial.MakeKey(t, data, "--role", "viewer", "--name", "guest")
	locked := newScene(t, trial.StartHubAt(t, trial.FreeAddr(t), data), trial.Bearer+admin)

	look := func(group string, h *trial.Hub, before func(p *page), visits ...visit) {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			var options []chromedp.ContextOption
			if h == locked.Hub { // whose cookie the other hubs are not to see: they have the same host
				options = append(options, chromedp.WithNewBrowserContext())
			}
			p := browser.tab(t, options...)
			if before != nil {
				before(p)
			}
			p.looks(h.URL, visits...)
		})
	}
	for _, s := range pages() {
		if s.empty[0] != "" {
			look("empty/"+s.name, empty, nil, visit{"empty", s.path, "", s.empty[0], s.empty[1]})
		}
		if s.filled[0] == "" {
			continue
		}
		look("filled/"+s.name, full.Hub, nil, visit{"filled", full.in(s.path), `document.querySelectorAll("details").forEach((d) => { d.open = true; })`, full.in(s.filled[0]), s.filled[1]})
	}
	guest := func(p *page) { p.login(locked.Hub, viewer) }
	var seen []visit
	for _, s := range pages() {
		switch {
		case s.filled[0] == "" || s.again:
		case s.private || s.truth == nil:
			seen = append(seen, visit{"as a viewer: " + s.name, locked.in(s.path), "", ".lone", "403"})
		default:
			seen = append(seen, visit{"as a viewer: " + s.name, locked.in(s.path), "", locked.in(s.filled[0]), s.filled[1]})
		}
	}
	look("read-only", locked.Hub, guest, seen...)
	look("login", locked.Hub, nil, visit{"login", "/login", "", "main", "API key"},
		visit{"refused", "/login", `document.getElementById("key").value = "jh_wrong", document.querySelector(".login button").click()`, "#key-error", "key"})
	look("keys", full.Hub, nil, visit{"keys", "/jobs", `document.getElementById("shortcuts").showModal()`, "#shortcuts[open]", "Show this list"})
	pick := `document.querySelector("#rows-body input").click()`
	look("jobs", full.Hub, nil,
		visit{"filtered empty", "/jobs?q=nothing", "", "#none", "No job matches"},
		visit{"further back", "/jobs?limit=2", "", ".paging", "Older"},
		visit{"selected", "/jobs", pick, "#picked", "1 of "},
		visit{"menu", "/jobs", `document.querySelector(".tools .menu").open = true`, ".tools .menu", "Export all as CSV"},
		visit{"done", "/jobs?did=cancel&done=1&skipped=2&bulk=" + full.ids["running"], "", ".notice", "cancelled"},
		visit{"question", "/jobs", pick + `, document.querySelector('[value="cancel selected"]').click()`, "#confirm[open]", "Cancel 1 job?"},
		visit{"view", "/jobs?queue=reports", `document.getElementById("save-view").click()`, "#view[open]", "Save this view"})
	look("job", full.Hub, nil,
		visit{"question", full.in("/jobs/{running}"), `document.querySelector('#job-head form[action$="/cancel"] button').click()`, "#confirm[open]", "Cancel this job?"},
		visit{"cancelled", full.in("/jobs/{cancelled}"), "", "#job-head", "cancelled"},
		visit{"retrying", full.in("/jobs/{retrying}"), "", "#job-head", "retrying"},
		visit{"waiting", full.in("/jobs/{waiting}"), "", "#job-head", "waiting"},
		visit{"edit refused", full.in("/jobs/{failed}/edit"), `document.getElementById("input").value = "{", document.querySelector(".edit form").requestSubmit()`, "#input-error", "JSON"})
	look("queue", full.Hub, nil,
		visit{"limits refused", "/queues/reports", `document.getElementById("limit-rate").value = "fast", document.querySelector("#limits button").click()`, "#limits .bad", "Nothing was changed"})
	look("errors", full.Hub, nil,
		visit{"malformed filter", "/jobs?since=x", "", ".notice.bad", ""},
		visit{"no such job", "/jobs/0197f0a2-5c1e-7000-8000-000000a44f09", "", ".lone", "404"},
		visit{"no such queue", "/queues/nothing", "", ".lone", "404"},
		visit{"no such page of the docs", "/docs/nothing", "", ".lone", "404"})
}

// login logs in with a key.
func (p *page) login(h *trial.Hub, key string) {
	p.T.Helper()
	p.visit(h.URL + "/login")
	p.Evaluate(`void (document.getElementById("key").value = ` + trial.Quote(key) + `)`)
	p.click(".login button")
	p.arrives(`document.querySelector("header .user")`)
	if strings.Contains(p.Evaluate(`document.cookie`), "jobhub") {
		p.T.Error("a script can read the session")
	}
}

package browser

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPagesByRole looks at what the pages offer to each role, and tries by a form of its own
// what they do not offer.
func TestPagesByRole(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	admin := trial.MakeKey(t, data, "--role", "admin")
	keys := map[string]string{"admin": admin}
	for _, role := range []string{"viewer", "submitter", "operator"} {
		keys[role] = trial.MakeKey(t, data, "--role", role, "--name", "the "+role)
	}
	s, browser := newScene(t, trial.StartHubAt(t, trial.FreeAddr(t), data), trial.Bearer+admin), openBrowser(t)
	finished, running := "/jobs/{failed}", "/jobs/{running}"
	// Who sees a control that can be used; the others see the reason in its place, if there is one.
	offers := []struct {
		path, control, reason string
		roles                 []string
	}{
		{running, `#job-head form[action$="/cancel"] button`, "", []string{"submitter", "operator", "admin"}},
		{finished, `#job-head form[action$="/retry"] button`, "", []string{"submitter", "operator", "admin"}},
		{finished, `#job-head form[action$="/delete"] button`, "", []string{"operator", "admin"}},
		{"/jobs/{retrying}", `#job-head form[action$="/run"] button`, "", []string{"submitter", "operator", "admin"}},
		{"/jobs", `[value="cancel matching"]`, "", []string{"operator", "admin"}},
		{"/jobs", `#pick-all`, "Read only: your key can't cancel or retry jobs.", []string{"submitter", "operator", "admin"}},
		{"/queues/reports", `form[action$="/pause"] button`, "Your key can't change queues.", []string{"operator", "admin"}},
		{"/queues/reports", `#limits button`, "This needs a key with the role operator.", []string{"operator", "admin"}},
		{"/workers", `form[action$="/quiet"] button`, "", []string{"operator", "admin"}},
		{"/", `nav a[href="/hub"]`, "", []string{"admin"}},
	}
	// And who may do what, whatever a page shows: an attempt of the others is answered 403 and changes nothing.
	deeds := []struct {
		path  string
		roles []string
		body  string
	}{
		{"/jobs/{cancelled}/retry", []string{"submitter", "operator", "admin"}, ""},
		{"/jobs/{queued}/change", []string{"submitter", "operator", "admin"}, "priority=3"},
		{"/jobs/{queued}/cancel", []string{"submitter", "operator", "admin"}, ""},
		{"/queues/reports/pause", []string{"operator", "admin"}, ""},
		{"/queues/reports/resume", []string{"operator", "admin"}, ""},
		{"/queues/reports", []string{"operator", "admin"}, ""},
		{"/jobs/bulk", []string{"operator", "admin"}, "do=cancel matching"},
		{"/jobs/bulk", []string{"submitter", "operator", "admin"}, "do=cancel selected&id={queued}"},
		{"/workers/nobody/quiet", []string{"operator", "admin"}, ""},
	}
	for role, key := range keys {
		t.Run(role, func(t *testing.T) {
			p := browser.tab(t, chromedp.WithNewBrowserContext())
			p.login(s.Hub, key)
			if role == "viewer" {
				p.Shows(".user .tag", "read-only")
			}
			for _, o := range offers {
				p.visit(s.URL + s.in(o.path))
				usable := p.Evaluate(`(() => { const e = document.querySelector(` + trial.Quote(o.control) + `); if (!e) return "none";
					for (const d of document.querySelectorAll("details")) d.open = true;
					return e.checkVisibility({ visibilityProperty: true }) && !e.matches(":disabled") ? "usable" : "none"; })()`)
				want := map[bool]string{true: "usable", false: "none"}[slices.Contains(o.roles, role)]
				if usable != want {
					t.Errorf("%s: %s is %s, want %s", o.path, o.control, usable, want)
				}
				if said := p.Evaluate(`String(document.getElementById("main").innerText.includes(` + trial.Quote(o.reason) + `))`); o.reason != "" && (said == "true") != (want == "none") {
					t.Errorf("%s: %q is there: %s", o.path, o.reason, said)
				}
			}
			p.visit(s.URL + "/hub")
			p.is(`document.body.innerText.includes("403")`, map[bool]string{true: "false", false: "true"}[role == "admin"])
			version := `document.body.dataset.seq`
			p.visit(s.URL + "/jobs")
			before := p.Evaluate(version)
			denied := 0
			for _, d := range deeds {
				if slices.Contains(d.roles, role) { // which TestEveryPageWithoutScript and others do
					continue
				}
				denied++
				if got := p.Evaluate(`fetch(` + trial.Quote(s.in(d.path)) + `, { method: "POST", body: new URLSearchParams(` + trial.Quote(s.in(d.body)) + `) }).then((r) => String(r.status))`); got != "403" {
					t.Errorf("POST %s as %s: %s", d.path, role, got)
				}
			}
			if denied > 0 {
				p.visit(s.URL + "/jobs")
				p.is(version, before)
			}
			p.quiet(s.URL, "status of 403")
			p.visit(s.URL + "/")
			p.click(".user button")
			p.arrives(`location.pathname === "/login"`)
		})
	}
}

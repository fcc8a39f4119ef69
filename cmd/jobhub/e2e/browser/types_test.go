package browser

import (
	"fmt"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPagesTakeTrustedTypesOnly: on no live page can a text become HTML but by the one
// policy, which nobody can make a second time; what is morphed into the page are nodes; and
// nothing that the pages do themselves is refused.
func TestPagesTakeTrustedTypesOnly(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	s.Say(t, `"the first line"`)
	for i, page := range []struct{ path, changes string }{
		{"/", "#now-" + id}, {"/?view=wall", ""}, {"/jobs", row(id)}, {"/jobs/" + id, "#job-progress"}, {"/queues", ""}, {"/queues/default", ""}, {"/workers", ""}, {"/hub", ""},
	} {
		p.Open(h.URL + page.path)
		p.Evaluate(`const morph = Idiomorph.morph;
			globalThis.fed = [];
			Idiomorph.morph = (old, next, options) => { fed.push(next instanceof Element ? "" : String(next)); return morph(old, next, options); }; ""`)
		message := fmt.Sprintf("page %d", i)
		s.Say(t, fmt.Sprintf(`{"percent":%d,"message":"%s"}`, 10+i, message))
		if page.changes != "" {
			p.Shows(page.changes, message)
			if fed := p.Evaluate(`fed.length ? fed.join("") : "nothing"`); fed != "" {
				t.Errorf("%s: Idiomorph was given %q", page.path, fed)
			}
		}
		p.Unmoved()

		p.Evaluate(`let refused = 0; addEventListener("securitypolicyviolation", () => { document.body.dataset.refused = ++refused; }); ""`)
		attempts := []string{
			`document.createElement("div").innerHTML = "<img src=x>"`,
			`document.body.insertAdjacentHTML("beforeend", "<b>x</b>")`,
			`new DOMParser().parseFromString("<b>x</b>", "text/html")`,
			`document.createElement("script").src = "/static/theme.js"`,
			`trustedTypes.createPolicy("jobhub", { createHTML: (html) => html })`,
			`trustedTypes.createPolicy("another", { createHTML: (html) => html })`,
		}
		for _, what := range attempts {
			if got := p.Evaluate(fmt.Sprintf(`(() => { try { %s; return "done"; } catch (e) { return e.name; } })()`, what)); got != "TypeError" {
				t.Errorf("%s: %s ends with %s", page.path, what, got)
			}
		}
		// The browser reports each attempt, so that Unmoved would also see one by the page itself.
		p.Until(fmt.Sprintf(`document.body.dataset.refused === "%d"`, len(attempts)))
		if told := len(p.TakeComplaints()); told < len(attempts) {
			t.Errorf("%s: the browser reported only %d violations", page.path, told)
		}
	}
	close(s.Lines)
}

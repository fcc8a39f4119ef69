package main_test

import (
	"fmt"
	"testing"
)

// TestPagesTakeTrustedTypesOnly: on no live page can a text become HTML but by the one
// policy, which nobody can make a second time; what is morphed into the page are nodes; and
// nothing that the pages do themselves is refused.
func TestPagesTakeTrustedTypesOnly(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	s.say(t, `"the first line"`)
	for i, page := range []struct{ path, changes string }{
		{"/", "#now-" + id}, {"/?view=wall", ""}, {"/jobs", row(id)}, {"/jobs/" + id, "#job-progress"}, {"/queues", ""}, {"/queues/default", ""}, {"/workers", ""}, {"/hub", ""},
	} {
		p.open(h.url + page.path)
		p.evaluate(`const morph = Idiomorph.morph;
			globalThis.fed = [];
			Idiomorph.morph = (old, next, options) => { fed.push(next instanceof Element ? "" : String(next)); return morph(old, next, options); }; ""`)
		message := fmt.Sprintf("page %d", i)
		s.say(t, fmt.Sprintf(`{"percent":%d,"message":"%s"}`, 10+i, message))
		if page.changes != "" {
			p.shows(page.changes, message)
			if fed := p.evaluate(`fed.length ? fed.join("") : "nothing"`); fed != "" {
				t.Errorf("%s: Idiomorph was given %q", page.path, fed)
			}
		}
		p.unmoved()

		p.evaluate(`let refused = 0; addEventListener("securitypolicyviolation", () => { document.body.dataset.refused = ++refused; }); ""`)
		attempts := []string{
			`document.createElement("div").innerHTML = "<img src=x>"`,
			`document.body.insertAdjacentHTML("beforeend", "<b>x</b>")`,
			`new DOMParser().parseFromString("<b>x</b>", "text/html")`,
			`document.createElement("script").src = "/static/theme.js"`,
			`trustedTypes.createPolicy("jobhub", { createHTML: (html) => html })`,
			`trustedTypes.createPolicy("another", { createHTML: (html) => html })`,
		}
		for _, what := range attempts {
			if got := p.evaluate(fmt.Sprintf(`(() => { try { %s; return "done"; } catch (e) { return e.name; } })()`, what)); got != "TypeError" {
				t.Errorf("%s: %s ends with %s", page.path, what, got)
			}
		}
		// The browser tells of each, so that unmoved would have seen one of the page's own.
		p.until(fmt.Sprintf(`document.body.dataset.refused === "%d"`, len(attempts)))
		if told := len(p.heard()); told < len(attempts) {
			t.Errorf("%s: %d complaints were heard", page.path, told)
		}
		p.mu.Lock()
		p.complaints = nil
		p.mu.Unlock()
	}
	close(s.lines)
}

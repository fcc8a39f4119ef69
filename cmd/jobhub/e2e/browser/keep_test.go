package browser

import (
	"fmt"
	"slices"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// doings is what somebody does on a page, all of it kept in window.doing: a list of
// functions that each return the state of one thing.
const doings = `void (() => {
	const say = window.doing = [], main = document.getElementById("main");
	window.updates = 0;
	for (const part of document.querySelectorAll("main [id]")) new MutationObserver(() => updates++).observe(part, { subtree: true, childList: true, attributes: true, characterData: true });
	for (const details of main.querySelectorAll("details")) {
		details.open = true;
		say.push(() => details.isConnected && details.open);
	}
	const boxes = [...main.querySelectorAll("input[type=checkbox]")].slice(0, 3);
	for (const box of boxes) {
		box.checked = true;
		say.push(() => box.isConnected && box.checked);
	}
	const field = main.querySelector("input:not([type=checkbox], [type=hidden]), textarea");
	if (field) {
		field.focus({ preventScroll: true });
		field.value = "typing";
		field.setSelectionRange(2, 4);
		say.push(() => [document.activeElement === field, field.value, field.selectionStart, field.selectionEnd].join());
	} else {
		const link = main.querySelector("a, button:enabled, [tabindex]");
		link.focus({ preventScroll: true });
		say.push(() => document.activeElement === link && link.isConnected);
		const heading = [...main.querySelectorAll("h2")].find((e) => e.checkVisibility() && e.firstChild.length > 3).firstChild;
		getSelection().setBaseAndExtent(heading, 1, heading, 3);
		say.push(() => getSelection().toString());
	}
	document.body.style.setProperty("min-height", "3000px"); // by the object model, which the policy allows
	scrollTo(0, 40);
	const anchor = main.firstElementChild;
	say.push(() => [scrollY, anchor.getBoundingClientRect().top].join());
})()`

const done = `JSON.stringify(doing.map((say) => say()))`

// TestPagesKeepWhatTheViewerDoes: 500 updates come in to every live page while a field with
// a part of its text selected has the focus, or a link has it and text is selected, boxes
// are checked, all details are open, and the page is scrolled; half of them while a dialog
// is open too. TestPageKeepsWhatTheViewerDoes looks at the rows of a table besides.
func TestPagesKeepWhatTheViewerDoes(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, trial.StartHub(t)), openBrowser(t)
	tabs, before := map[string]*page{}, map[string]string{}
	for _, what := range livePages() {
		if what.bare { // where nobody does anything
			continue
		}
		p := browser.tab(t)
		p.Open(s.at(what))
		p.agrees(s, what)
		p.Evaluate(doings)
		tabs[what.name], before[what.name] = p, p.Evaluate(done)
	}
	check := func(when string) {
		t.Helper()
		for _, what := range livePages() {
			if p := tabs[what.name]; p != nil {
				p.agrees(s, what)
				if after := p.Evaluate(done); after != before[what.name] {
					t.Errorf("%s, %s: what somebody did was\n%s\nand is\n%s", what.name, when, before[what.name], after)
				}
			}
		}
	}
	// Every update is progress of a job; every tenth a change of a queue, and a new job too.
	update := func(from, to int) {
		for i := from; i < to; i++ {
			s.stream.Say(t, fmt.Sprintf(`{"percent":%g,"message":"step %d"}`, float64(i)/10, i))
			if i%10 == 0 {
				s.Submit(nobodys(`,"queue":"reports"`))
				s.Call("POST", "/v1/queues/held/"+[]string{"resume", "pause"}[i/10%2], `{"reason":"again"}`, trial.IsJSON)
				s.Call("PUT", "/v1/schedules/nightly", nightly(i/10%2 == 0), trial.IsJSON)
			}
			if i%50 == 0 { // as fast as they are shown
				tabs["running job"].Shows("#job-progress", fmt.Sprintf("step %d", i))
			}
		}
	}
	update(0, 250)
	check("after 250 updates")
	for name, p := range tabs {
		p.Evaluate(`void document.getElementById("shortcuts").showModal()`)
		p.Evaluate(`void doing.push(() => document.getElementById("shortcuts").open && document.getElementById("shortcuts").contains(document.activeElement))`)
		before[name] = p.Evaluate(done)
	}
	update(250, 500)
	check("after 500 updates, with a dialog")
	for name, p := range tabs {
		if slices.Contains([]string{"failed job", "fan-out", "paused queue", "batch", "batches", "grid of a fan-out", "callbacks"}, name) {
			continue // where less changes
		}
		if p.Evaluate(`String(updates > 5)`) != "true" {
			t.Errorf("%s was not updated", name)
		}
		p.Unmoved()
	}
}

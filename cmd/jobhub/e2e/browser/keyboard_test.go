package browser

import (
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// tabTo presses Tab until an element has the focus, which has to be seen wherever it is.
func (p *page) tabTo(selector string) {
	p.T.Helper()
	for range 80 {
		p.press("\t")
		if p.Evaluate(`String(document.activeElement === document.body)`) == "true" {
			continue // past the end the browser's own controls follow
		}
		p.focused()
		if p.Evaluate(`String(document.activeElement.matches(`+trial.Quote(selector)+`))`) == "true" {
			return
		}
	}
	p.T.Fatalf("Tab does not reach %s; the focus is at %s", selector, p.Evaluate(`document.activeElement.outerHTML`))
}

// focused checks that something has the focus, and that one can see what.
func (p *page) focused() {
	p.T.Helper()
	const seen = `(() => {
		const at = document.activeElement, lines = (e) => { const s = e && getComputedStyle(e); return s && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1; };
		if (at === document.body) return "nowhere";
		if (!at.checkVisibility()) return "at what is hidden: " + at.outerHTML;
		return lines(at) || lines(at.closest(".chip")) ? "" : "at " + at.outerHTML + ", without a line around it";
	})()`
	if wrong := p.Evaluate(seen); wrong != "" {
		p.T.Errorf("the focus is %s", wrong)
	}
}

// TestPagesByKeys does with keys alone what operators do: they find a job that failed and
// retry it with another input, pause a queue and resume it, cancel several jobs, ask for the
// keys and switch them off.
func TestPagesByKeys(t *testing.T) {
	t.Parallel()
	s, p := newScene(t, trial.StartHub(t)), openBrowser(t)
	failed := s.ids["failed"]
	p.Open(s.URL + "/")

	// A job that failed: from the overview to the jobs, its row, its page, an edited retry, and back.
	p.press("\t")
	p.is(`document.activeElement.className`, "skip")
	p.press("g", "j")
	p.arrives(`location.pathname === "/jobs" && ` + trial.Live)
	p.tabTo(`[name=state][value=failed]`)
	p.press(" ")
	p.arrives(`location.search.includes("state=failed") && document.querySelector(` + "`" + row(failed) + "`" + `) && ` + trial.Live)
	p.press("j")
	p.is(`document.activeElement.closest("tr").querySelector("input").value`, failed)
	p.focused()
	p.press("\r")
	p.arrives(`location.pathname === "/jobs/` + failed + `" && ` + trial.Live)
	p.tabTo(`#job-head a[href$="/edit"]`)
	p.press("\r")
	p.arrives(`document.getElementById("input")`)
	p.tabTo("#input")
	p.Evaluate(`void document.getElementById("input").select()`)
	p.press(`{"method":"GET","url":"` + s.gate.URL + `/held/edited"}`)
	p.tabTo(".edit .strong")
	p.press("\r")
	p.arrives(`location.pathname.startsWith("/jobs/") && location.pathname !== "/jobs/` + failed + `" && !location.pathname.endsWith("/edit") && document.querySelector("#job-head") && ` + trial.Live)
	p.Shows("#job-head", "running")
	p.is(`document.querySelector('#job-head .facts a[href$="/jobs/`+failed+`"]') !== null`, "true")
	p.goes(-3)
	p.arrives(`location.search.includes("state=failed") && ` + trial.Live)

	// A queue is paused with a reason, and resumed; what changes below the focus does not lose it.
	p.press("g", "q")
	p.arrives(`location.pathname === "/queues" && ` + trial.Live)
	p.tabTo(`a[href$="/queues/reports"]`)
	p.press("\r")
	p.arrives(`location.pathname === "/queues/reports" && ` + trial.Live)
	p.tabTo("#pause-reason")
	p.press("p", "a", "p", "e", "r")
	for range 5 {
		s.Submit(nobodys(`,"queue":"reports"`))
	}
	p.Shows("#queue-rail .tile.queued b", "6")
	p.is(`document.activeElement.id + document.activeElement.value`, "pause-reasonpaper")
	p.tabTo(`form[action$="/pause"] button`)
	s.Submit(nobodys(`,"queue":"reports"`))
	p.Shows("#queue-rail .tile.queued b", "7")
	p.focused()
	p.press("\r")
	p.arrives(`document.querySelector("#queue-control").textContent.includes("paper") && ` + trial.Live)
	p.tabTo(`form[action$="/resume"] button`)
	p.press("\r")
	p.arrives(`document.querySelector('form[action$="/pause"]') && ` + trial.Live)

	// Another operator pauses it while the focus is on the button that this takes away.
	p.tabTo(`form[action$="/pause"] button`)
	s.Call("POST", "/v1/queues/reports/pause", `{"reason":"by another"}`, trial.IsJSON)
	p.Shows("#queue-control", "by another")
	p.focused()

	// If the element with the focus is removed, the focus stays near, and Tab continues there.
	p.press("g", "w")
	p.arrives(`location.pathname === "/workers" && ` + trial.Live)
	p.tabTo(`form[action$="/quiet"] button`)
	s.worker.Signal(syscall.SIGTERM)
	p.Shows("#workers-list", "No external worker")
	p.is(`document.activeElement.id`, "workers-list")
	p.focused()
	p.tabTo("[data-copy]")

	// Several jobs are cancelled after a question, which begins at what does no harm.
	p.press("g", "j")
	p.arrives(`location.pathname === "/jobs" && ` + trial.Live)
	p.press("j", "x", "j", "X")
	p.Shows("#picked", "2 of ")
	p.press("c")
	p.Shows("#confirm[open]", "Cancel 2 jobs?")
	p.focused()
	p.is(`document.activeElement.textContent.trim()`, "Back")
	p.press("\x1b")
	p.Until(`!document.querySelector("dialog[open]")`)
	p.focused()
	p.press("c")
	p.Shows("#confirm[open]", "Cancel 2 jobs?")
	p.tabTo("#confirm .strong")
	p.press("\r")
	p.arrives(`document.querySelector(".notice")?.textContent.includes("2 jobs cancelled") && ` + trial.Live)

	// The keys are listed, and switched off.
	p.press("?")
	p.Until(`document.getElementById("shortcuts").open`)
	p.focused()
	p.tabTo("#keys-on")
	p.press(" ", "\x1b")
	p.Until(`!document.getElementById("shortcuts").open`)
	p.press("?", "g", "o")
	p.is(`document.getElementById("shortcuts").open || location.pathname`, "/jobs")
	p.Open(s.URL + "/workers") // on every page
	p.press("?")
	p.is(`document.getElementById("shortcuts").open`, "false")
	p.quiet(s.URL)
}

// TestEveryPageByTab goes through every page with Tab: the focus is always seen, and comes
// to every link, button and field that is to be seen.
func TestEveryPageByTab(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, trial.StartHub(t)), openBrowser(t)
	for _, what := range pages() {
		t.Run(what.name, func(t *testing.T) {
			t.Parallel()
			p := browser.tab(t)
			p.visit(s.at(what))
			missed := p.Evaluate(`(() => {
				window.open = new Set([...document.querySelectorAll("a[href], button:enabled, input:enabled:not([type=hidden]), select:enabled, textarea:enabled, summary, [tabindex='0']")].filter((e) => e.tabIndex >= 0 && e.checkVisibility({ visibilityProperty: true })));
				return String(open.size);
			})()`)
			if missed == "0" && !what.bare {
				t.Fatal("there is nothing to come to")
			}
			p.Evaluate(`void document.addEventListener("focusin", (e) => open.delete(e.target))`)
			for i := 0; i < 150 && p.Evaluate(`String(open.size)`) != "0"; i++ {
				p.press("\t")
				if p.Evaluate(`String(document.activeElement === document.body)`) != "true" { // past the end the browser's own controls follow
					p.focused()
				}
			}
			if left := p.Evaluate(`[...open].filter((e) => e.isConnected && e.checkVisibility()).slice(0, 5).map((e) => e.outerHTML).join("\n")`); left != "" {
				t.Errorf("Tab does not reach\n%s", left)
			}
		})
	}
}

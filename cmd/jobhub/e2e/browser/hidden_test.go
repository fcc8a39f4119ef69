package browser

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestHiddenPages: a tab behind another and a frozen one do not keep up; once they are
// looked at again, they show what the API says, the same as a tab that was there all along.
func TestHiddenPages(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, trial.StartHub(t)), openBrowser(t)
	front := func(p *page) {
		t.Helper()
		if _, err := chromedp.Call(p.Ctx, pagecmd.BringToFront, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	freeze := func(p *page, state pagecmd.SetWebLifecycleStateState) {
		t.Helper()
		if _, err := chromedp.Call(p.Ctx, pagecmd.SetWebLifecycleState, pagecmd.SetWebLifecycleStateParams{State: state}); err != nil {
			t.Fatal(err)
		}
	}
	watching := browser.tab(t)
	for _, what := range ownPages() {
		t.Run(what.name, func(t *testing.T) {
			s.know()
			behind := browser.tab(t)
			behind.Open(s.at(what))
			other := behind.tab(t, chromedp.WithNewWindow(false))
			other.visit(s.at(what))
			front(other)
			behind.Until(`document.visibilityState === "hidden"`)
			watching.Open(s.at(what))
			s.Submit(nobodys(`,"queue":"reports"`))
			watching.agrees(s, what)
			front(behind)
			behind.Until(`document.visibilityState === "visible"`)
			behind.agrees(s, what)

			front(other)
			freeze(behind, pagecmd.SetWebLifecycleStateStateFrozen)
			s.Submit(nobodys(`,"queue":"reports"`))
			s.Call("POST", "/v1/queues/held/resume", "")
			s.Call("POST", "/v1/queues/held/pause", `{}`, trial.IsJSON)
			watching.agrees(s, what)
			freeze(behind, pagecmd.SetWebLifecycleStateStateActive)
			front(behind)
			behind.Until(`document.visibilityState === "visible"`)
			behind.agrees(s, what)
			if one, same := behind.Evaluate(withoutTimes), watching.Evaluate(withoutTimes); what.name == "queue" && one != same {
				t.Errorf("one tab shows\n%s\nanother\n%s", one, same)
			}
			behind.quiet(s.URL, "Page entered Back-Forward Cache") // as the browser calls a frozen one too

			// Away and back, in the history.
			behind.visit(s.URL + "/docs")
			s.Submit(nobodys(`,"queue":"reports"`))
			behind.goes(-1)
			behind.arrives(`document.getElementById("live") && ` + trial.Live)
			s.know()
			behind.agrees(s, what)
			behind.goes(1)
			behind.arrives(`location.pathname === "/docs"`)
		})
	}
}

package main_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestHiddenPages: a tab behind another and a frozen one do not keep up; once they are
// looked at again, they show what the API says, the same as a tab that was there all along.
func TestHiddenPages(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, startHub(t)), openBrowser(t)
	front := func(p *page) {
		t.Helper()
		if _, err := chromedp.Call(p.ctx, pagecmd.BringToFront, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	freeze := func(p *page, state pagecmd.SetWebLifecycleStateState) {
		t.Helper()
		if _, err := chromedp.Call(p.ctx, pagecmd.SetWebLifecycleState, pagecmd.SetWebLifecycleStateParams{State: state}); err != nil {
			t.Fatal(err)
		}
	}
	watching := browser.tab(t)
	for _, what := range ownPages() {
		t.Run(what.name, func(t *testing.T) {
			s.know()
			behind := browser.tab(t)
			behind.open(s.at(what))
			other := behind.tab(t, chromedp.WithNewWindow(false))
			other.visit(s.at(what))
			front(other)
			behind.until(`document.visibilityState === "hidden"`)
			watching.open(s.at(what))
			s.submit(nobodys(`,"queue":"reports"`))
			watching.agrees(s, what, time.Now().Add(patience))
			front(behind)
			behind.until(`document.visibilityState === "visible"`)
			behind.agrees(s, what, time.Now().Add(2*time.Second))

			front(other)
			freeze(behind, pagecmd.SetWebLifecycleStateStateFrozen)
			s.submit(nobodys(`,"queue":"reports"`))
			s.call("POST", "/v1/queues/held/resume", "")
			s.call("POST", "/v1/queues/held/pause", `{}`, isJSON)
			watching.agrees(s, what, time.Now().Add(patience))
			freeze(behind, pagecmd.SetWebLifecycleStateStateActive)
			front(behind)
			behind.until(`document.visibilityState === "visible"`)
			behind.agrees(s, what, time.Now().Add(2*time.Second))
			if one, same := behind.evaluate(withoutTimes), watching.evaluate(withoutTimes); what.name == "queue" && one != same {
				t.Errorf("one tab shows\n%s\nanother\n%s", one, same)
			}
			behind.quiet(s.url, "Page entered Back-Forward Cache") // as the browser calls a frozen one too

			// Away and back, in the history.
			behind.visit(s.url + "/docs")
			s.submit(nobodys(`,"queue":"reports"`))
			behind.goes(-1)
			behind.arrives(`document.getElementById("live") && ` + live)
			s.know()
			behind.agrees(s, what, time.Now().Add(2*time.Second))
			behind.goes(1)
			behind.arrives(`location.pathname === "/docs"`)
		})
	}
}

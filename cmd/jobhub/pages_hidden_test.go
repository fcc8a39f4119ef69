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
	for _, what := range livePages() {
		t.Run(what.name, func(t *testing.T) {
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

			freeze(behind, pagecmd.SetWebLifecycleStateStateFrozen)
			s.submit(nobodys(`,"queue":"reports"`))
			s.call("POST", "/v1/queues/held/resume", "")
			s.call("POST", "/v1/queues/held/pause", `{}`, isJSON)
			watching.agrees(s, what, time.Now().Add(patience))
			freeze(behind, pagecmd.SetWebLifecycleStateStateActive)
			behind.agrees(s, what, time.Now().Add(2*time.Second))
			if one, same := behind.evaluate(withoutTimes), watching.evaluate(withoutTimes); what.name == "queue" && one != same {
				t.Errorf("one tab shows\n%s\nanother\n%s", one, same)
			}
			behind.quiet(s.url)

			// Away and back, in the history.
			behind.visit(s.url + "/docs")
			s.submit(nobodys(`,"queue":"reports"`))
			behind.evaluate(`void history.back()`)
			behind.arrives(`document.getElementById("live") && ` + live)
			if what.name == "jobs" { // whose row waits on the tab that watched, and is there on one loaded anew
				return
			}
			behind.agrees(s, what, time.Now().Add(2*time.Second))
			behind.evaluate(`void history.forward()`)
			behind.arrives(`location.pathname === "/docs"`)
		})
	}
}

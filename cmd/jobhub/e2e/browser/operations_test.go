package browser

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPageKeys goes through the pages with the keyboard alone.
func TestPageKeys(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	p.Open(h.URL + "/")
	p.press("?")
	p.Until(`document.getElementById("shortcuts").open`)
	p.press("Escape")
	p.Until(`!document.getElementById("shortcuts").open`)
	// What is typed into a field is text.
	h.Submit(`{"kind":"nobody","queue":"reports"}`)
	p.Open(h.URL + "/queues/reports")
	p.Evaluate(`void document.getElementById("pause-reason").focus()`)
	p.press("g", "o")
	if at := p.Evaluate(`location.pathname + document.getElementById("pause-reason").value`); at != "/queues/reportsgo" {
		t.Errorf("typed into a field, the keys led to %s", at)
	}
	// Switched off, they are just keys (WCAG 2.1.4).
	p.Evaluate(`void document.activeElement.blur()`)
	p.press("?")
	p.Until(`document.getElementById("shortcuts").open`)
	p.Evaluate(`void document.getElementById("keys-on").click()`)
	p.press("Escape")
	p.Until(`!document.getElementById("shortcuts").open`)
	p.press("?")
	if p.Evaluate(`String(document.getElementById("shortcuts").open)`) != "false" {
		t.Error("keys that were switched off do something")
	}
}

// TestPageQueue pauses a queue, sets a limit and sees both at once in another tab.
func TestPageQueue(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Submit(`{"kind":"nobody","queue":"reports"}`)
	p.Open(h.URL + "/queues/reports")
	p.Shows("#queue-rail .tile.queued b", "1")
	p.Evaluate(`void (document.getElementById("limit-rate").value = "5/s", document.getElementById("limit-rate").focus())`)
	p.Evaluate(`fetch("/v1/queues/reports/pause", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"reason":"by hand"}'}).then(() => undefined)`)
	p.Shows("#queue-control", "by hand")
	p.Shows("#queue-head", "paused")
	if got := p.Evaluate(`document.activeElement.id + document.activeElement.value`); got != "limit-rate5/s" {
		t.Errorf("while the page changed, the field became %q", got)
	}
	h.Submit(`{"kind":"nobody","queue":"reports"}`)
	p.Shows("#queue-rail .tile.queued b", "2")
	p.Unmoved("POST /v1/queues/reports/pause")

	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("#limits button")))
	if err != nil || res.Status != 200 {
		t.Fatalf("the form leads to %+v, %v", res, err)
	}
	p.Until(trial.Live)
	if got := p.Evaluate(`fetch("/v1/queues/reports").then((r) => r.json()).then((q) => q.limits.rate)`); got != "5/s" {
		t.Errorf("the rate is %q", got)
	}
}

// TestPageHub shows the page's own connection, and lists messages until that is stopped.
func TestPageHub(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	p.Open(h.URL + "/hub")
	p.Shows("#hub-connections tbody", "all, the dashboard")
	h.Submit(`{"kind":"nobody"}`)
	p.Shows("#messages-lines", "job.queued")
	p.Evaluate(`void document.getElementById("messages-pause").click()`)
	before := p.Evaluate(`document.getElementById("messages-lines").textContent`)
	h.Submit(`{"kind":"nobody"}`)
	p.Shows("#messages-note", "paused, 1 since")
	if p.Evaluate(`document.getElementById("messages-lines").textContent`) != before {
		t.Error("the tap went on while it was paused")
	}
	p.Unmoved()
}

// TestWall fits the screen without scrolling, in letters that can be read from afar, and
// is live again within two seconds of a restart, with what the API says.
func TestWall(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	for i := range 8 {
		h.Submit(fmt.Sprintf(`{"kind":"nobody","queue":"queue-%d"}`, i))
	}
	for _, size := range [][2]int64{{1080, 1920}, {1024, 768}, {1920, 1080}, {1280, 720}} {
		show(p, size[0], size[1], "dark")
		p.Open(h.URL + "/?view=wall")
		if got := p.Evaluate(`String([document.documentElement.scrollHeight > innerHeight, document.documentElement.scrollWidth > innerWidth])`); got != "false,false" {
			t.Errorf("at %v it is larger than the screen: %s", size, got)
		}
		small := p.Evaluate(`[...document.querySelectorAll("body *")].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 28)
			.map((e) => e.outerHTML).join("\n")`)
		if small != "" {
			t.Errorf("at %v there is text below 28 px:\n%s", size, small)
		}
	}
	if got := p.Evaluate(`getComputedStyle(document.body).cursor`); got != "none" {
		t.Errorf("the cursor is %s", got)
	}
	p.Until(`document.getElementById("stage").dataset.shapes === "8"`)
	p.Shows("#wall-ledger", "8 accepted")
	p.Unmoved()

	h.Signal(syscall.SIGKILL)
	p.Until(trial.NotLive)
	before := p.Evaluate(`document.getElementById("main").innerText`)
	h = h.Restart()
	up := time.Now()
	if p.Evaluate(`document.getElementById("main").innerText`) != before {
		t.Error("while the hub was gone the wall changed")
	}
	p.Until(trial.Live)
	t.Logf("live again %v after the restart", time.Since(up))
	h.Submit(`{"kind":"nobody","queue":"queue-0"}`)
	p.Shows("#wall-ledger", "9 accepted")
	p.Until(`document.getElementById("stage").dataset.shapes === "9"`)
	for range 320 { // more than there are shapes for
		h.Submit(`{"kind":"nobody","queue":"queue-0"}`)
	}
	p.Shows("#wall-ledger", "329 accepted")
	p.Until(`document.getElementById("stage").dataset.shapes === "300"`)
	g := trial.NewGate(t)
	h.Submit(trial.HTTPJob(g.URL+"/held/1", "")) // what runs takes the place of one that waits
	trial.Soon(t, g.Arrived)
	p.Shows("#wall-rail .tile.running b", "1")
	p.Until(`document.getElementById("stage").dataset.running === "1"`)
	close(g.Opened)
	p.Forgive(h)
	p.Unmoved()
}

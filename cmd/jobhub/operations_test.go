package main_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPageKeys goes through the pages with the keyboard alone.
func TestPageKeys(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	p.open(h.url + "/")
	p.press("?")
	p.until(`document.getElementById("shortcuts").open`)
	p.press("Escape")
	p.until(`!document.getElementById("shortcuts").open`)
	// What is typed into a field is text.
	h.submit(`{"kind":"nobody","queue":"reports"}`)
	p.open(h.url + "/queues/reports")
	p.evaluate(`void document.getElementById("pause-reason").focus()`)
	p.press("g", "o")
	if at := p.evaluate(`location.pathname + document.getElementById("pause-reason").value`); at != "/queues/reportsgo" {
		t.Errorf("typed into a field, the keys led to %s", at)
	}
	// Switched off, they are just keys (WCAG 2.1.4).
	p.evaluate(`void document.activeElement.blur()`)
	p.press("?")
	p.until(`document.getElementById("shortcuts").open`)
	p.evaluate(`void document.getElementById("keys-on").click()`)
	p.press("Escape")
	p.until(`!document.getElementById("shortcuts").open`)
	p.press("?")
	if p.evaluate(`String(document.getElementById("shortcuts").open)`) != "false" {
		t.Error("keys that were switched off do something")
	}
}

// TestPageQueue pauses a queue, sets a limit and sees both at once in another tab.
func TestPageQueue(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	h.submit(`{"kind":"nobody","queue":"reports"}`)
	p.open(h.url + "/queues/reports")
	p.shows("#queue-rail .tile.queued b", "1")
	p.evaluate(`void (document.getElementById("limit-rate").value = "5/s", document.getElementById("limit-rate").focus())`)
	p.evaluate(`fetch("/v1/queues/reports/pause", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"reason":"by hand"}'}).then(() => undefined)`)
	p.shows("#queue-control", "by hand")
	p.shows("#queue-head", "paused")
	if got := p.evaluate(`document.activeElement.id + document.activeElement.value`); got != "limit-rate5/s" {
		t.Errorf("while the page changed, the field became %q", got)
	}
	h.submit(`{"kind":"nobody","queue":"reports"}`)
	p.shows("#queue-rail .tile.queued b", "2")
	p.unmoved("POST /v1/queues/reports/pause")

	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("#limits button")))
	if err != nil || res.Status != 200 {
		t.Fatalf("the form leads to %+v, %v", res, err)
	}
	p.until(live)
	if got := p.evaluate(`fetch("/v1/queues/reports").then((r) => r.json()).then((q) => q.limits.rate)`); got != "5/s" {
		t.Errorf("the rate is %q", got)
	}
}

// TestPageHub shows the page's own connection, and taps messages until it is told to stop.
func TestPageHub(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	p.open(h.url + "/hub")
	p.shows("#hub-connections tbody", "all, the dashboard")
	h.submit(`{"kind":"nobody"}`)
	p.shows("#messages-lines", "job.queued")
	p.evaluate(`void document.getElementById("messages-pause").click()`)
	before := p.evaluate(`document.getElementById("messages-lines").textContent`)
	h.submit(`{"kind":"nobody"}`)
	p.shows("#messages-note", "paused, 1 since")
	if p.evaluate(`document.getElementById("messages-lines").textContent`) != before {
		t.Error("the tap went on while it was paused")
	}
	p.unmoved()
}

// TestWall fits the screen without scrolling, in letters that can be read from afar, and
// is live again within two seconds of a restart, with what the API says.
func TestWall(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	for i := range 8 {
		h.submit(fmt.Sprintf(`{"kind":"nobody","queue":"queue-%d"}`, i))
	}
	for _, size := range [][2]int64{{1080, 1920}, {1024, 768}, {1920, 1080}, {1280, 720}} {
		show(p, size[0], size[1], "dark")
		p.open(h.url + "/?view=wall")
		if got := p.evaluate(`String([document.documentElement.scrollHeight > innerHeight, document.documentElement.scrollWidth > innerWidth])`); got != "false,false" {
			t.Errorf("at %v it is larger than the screen: %s", size, got)
		}
		small := p.evaluate(`[...document.querySelectorAll("body *")].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 28)
			.map((e) => e.outerHTML).join("\n")`)
		if small != "" {
			t.Errorf("at %v there is text below 28 px:\n%s", size, small)
		}
	}
	if got := p.evaluate(`getComputedStyle(document.body).cursor`); got != "none" {
		t.Errorf("the cursor is %s", got)
	}
	p.until(`document.getElementById("stage").dataset.shapes === "8"`)
	p.shows("#wall-ledger", "8 accepted")
	p.unmoved()

	h.signal(syscall.SIGKILL)
	p.until(notLive)
	before := p.evaluate(`document.getElementById("main").innerText`)
	h = h.restart()
	up := time.Now()
	if p.evaluate(`document.getElementById("main").innerText`) != before {
		t.Error("while the hub was gone the wall changed")
	}
	p.until(live)
	if took := time.Since(up); took > 2*time.Second {
		t.Errorf("live again %v after the restart", took)
	}
	h.submit(`{"kind":"nobody","queue":"queue-0"}`)
	p.shows("#wall-ledger", "9 accepted")
	p.until(`document.getElementById("stage").dataset.shapes === "9"`)
	for range 320 { // more than there are shapes for
		h.submit(`{"kind":"nobody","queue":"queue-0"}`)
	}
	p.shows("#wall-ledger", "329 accepted")
	p.until(`document.getElementById("stage").dataset.shapes === "300"`)
	g := newGate(t)
	h.submit(httpJob(g.URL+"/held/1", "")) // what runs takes the place of one that waits
	soon(t, g.arrived)
	p.shows("#wall-rail .tile.running b", "1")
	p.until(`document.getElementById("stage").dataset.running === "1"`)
	close(g.opened)
	p.forgive(h)
	p.unmoved()
}

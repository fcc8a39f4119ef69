package main_test

import (
	"syscall"
	"testing"
)

// TestPagesOfAnotherStore: where another store answers at the hub's address, no page shows
// what it does not hold.
func TestPagesOfAnotherStore(t *testing.T) {
	t.Parallel()
	h, table := startHub(t), openBrowser(t)
	job := table.tab(t)
	old := h.submit(nobodys(`,"queue":"old"`)).ID
	table.open(h.url + "/jobs")
	table.shows(row(old), "queued")
	job.open(h.url + "/jobs/" + old)
	job.shows("#job-head", "queued")
	live := `document.getElementById("live").dataset.state === "live"`
	table.until(live)
	job.until(live)
	h.signal(syscall.SIGKILL)
	startHubAt(t, h.addr, t.TempDir())
	table.arrives(`document.body.innerText.includes("No job yet")`)
	job.arrives(`document.body.innerText.includes("404")`)
}

// TestFormsWhileTheHubIsAway: a form that can't be sent does not lead away from the page.
func TestFormsWhileTheHubIsAway(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	h.submit(nobodys(`,"queue":"reports"`))
	p.open(h.url + "/queues/reports")
	p.until(`document.getElementById("live").dataset.state === "live"`)
	h.signal(syscall.SIGKILL)
	p.until(`document.getElementById("live").dataset.state !== "live"`)
	pause := `void document.querySelector('form[action$="/pause"] button').click()`
	p.evaluate(pause)
	p.shows("#live", "nothing was sent")
	h.restart()
	p.until(`document.getElementById("live").dataset.state === "live"`)
	p.evaluate(pause)
	p.arrives(`document.querySelector('form[action$="/resume"]')`)
}

package browser

import (
	"syscall"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPagesOfAnotherStore: where another store answers at the hub's address, no page shows
// what it does not hold.
func TestPagesOfAnotherStore(t *testing.T) {
	t.Parallel()
	h, table := trial.StartHub(t), openBrowser(t)
	job := table.tab(t)
	old := h.Submit(nobodys(`,"queue":"old"`)).ID
	table.Open(h.URL + "/jobs")
	table.Shows(row(old), "queued")
	job.Open(h.URL + "/jobs/" + old)
	job.Shows("#job-head", "queued")
	live := `document.getElementById("live").dataset.state === "live"`
	table.Until(live)
	job.Until(live)
	h.Signal(syscall.SIGKILL)
	trial.StartHubAt(t, h.Addr, t.TempDir())
	table.arrives(`document.body.innerText.includes("No job yet")`)
	job.arrives(`document.body.innerText.includes("404")`)
}

// TestFormsWhileTheHubIsAway: a form that can't be sent does not lead away from the page.
func TestFormsWhileTheHubIsAway(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Submit(nobodys(`,"queue":"reports"`))
	p.Open(h.URL + "/queues/reports")
	p.Until(`document.getElementById("live").dataset.state === "live"`)
	h.Signal(syscall.SIGKILL)
	p.Until(`document.getElementById("live").dataset.state !== "live"`)
	pause := `void document.querySelector('form[action$="/pause"] button').click()`
	p.Evaluate(pause)
	p.Shows("#live", "nothing was sent")
	h.Restart()
	p.Until(`document.getElementById("live").dataset.state === "live"`)
	p.Evaluate(pause)
	p.arrives(`document.querySelector('form[action$="/resume"]')`)
}

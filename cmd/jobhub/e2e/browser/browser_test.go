package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPageOverview submits a job from the overview and sees it live there.
func TestPageOverview(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	p.Open(h.URL + "/")
	p.Shows("#overview-now", "No job yet")
	id := p.Evaluate(fmt.Sprintf(`fetch("/v1/jobs", {method: "POST", headers: {"Content-Type": "application/json"}, body: %s})
		.then((r) => r.json()).then((j) => j.id)`, trial.Quote(trial.HTTPJob(s.URL, ""))))
	row := "#overview-now #now-" + id
	p.Shows(row, "running")
	s.Say(t, `{"percent":40,"message":"page 4"}`)
	p.Shows(row+`:has(progress[value="40"])`, "page 4")
	s.Say(t, `{"percent":70.5,"message":"page 7"}`)
	p.Shows(row+`:has(progress[value="70.5"])`, "page 7")
	close(s.Lines)
	p.Shows(row, "succeeded")
	p.Shows("#overview-rail .tile.succeeded b", "1")
	p.Unmoved("POST /v1/jobs")
}

// TestPageJob watches a job on its page, from the middle of its run to its end.
func TestPageJob(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	s.Say(t, `"the first line"`)
	p.Open(h.URL + "/jobs/" + id)
	p.Shows("#job-head", "running")
	p.Shows("#log li:last-child", `"the first line"`)
	s.Say(t, `{"percent":40,"message":"page 4"}`)
	p.Shows(`#job-progress:not([hidden]):has(progress[value="40"])`, "page 4")
	p.Shows("#log li:last-child", "page 4")
	s.Say(t, `"a line <b>like</b> any other"`)
	p.Shows("#log li:last-child", `"a line <b>like</b> any other"`)
	s.Say(t, `{"percent":90,"message":"page 9"}`)
	p.Shows(`#job-progress:has(progress[value="90"])`, "page 9")
	p.Shows("#job-timeline .attempts tbody", "running")
	close(s.Lines)
	p.Shows("#job-head", "succeeded")
	p.Until(`!document.querySelector('#job-head form[action$="/cancel"]')`)
	p.Shows("#job-data", "200")
	p.Unmoved()
}

// TestPageCancel cancels a job with the button of its page.
func TestPageCancel(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	s.Say(t, `"the only line"`)
	p.Open(h.URL + "/jobs/" + id)
	p.Shows("#job-head form button", "Cancel job")
	// What a proxy answers may be no page of the hub.
	p.Evaluate(`void (window.asked = fetch, window.fetch = async () => new Response("bad gateway", { status: 502 }))`)
	p.click("#job-head form button")
	p.Shows("#confirm[open] #question", "The hub answered 502 without a confirmation page. Nothing was done.")
	p.press("Escape")
	p.Until(`!document.querySelector("#confirm[open]")`)
	p.Evaluate(`void (window.fetch = asked)`)
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	p.click("#job-head form button")
	p.Shows("#confirm[open] h1", "Cancel this job?")
	if said := p.Evaluate(`document.activeElement.textContent`); strings.TrimSpace(said) != "Back" {
		t.Errorf("the dialog begins at %q, want what does no harm", said)
	}
	p.click("#confirm [data-close]")
	p.Until(`!document.querySelector("#confirm[open]")`)
	p.Shows("#job-head", "running")
	p.click("#job-head form button")
	p.Shows("#confirm[open] h1", "Cancel this job?")
	// A form, so that it works without scripts too: it comes back to the page.
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("#confirm button.strong")))
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != http.StatusOK || res.URL != h.URL+"/jobs/"+id {
		t.Fatalf("the button leads to %s: %d\n%s\n%q", res.URL, res.Status, p.Evaluate(`document.body.innerText`), p.Heard())
	}
	trial.Soon(t, s.Gone)
	p.Until(trial.Live)
	p.Shows("#job-head", "cancelled")
	p.Until(`!document.querySelector('#job-head form[action$="/cancel"]')`)
	if j := h.Await(id, trial.InState("cancelled")); j.Reason != "user" {
		t.Errorf("the reason is %q", j.Reason)
	}
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageRestart kills the hub under an open page. The page says so, and is live again
// with the new hub.
func TestPageRestart(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]struct{ path, state string }{
		"overview": {"/", "#overview-now #now-ID"},
		"job":      {"/jobs/ID", "#job-head"},
		"jobs":     {"/jobs?state=running", `#rows-body tr:has([value="ID"])`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, g, p := trial.StartHub(t), trial.NewGate(t), openBrowser(t)
			id := h.Submit(trial.HTTPJob(g.URL+"/held/1", "")).ID
			trial.Soon(t, g.Arrived)
			state := strings.ReplaceAll(at.state, "ID", id)
			p.Open(h.URL + strings.ReplaceAll(at.path, "ID", id))
			p.Shows(state, "running")
			p.Unmoved()

			h.Signal(syscall.SIGKILL)
			p.Until(trial.NotLive)
			p.Shows(state, "running")
			h = h.Restart()
			p.Until(trial.Live)
			p.Shows(state, "running")
			trial.Soon(t, g.Arrived)
			close(g.Opened)
			p.Shows(state, "succeeded")

			p.Forgive(h)
			if name == "jobs" { // rows that left the table unheard are read once
				p.ForgetRequests("GET /jobs", "GET /static/catchup.js")
			}
			p.Unmoved()
		})
	}
}

package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// submitBatch submits a batch as a job, and returns its id.
func submitBatch(h *trial.Hub, items ...string) string {
	h.T.Helper()
	a := h.Call("POST", "/batch?async=true", `{"requests":[`+strings.Join(items, ",")+`]}`, trial.IsJSON)
	if a.Status != http.StatusAccepted {
		h.T.Fatalf("submitting a batch: %d %s", a.Status, a.Body)
	}
	var job client.Job
	h.Decode(a.Body, &job)
	return job.ID
}

const noSuchJob = `{"id":"missing","method":"GET","path":"/v1/jobs/0197f0a2-5c1e-7000-8000-000000a44f09"}`

// member is a request of a batch that submits a job.
func member(id, job string) string {
	return fmt.Sprintf(`{"id":%q,"method":"POST","path":"/v1/jobs","body":%s}`, id, job)
}

// fanout is a fan-out of the targets "name url".
func fanout(policy string, targets ...string) string {
	var list []string
	for _, t := range targets {
		name, url, _ := strings.Cut(t, " ")
		list = append(list, fmt.Sprintf(`{"name":%q,"method":"GET","url":%q}`, name, url))
	}
	return `{"kind":"fanout","input":{"policy":"` + policy + `","targets":[` + strings.Join(list, ",") + `]},"retry":{"max_attempts":1}}`
}

// TestPageBatch: cells flip where they are, with the job that a request submitted; keys
// move over the grid; what failed is retried, what runs is cancelled after a question.
func TestPageBatch(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	p.Open(h.URL + "/batches")
	p.Shows("#batches-list", "No batch and no fan-out yet")
	p.Shows("#batches-list pre", h.URL+"/batch?async=true")
	id := submitBatch(h, noSuchJob, member("called", trial.HTTPJob(s.URL, "")), member("waiting", nobodys("")))
	p.Shows("#batches-"+id, "3: 2 done, 1 failed")
	p.Unmoved()

	p.Open(h.URL + "/batches/" + id)
	cell := func(n int, title string) {
		t.Helper()
		p.Until(fmt.Sprintf(`document.getElementById("batch-%d").title === %q`, n, title))
	}
	cell(1, "missing failed 404")
	cell(2, "called running 202")
	cell(3, "waiting queued 202")
	p.Evaluate(`void document.getElementById("batch-2").focus()`)
	close(s.Lines)
	cell(2, "called succeeded 202")
	p.Shows("#batch-sum", "1 succeeded")
	p.is(`document.activeElement.id`, "batch-2") // the cell that flipped is the one that had the focus
	p.is(`document.querySelectorAll("#cells [tabindex='0']").length`, "1")
	p.Evaluate(`String(document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true})))`)
	p.is(`document.activeElement.id`, "batch-3")
	h.Call("DELETE", "/v1/jobs/"+p.Evaluate(`document.querySelector("#batch-rows tbody tr:nth-child(3) td a").pathname.split("/").pop()`), "")
	cell(3, "waiting cancelled 202")
	p.Unmoved()

	p.press("f")
	p.arrives(`document.querySelector("#batch-rows [aria-current]")?.dataset.show === "failed"`)
	p.is(`document.querySelectorAll("#batch-rows tbody tr").length`, "2")
	p.Evaluate(`void document.getElementById("batch-1").click()`)
	p.arrives(`document.querySelector("#batch-item:not([hidden])")?.textContent.includes("There is no such job")`)
	p.Until(`document.getElementById("batch-1").ariaCurrent === "true"`) // the next patch may just be on its way
	p.press("r")
	p.arrives(`document.querySelectorAll("#cells a").length === 1`)
	cell(1, "missing failed 404")
	p.click(`#batch-head a[href$="` + id + `"]`)
	p.arrives(`document.querySelectorAll("#cells a").length === 3`)

	stream := trial.NewStream(t)
	fan := h.Submit(fanout("all", "north "+stream.URL, "south "+s.URL)).ID
	p.Open(h.URL + "/batches/" + fan)
	cell(2, "south succeeded 200")
	cell(1, "north running")
	p.press("c")
	p.Shows("#confirm[open]", "Cancel this fan-out?")
	p.click("#confirm .strong")
	p.arrives(`document.getElementById("batch-1")?.title === "north cancelled"`)
	p.Shows("#batch-head", "Retry 1 target")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageLargeBatch: a thousand cells are drawn, and flip, in a page that stays usable.
func TestPageLargeBatch(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	items := make([]string, 1000)
	for i := range items {
		items[i] = member(fmt.Sprint("m", i), nobodys(""))
	}
	id := submitBatch(h, items...)
	h.Await(id, trial.InState("succeeded"))
	p.Open(h.URL + "/batches/" + id)
	p.is(`document.querySelectorAll("#cells a.queued").length`, "1000")
	h.Call("POST", "/v1/jobs:bulk", `{"action":"cancel","filter":{"parent":"`+id+`"}}`, trial.IsJSON)
	p.Until(`document.querySelectorAll("#cells a.cancelled").length === 1000`)
	p.Shows("#batch-sum", "1,000 cancelled")
	p.is(`document.documentElement.scrollWidth > innerWidth`, "false")
	p.Unmoved()
}

// TestPageRoutes: what passes through a route is counted while one looks, and a mistake in
// the file is told.
func TestPageRoutes(t *testing.T) {
	t.Parallel()
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	h, file := trial.StartConfigured(t, "routes: [{path: /api/, upstream: \""+up.URL+"\"}]\n")
	p := openBrowser(t)
	p.Open(h.URL + "/routes")
	p.Shows("#routes-list", "not called yet")
	p.Shows("#routes-config", file)
	h.Call("GET", "/api/x", "")
	p.Shows("#routes-list", "answers 200")
	for range 3 {
		h.Call("GET", "/api/bad", "")
	}
	p.Shows("#routes-list", "answers 503")
	trial.Write(t, file, "routes: [{path: /api/, upstream: 7}]\n")
	p.Shows("#routes-config", "Not loaded.")
	p.Unmoved()
	p.Open(h.URL + "/")
	p.Shows("#overview-attention", "/api/: its upstream fails")
	p.Shows("#overview-attention", "The configuration file has errors")
	p.press("g", "r")
	p.arrives(`location.pathname === "/routes"`)
}

// TestBatchesWithoutScript: a filter, a retry and a cancel are plain forms and links.
func TestBatchesWithoutScript(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t).plain()
	done := submitBatch(h, noSuchJob)
	h.Await(done, trial.InState("succeeded"))
	open := submitBatch(h, noSuchJob, `{"method":"GET","path":"/v1/jobs/`+h.Submit(nobodys("")).ID+`?version=1000","headers":{"Prefer":"wait=60"}}`)
	h.Await(open, trial.InState("running"))
	p.to(h.URL + "/batches")
	p.click(`.chip:has([value=succeeded])`)
	if text := p.clicks("#filter .go button"); !strings.Contains(text, "batches-"+done) || strings.Contains(text, "batches-"+open) {
		t.Errorf("the filter shows %s", text)
	}
	p.clicks("#batches-" + done + " a")
	if text := p.clicks("#retry"); !strings.Contains(text, done) || strings.Contains(text, ">"+done) {
		t.Errorf("the retry leads to %s", text)
	}
	p.to(h.URL + "/batches/" + open)
	p.clicks("#cancel")
	p.clicks(".strong")
	h.Await(open, trial.InState("cancelled"))
}

// TestPagesOfBatchesInEveryState looks at the states that TestPagesInEveryState does not
// come to.
func TestPagesOfBatchesInEveryState(t *testing.T) {
	t.Parallel()
	p := openBrowser(t)
	s := trial.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })) // it never answers
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	h, file := trial.StartConfigured(t, `egress: {allow: ["127.0.0.0/8"]}
routes:
  - {path: /api/, upstream: "`+up.URL+`", strip: /api}
  - {path: /many/, async: always, policy: any, targets: [{name: north, upstream: "`+up.URL+`"}, {name: south, upstream: "`+s.URL+`"}]}
  - {path: /spare/, upstream: "http://127.0.0.1:1"}
`)
	h.Call("GET", "/api/x", "")
	many := make([]string, 300)
	for i := range many {
		many[i] = member(fmt.Sprint("m", i), nobodys(""))
	}
	large := submitBatch(h, append(many, `{"id":"x","method":"GET","path":"/v1/jobs/0197f0a2-5c1e-7000-8000-000000a44f09"}`)...)
	small := submitBatch(h, noSuchJob, `{"id":"after","method":"GET","path":"/healthz","depends_on":["missing"]}`, member("called", trial.HTTPJob(s.URL, "")), `{"method":"GET","path":"/healthz"}`)
	fan := h.Submit(fanout("all", "north "+up.URL, "south "+s.URL)).ID
	over := h.Submit(fanout("settled", "north "+up.URL, "south http://127.0.0.1:1/")).ID
	h.Await(over, trial.InState("succeeded"))
	h.Await(large, trial.InState("succeeded"))
	trial.Write(t, file, "routes: 7\n")
	h.Eventually("/readyz", func(a trial.Answer) bool { return !strings.Contains(string(a.Body), `"error":null`) })
	p.looks(h.URL,
		visit{"none like this", "/batches?state=waiting&kind=fanout", "", "#batches-list", "No match"},
		visit{"malformed", "/batches?state=x", "", ".notice.bad", ""},
		visit{"large", "/batches/" + large + "?item=301&from=285", "", "#batch-item", "such job"},
		visit{"small", "/batches/" + small + "?item=1", "", "#batch-item", "such job"},
		visit{"running fan-out", "/batches/" + fan, "", "#batch-head", "running"},
		visit{"what is open of a fan-out", "/batches/" + over + "?show=open", "", "#batch-head", "succeeded"},
		visit{"routes", "/routes", "", "#routes-config", "Not loaded."})
}

package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestPageJobKeepsWhatTheViewerDoes: 500 updates come in while somebody reads further up in
// the log, with text selected, branches opened and closed, a dialog open.
func TestPageJobKeepsWhatTheViewerDoes(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	for i := range 120 {
		s.Say(t, fmt.Sprintf(`"line %d"`, i))
	}
	s.Say(t, `{"percent":0,"message":"begins"}`)
	p.Open(h.URL + "/jobs/" + id)
	p.Shows("#job-progress", "begins")
	p.Until(`document.querySelectorAll("#log li").length >= 120`) // those further up come when it is live
	p.Evaluate(`void (() => {
		window.updates = 0;
		new MutationObserver(() => updates++).observe(document.getElementById("job-progress"), { subtree: true, childList: true, attributes: true, characterData: true });
		document.getElementById("tail").click();
		window.read = document.getElementById("L40").parentElement;
		read.scrollIntoView({ block: "center" });
		getSelection().setBaseAndExtent(read.querySelector("span").firstChild, 1, read.nextElementSibling.querySelector("span").firstChild, 3);
		document.getElementById("raw-input-json").open = true;
		document.querySelector("#job-data .tree details details, #job-data .tree details").open = false;
		document.querySelector("#job-head .acts button").focus({ preventScroll: true });
	})()`)
	state := func() string {
		return p.Evaluate(`JSON.stringify([getSelection().toString(), document.getElementById("raw-input-json").open, [...document.querySelectorAll("#job-data details")].map((d) => +d.open).join(""),
			scrollY, read.getBoundingClientRect().top, read.isConnected, document.getElementById("log").scrollTop, document.activeElement.textContent.trim(), document.getElementById("shortcuts").open])`)
	}
	before := state()
	if !strings.Contains(before, "ine ") || !strings.Contains(before, "Cancel") {
		t.Fatalf("nothing is selected, or focused: %s", before)
	}
	update := func(from, to int) {
		for i := from; i < to; i++ {
			if i%2 == 0 {
				s.Say(t, fmt.Sprintf(`"more %d"`, i))
			} else {
				s.Say(t, fmt.Sprintf(`{"percent":%g,"message":"step %d"}`, float64(i)/10, i))
			}
			if i%50 == 49 { // as fast as they are shown
				p.Shows("#job-progress", fmt.Sprintf("step %d", i))
			}
		}
	}
	update(0, 350)
	if after := state(); after != before {
		t.Errorf("350 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.Evaluate(`void document.getElementById("shortcuts").showModal()`)
	before = state()
	update(350, 500)
	if after := state(); after != before || !strings.Contains(after, "true]") {
		t.Errorf("150 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.Until(`updates >= 5`)
	p.Shows("#tail[aria-pressed=false]", "new")
	p.Unmoved()
}

// TestPageOldOutput: lines that the page does not begin with can be reached by a link, with
// script and without, and by the address of one line.
func TestPageOldOutput(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	for i := range 1300 {
		s.Say(t, fmt.Sprintf(`"line %d"`, i+1))
	}
	close(s.Lines)
	h.Await(id, trial.InState("succeeded"))
	p.Open(h.URL + "/jobs/" + id)
	p.Until(`document.querySelectorAll("#log li").length === 400 && document.getElementById("older")`)
	p.is(`document.querySelector("#log").getAttribute("role") + document.querySelector("#log").getAttribute("aria-live")`, "logoff")
	p.Evaluate(`void (document.getElementById("log").scrollTop = 0)`)
	p.click("#older a")
	p.Until(`document.querySelectorAll("#log li").length === 900`)
	p.is(`[...document.querySelectorAll("#log li > a")].every((a, i) => Number(a.textContent) === 401 + i)`, "true")
	p.is(`[...document.querySelectorAll("#log ol")].every((b) => b.childElementCount === 100)`, "true")
	p.Unmoved("GET /jobs/" + id)

	p.visit(h.URL + "/jobs/" + id + "#L120")
	p.arrives(`location.search === "?lines=170" && document.querySelector("#L120:target") && document.querySelector("#log li span").textContent === '"line 1"'`)
	p.is(`document.querySelectorAll("#log li").length`, "170")
	page := body(t, h.URL+"/jobs/"+id+"?lines=700") // as it is read without script
	if !strings.Contains(page, `id="L201"`) || strings.Contains(page, `id="L200"`) || strings.Contains(page, `id="L701"`) || !strings.Contains(page, `?lines=200"`) {
		t.Error("the page further back has other lines")
	}
	if all := body(t, h.URL+"/jobs/"+id+"/output"); strings.Count(all, "\n") != 1300 || !strings.HasPrefix(all, "\"line 1\"\n") || !strings.HasSuffix(all, "\"line 1300\"\n") {
		t.Errorf("the output has %d lines: %.60q", strings.Count(all, "\n"), all)
	}
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", url, answer.StatusCode, err)
	}
	return string(text)
}

// TestPageJobKeys: a job is left for its neighbours in the table, retried and edited by keys.
func TestPageJobKeys(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	var ids []string
	for range 3 {
		ids = append(ids, h.Submit(nobodys("")).ID)
	}
	p.Open(h.URL + "/jobs")
	p.press("j", "j", "\r")
	here := func(id string) { t.Helper(); p.arrives(`location.pathname === "/jobs/` + id + `" && ` + trial.Live) }
	here(ids[1])
	p.press("]")
	here(ids[0])
	p.press("[")
	here(ids[1])
	p.press("[")
	here(ids[2])
	p.press("c")
	p.Shows("#confirm[open]", "Cancel this job?")
	p.click("#confirm .strong")
	p.arrives(`document.querySelector("#job-head.cancelled") && ` + trial.Live)
	p.press("e")
	p.arrives(`location.pathname === "/jobs/` + ids[2] + `/edit"`)
	p.Open(h.URL + "/jobs/" + ids[2])
	p.press("r")
	p.arrives(`/^\/jobs\/[0-9a-f-]{36}$/.test(location.pathname) && !location.pathname.endsWith("` + ids[2] + `") && document.querySelector("#job-head.queued")`)
	p.Open(h.URL + "/jobs")
	p.press("7")
	p.arrives(`location.search === "?state=failed"`)
	p.Shows("#none", "No job matches")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPagesRunNoScriptOfUsers: a script in everything that a user, a worker or an upstream
// can fill never runs, on the table, on the page of the job, on what is patched live, and
// the policy of the pages has nothing to stop.
func TestPagesRunNoScriptOfUsers(t *testing.T) {
	t.Parallel()
	const evil = `</script></textarea></title><img src=x onerror="window.xssed=1"><svg onload="xssed=1"><script>window.xssed=1</script>"' onmouseover='xssed=1`
	q := trial.Quote(evil)
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("X-Evil", evil)
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, evil)
	}))
	h, p := trial.StartHub(t), openBrowser(t)
	clean := func(where string) {
		t.Helper()
		if got := p.Evaluate(`String(window.xssed) + document.querySelectorAll("main :is(img, script, iframe), main [onload], main [onerror], main [onmouseover]").length`); got != "undefined0" {
			t.Errorf("%s: %s", where, got)
		}
	}
	common := fmt.Sprintf(`"tags":[%s],"ordering_key":%s,"fair_key":%s,"callbacks":[{"url":"https://x.example/%s"}]`, trial.Quote(evil[:100]), trial.Quote(evil[:100]), trial.Quote(evil[:100]), `?a=%3Csvg%20onload=xssed=1%3E`)
	answered := h.Submit(fmt.Sprintf(`{"kind":"http","input":{"method":"POST","url":%s,"headers":{"x-a":%s},"body":{%s:%s}},"retry":{"max_attempts":1},"tags":[%s]}`, trial.Quote(up.URL+"/<script>xssed=1</script>"), trial.Quote(`<img src=x onerror=xssed=1>`), q, q, trial.Quote(evil[:100]))).ID
	h.Await(answered, trial.InState("failed"))
	var worker struct {
		ID string `json:"worker_id"`
	}
	h.Decode(h.Call("POST", "/v1/workers", fmt.Sprintf(`{"name":%s,"kinds":["evil"],"slots":2}`, trial.Quote(evil[:100])), trial.IsJSON).Body, &worker)
	worked := h.Submit(fmt.Sprintf(`{"kind":"evil","input":{%s:[%s]},%s}`, q, q, common)).ID
	var leased struct {
		Leases []struct {
			Token string `json:"lease"`
		} `json:"jobs"`
	}
	got := h.Call("POST", "/v1/workers/"+worker.ID+"/lease", `{"wait":"5s","max":1}`, trial.IsJSON)
	h.Decode(got.Body, &leased)
	if len(leased.Leases) != 1 {
		t.Fatalf("the worker got no job: %d %s", got.Status, got.Body)
	}
	token := leased.Leases[0].Token
	report := func(n int) {
		t.Helper()
		accepted := h.Call("POST", "/v1/leases/"+token+"/events", fmt.Sprintf(`{"n":%d,"type":"progress","percent":%d,"message":%s,"data":{%s:%s}}`+"\n"+`{"n":%d,"type":"output","stream":"stderr","text":%s}`,
			2*n-1, n, trial.Quote(fmt.Sprintf("%d %s", n, evil)), q, q, 2*n, trial.Quote("\x1b[31m"+evil+"\x1b[0m\x1b]8;;javascript:xssed=1\x07link\x1b]8;;\x07"+fmt.Sprint(" seen ", n)+"\n")), "Content-Type: application/x-ndjson")
		if accepted.Status != 200 {
			t.Fatalf("%d %s", accepted.Status, accepted.Body)
		}
	}
	report(1)
	for _, path := range []string{"/jobs", "/jobs?columns=queue,stands,tags,worker,fair_key,time", "/jobs/" + answered, "/jobs/" + worked, "/workers", "/"} {
		p.visit(h.URL + path)
		p.Evaluate(`void document.querySelectorAll("details").forEach((d) => { d.open = true; })`)
		clean(path)
	}
	p.visit(h.URL + "/jobs/" + worked)
	report(2)
	p.Shows("#log", "seen 2")
	p.Shows("#log .a-red", "onerror")
	p.Shows("#job-progress", "2 </script>")
	clean("the page of the job, live")
	p.visit(h.URL + "/jobs?columns=stands,worker,tags,fair_key")
	report(3)
	p.Shows(rowOf(worked), "3 </script>")
	p.Shows(rowOf(worked), "onerror")
	clean("the table, live")
	h.Call("POST", "/v1/leases/"+token+"/fail", fmt.Sprintf(`{"error":{"title":%s,"detail":%s,"code":"evil"},"retry":"never"}`, q, q), trial.IsJSON)
	p.Shows(rowOf(worked), "failed")
	clean("the table, with an error")
	p.visit(h.URL + "/jobs/" + worked)
	p.Shows("#job-data .problem", "onerror")
	clean("the page of the job, with an error")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

package main_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestPageJobKeepsWhatTheViewerDoes: 500 updates come in while somebody reads further up in
// the log, with text selected, branches opened and closed, a dialog open.
func TestPageJobKeepsWhatTheViewerDoes(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	for i := range 120 {
		s.say(t, fmt.Sprintf(`"line %d"`, i))
	}
	s.say(t, `{"percent":0,"message":"begins"}`)
	p.open(h.url + "/jobs/" + id)
	p.shows("#job-progress", "begins")
	p.until(`document.querySelectorAll("#log li").length >= 120`) // those further up come when it is live
	p.evaluate(`void (() => {
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
		return p.evaluate(`JSON.stringify([getSelection().toString(), document.getElementById("raw-input-json").open, [...document.querySelectorAll("#job-data details")].map((d) => +d.open).join(""),
			scrollY, read.getBoundingClientRect().top, read.isConnected, document.getElementById("log").scrollTop, document.activeElement.textContent.trim(), document.getElementById("shortcuts").open])`)
	}
	before := state()
	if !strings.Contains(before, "ine ") || !strings.Contains(before, "Cancel") {
		t.Fatalf("nothing is selected, or focused: %s", before)
	}
	update := func(from, to int) {
		for i := from; i < to; i++ {
			if i%2 == 0 {
				s.say(t, fmt.Sprintf(`"more %d"`, i))
			} else {
				s.say(t, fmt.Sprintf(`{"percent":%g,"message":"step %d"}`, float64(i)/10, i))
			}
			if i%50 == 49 { // as fast as they are shown
				p.shows("#job-progress", fmt.Sprintf("step %d", i))
			}
		}
	}
	update(0, 350)
	if after := state(); after != before {
		t.Errorf("350 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.evaluate(`void document.getElementById("shortcuts").showModal()`)
	before = state()
	update(350, 500)
	if after := state(); after != before || !strings.Contains(after, "true]") {
		t.Errorf("150 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.until(`updates >= 5`)
	p.shows("#tail[aria-pressed=false]", "new")
	p.unmoved()
}

// TestPageOldOutput: lines that the page does not begin with can be reached by a link, with
// script and without, and by the address of one line.
func TestPageOldOutput(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	for i := range 1300 {
		s.say(t, fmt.Sprintf(`"line %d"`, i+1))
	}
	close(s.lines)
	h.await(id, inState("succeeded"))
	p.open(h.url + "/jobs/" + id)
	p.until(`document.querySelectorAll("#log li").length === 400 && document.getElementById("older")`)
	p.is(`document.querySelector("#log").getAttribute("role") + document.querySelector("#log").getAttribute("aria-live")`, "logoff")
	p.evaluate(`void (document.getElementById("log").scrollTop = 0)`)
	p.click("#older a")
	p.until(`document.querySelectorAll("#log li").length === 900`)
	p.is(`[...document.querySelectorAll("#log li > a")].every((a, i) => Number(a.textContent) === 401 + i)`, "true")
	p.is(`[...document.querySelectorAll("#log ol")].every((b) => b.childElementCount === 100)`, "true")
	p.unmoved("GET /jobs/" + id)

	p.visit(h.url + "/jobs/" + id + "#L120")
	p.arrives(`location.search === "?lines=170" && document.querySelector("#L120:target") && document.querySelector("#log li span").textContent === '"line 1"'`)
	p.is(`document.querySelectorAll("#log li").length`, "170")
	page := body(t, h.url+"/jobs/"+id+"?lines=700") // as it is read without script
	if !strings.Contains(page, `id="L201"`) || strings.Contains(page, `id="L200"`) || strings.Contains(page, `id="L701"`) || !strings.Contains(page, `?lines=200"`) {
		t.Error("the page further back has other lines")
	}
	if all := body(t, h.url+"/jobs/"+id+"/output"); strings.Count(all, "\n") != 1300 || !strings.HasPrefix(all, "\"line 1\"\n") || !strings.HasSuffix(all, "\"line 1300\"\n") {
		t.Errorf("the output has %d lines: %.60q", strings.Count(all, "\n"), all)
	}
	for _, c := range p.heard() {
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
	h, p := startHub(t), openBrowser(t)
	var ids []string
	for range 3 {
		ids = append(ids, h.submit(nobodys("")).ID)
	}
	p.open(h.url + "/jobs")
	p.press("j", "j", "\r")
	here := func(id string) { t.Helper(); p.arrives(`location.pathname === "/jobs/` + id + `" && ` + live) }
	here(ids[1])
	p.press("]")
	here(ids[0])
	p.press("[")
	here(ids[1])
	p.press("[")
	here(ids[2])
	p.press("c")
	p.shows("#ask[open]", "Cancel this job?")
	p.click("#ask .strong")
	p.arrives(`document.querySelector("#job-head.cancelled") && ` + live)
	p.press("e")
	p.arrives(`location.pathname === "/jobs/` + ids[2] + `/edit"`)
	p.open(h.url + "/jobs/" + ids[2])
	p.press("r")
	p.arrives(`/^\/jobs\/[0-9a-f-]{36}$/.test(location.pathname) && !location.pathname.endsWith("` + ids[2] + `") && document.querySelector("#job-head.queued")`)
	p.open(h.url + "/jobs")
	p.press("7")
	p.arrives(`location.search === "?state=failed"`)
	p.shows("#none", "No job matches")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPagesRunNoScriptOfUsers: a script in everything that a user, a worker or an upstream
// can fill never runs, on the table, on the page of the job, on what is patched live, and
// the policy of the pages has nothing to stop.
func TestPagesRunNoScriptOfUsers(t *testing.T) {
	t.Parallel()
	const evil = `</script></textarea></title><img src=x onerror="window.xssed=1"><svg onload="xssed=1"><script>window.xssed=1</script>"' onmouseover='xssed=1`
	q := quote(evil)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("X-Evil", evil)
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, evil)
	}))
	h, p := startHub(t), openBrowser(t)
	clean := func(where string) {
		t.Helper()
		if got := p.evaluate(`String(window.xssed) + document.querySelectorAll("main :is(img, script, iframe), main [onload], main [onerror], main [onmouseover]").length`); got != "undefined0" {
			t.Errorf("%s: %s", where, got)
		}
	}
	common := fmt.Sprintf(`"tags":[%s],"ordering_key":%s,"fair_key":%s,"callbacks":[{"url":"https://x.example/%s"}]`, quote(evil[:100]), quote(evil[:100]), quote(evil[:100]), `?a=%3Csvg%20onload=xssed=1%3E`)
	answered := h.submit(fmt.Sprintf(`{"kind":"http","input":{"method":"POST","url":%s,"headers":{"x-a":%s},"body":{%s:%s}},"retry":{"max_attempts":1},"tags":[%s]}`, quote(up.URL+"/<script>xssed=1</script>"), quote(`<img src=x onerror=xssed=1>`), q, q, quote(evil[:100]))).ID
	h.await(answered, inState("failed"))
	var worker struct {
		ID string `json:"worker_id"`
	}
	h.decode(h.call("POST", "/v1/workers", fmt.Sprintf(`{"name":%s,"kinds":["evil"],"slots":2}`, quote(evil[:100])), isJSON).body, &worker)
	worked := h.submit(fmt.Sprintf(`{"kind":"evil","input":{%s:[%s]},%s}`, q, q, common)).ID
	var leased struct {
		Leases []struct {
			Token string `json:"lease"`
		} `json:"jobs"`
	}
	got := h.call("POST", "/v1/workers/"+worker.ID+"/lease", `{"wait":"5s","max":1}`, isJSON)
	h.decode(got.body, &leased)
	if len(leased.Leases) != 1 {
		t.Fatalf("the worker got no job: %d %s", got.status, got.body)
	}
	token := leased.Leases[0].Token
	report := func(n int) {
		t.Helper()
		accepted := h.call("POST", "/v1/leases/"+token+"/events", fmt.Sprintf(`{"n":%d,"type":"progress","percent":%d,"message":%s,"data":{%s:%s}}`+"\n"+`{"n":%d,"type":"output","stream":"stderr","text":%s}`,
			2*n-1, n, quote(fmt.Sprintf("%d %s", n, evil)), q, q, 2*n, quote("\x1b[31m"+evil+"\x1b[0m\x1b]8;;javascript:xssed=1\x07link\x1b]8;;\x07"+fmt.Sprint(" seen ", n)+"\n")), "Content-Type: application/x-ndjson")
		if accepted.status != 200 {
			t.Fatalf("%d %s", accepted.status, accepted.body)
		}
	}
	report(1)
	for _, path := range []string{"/jobs", "/jobs?columns=queue,stands,tags,worker,fair_key,time", "/jobs/" + answered, "/jobs/" + worked, "/workers", "/"} {
		p.visit(h.url + path)
		p.evaluate(`void document.querySelectorAll("details").forEach((d) => { d.open = true; })`)
		clean(path)
	}
	p.visit(h.url + "/jobs/" + worked)
	report(2)
	p.shows("#log", "seen 2")
	p.shows("#log .a-red", "onerror")
	p.shows("#job-progress", "2 </script>")
	clean("the page of the job, live")
	p.visit(h.url + "/jobs?columns=stands,worker,tags,fair_key")
	report(3)
	p.shows(rowOf(worked), "3 </script>")
	p.shows(rowOf(worked), "onerror")
	clean("the table, live")
	h.call("POST", "/v1/leases/"+token+"/fail", fmt.Sprintf(`{"error":{"title":%s,"detail":%s,"code":"evil"},"retry":"never"}`, q, q), isJSON)
	p.shows(rowOf(worked), "failed")
	clean("the table, with an error")
	p.visit(h.url + "/jobs/" + worked)
	p.shows("#job-data .problem", "onerror")
	clean("the page of the job, with an error")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

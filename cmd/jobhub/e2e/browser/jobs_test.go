package browser

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

func (p *page) click(selector string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.T.Fatalf("%s: %v", selector, err)
	}
}

// press presses keys one after the other, wherever the focus is, once the page was
// painted: before, browsers drop what is pressed.
func (p *page) press(keys ...string) {
	p.T.Helper()
	p.Evaluate(`new Promise((done) => {
		const look = () => performance.getEntriesByName("first-contentful-paint").length ? requestAnimationFrame(() => setTimeout(done)) : requestAnimationFrame(look);
		look();
	})`)
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	for _, key := range keys {
		if key == "Escape" {
			key = "\u001b"
		}
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			p.T.Fatalf("%s: %v", key, err)
		}
	}
}

// arrives waits until an expression holds in the page that a click leads to: the document
// in which until would look may be gone by then.
func (p *page) arrives(expression string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	for ctx.Err() == nil {
		holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && Boolean(`+expression+`)`))
		if err == nil && holds {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	p.T.Fatalf("the page that was led to never said %s; at %s", expression, p.Evaluate(`location.href + " it shows\n" + document.body.innerText`))
}

// is checks the value of an expression.
func (p *page) is(expression, want string) {
	p.T.Helper()
	if got := p.Evaluate(`String(` + expression + `)`); got != want {
		p.T.Errorf("%s is %q, want %q", expression, got, want)
	}
}

// rowOf finds the row of a job in the table.
func rowOf(id string) string { return `#rows-body tr:has([value="` + id + `"])` }

// nobodys is a job that waits for ever.
func nobodys(more string) string { return `{"kind":"nobody"` + more + `}` }

// TestPageJobs: rows change where they are, and new ones wait until they are asked for.
func TestPageJobs(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	p.Open(h.URL + "/jobs")
	p.Shows("#none", "No job yet")
	p.Shows("#none pre", h.URL+"/v1/jobs")
	first := h.Submit(trial.HTTPJob(s.URL, "")).ID
	row := rowOf(first)
	p.Shows(row, "running") // into an empty table at once
	p.is(`getComputedStyle(document.getElementById("none")).display`, "none")
	s.Say(t, `{"percent":40,"message":"page 4"}`)
	p.Shows(row+`:has(progress[value="40"])`, "page 4")
	p.Shows("#jobs-count-running", "1")

	second := h.Submit(nobodys("")).ID
	p.Shows("#new:not([hidden])", "1 new")
	third := h.Submit(nobodys("")).ID
	p.Shows("#new:not([hidden])", "2 new")
	p.is(`document.querySelectorAll("#rows-body tr").length`, "1")
	close(s.Lines)
	p.Shows(row, "succeeded")
	p.click("#new")
	p.is(`[...document.querySelectorAll("#rows-body tr")].map((r) => r.querySelector("input").value)`, third+","+second+","+first)
	p.is(`document.getElementById("new").hidden`, "true")
	h.Call("POST", "/v1/jobs/"+second+"/cancel", "")
	p.Shows(rowOf(second), "cancelled")
	p.Unmoved()
}

// TestPageJobsBulk selects rows with the mouse, and cancels them after a question.
func TestPageJobsBulk(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	var ids []string
	for range 5 {
		ids = append(ids, h.Submit(nobodys(`,"queue":"bulk-test"`)).ID)
	}
	p.Open(h.URL + "/jobs?queue=bulk-test")
	p.is(`document.querySelector('[value="cancel selected"]').disabled`, "true")
	for _, id := range ids[:2] {
		p.click(rowOf(id) + " input")
	}
	p.Shows("#picked", "2 of ")
	p.click(`[value="cancel selected"]`)
	p.Shows("#confirm[open]", "Cancel 2 jobs?")
	p.press("\x1b")
	p.Until(`!document.querySelector("#confirm[open]")`)
	p.Shows("#picked", "2 of ")
	p.click(`[value="cancel selected"]`)
	p.Shows("#confirm[open] .strong", "Cancel 2 jobs")
	p.click("#confirm .strong")
	p.arrives(`document.querySelector(".notice")?.textContent.includes("2 jobs cancelled")`)
	p.is(`location.search`, "?did=cancel&done=2&queue=bulk-test&skipped=0")

	p.click(".tools .menu summary")
	p.click(`[value="cancel matching"]`)
	p.Shows("#confirm[open]", "Cancel 3 jobs?")
	p.click("#confirm .strong")
	for _, id := range ids {
		h.Await(id, trial.InState("cancelled"))
	}
	p.arrives(`document.querySelector("#jobs-bulk")?.textContent.includes("3 of 3")`)
	p.Shows("#jobs-count-cancelled", "5")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageJobsKeyboard goes through the table without a mouse.
func TestPageJobsKeyboard(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	var ids []string
	for range 4 {
		ids = append(ids, h.Submit(nobodys("")).ID)
	}
	p.Open(h.URL + "/jobs")
	at := `document.activeElement.closest("tr").querySelector("input").value`
	p.press("j")
	p.is(at, ids[3])
	p.press("j", "x", "j", "X")
	p.is(at, ids[1])
	p.Shows("#picked", "2 of ")
	p.press("k", "k")
	p.is(at, ids[3])
	p.press("?")
	p.Shows("dialog#shortcuts[open]", "next job")
	p.press("j") // means nothing here
	p.press("\x1b")
	p.Until(`!document.querySelector("dialog[open]")`)
	p.is(at, ids[3])
	p.press("/")
	p.is(`document.activeElement.id`, "search")
	p.press("j", "x", "c")
	p.is(`document.activeElement.value.endsWith("jxc")`, "true")
	p.press("\x1b", "c")
	p.Shows("#confirm[open]", "Cancel 2 jobs?")
	p.press("\x1b")
	p.Until(`!document.querySelector("dialog[open]")`)
	// Whoever speaks to the computer can turn the keys off (WCAG 2.1.4).
	p.press("?")
	p.click("#keys-on")
	p.press("\x1b", "j")
	p.Until(`!document.querySelector("dialog[open]") && !document.activeElement.closest("tr")`)
	p.Evaluate(`void document.querySelector('` + rowOf(ids[0]) + ` a').focus()`)
	p.press("\r")
	p.arrives(`location.pathname === "/jobs/` + ids[0] + `"`)
}

// TestPageJobsViews keeps a filter under a name, in the browser.
func TestPageJobsViews(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Submit(nobodys(`,"queue":"mine"`))
	p.Open(h.URL + "/jobs?queue=mine&state=queued")
	p.click("#save-view")
	p.Until(`document.querySelector("#view[open]")`)
	p.Evaluate(`void (document.getElementById("view-name").value = "<b>Mine</b>")`)
	p.click(`#view button[value="save"]`)
	p.Shows(`#views [data-own] a[aria-current]`, "<b>Mine</b>")
	p.Open(h.URL + "/jobs")
	p.Shows(`#views [data-own] a:not([aria-current])`, "<b>Mine</b>")
	p.click(`#views [data-own] a`)
	p.arrives(`location.search.includes("queue=mine") && location.search.includes("state=queued")`)
	p.Shows(`#views [data-own] a[aria-current]`, "<b>Mine</b>")
	p.click(`#views [data-own] button`)
	p.Until(`!document.querySelector("#views [data-own]")`)
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageKeepsWhatTheViewerDoes: updates come in while a field is being filled, a text is
// selected, rows are checked, a menu is open and the page is scrolled.
// TestPagesKeepWhatTheViewerDoes does the same with every page, and many more.
func TestPageKeepsWhatTheViewerDoes(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	for range 60 {
		h.Submit(nobodys(""))
	}
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	s.Say(t, `{"percent":0,"message":"begins"}`)
	p.Open(h.URL + "/jobs")
	row := rowOf(id)
	p.Shows(row, "begins")
	p.Evaluate(`void (() => {
		window.updates = 0;
		new MutationObserver(() => updates++).observe(document.querySelector('` + row + `'), { subtree: true, childList: true, attributes: true, characterData: true });
		const boxes = document.querySelectorAll("#rows-body input");
		boxes[0].click(); boxes[7].click();
		document.querySelector(".tools .menu").open = true;
		window.kept = document.querySelectorAll("#rows-body tr")[3];
		getSelection().setBaseAndExtent(document.querySelector('` + row + ` a b').firstChild, 0, document.querySelector('` + row + ` a code').firstChild, 4);
		scrollTo(0, 120);
	})()`)
	state := func() string {
		return p.Evaluate(`JSON.stringify([getSelection().toString(), [...document.querySelectorAll("#rows-body input")].map((b) => +b.checked).join(""),
			document.querySelector(".tools .menu").open, scrollY, kept.getBoundingClientRect().top, document.querySelectorAll("#rows-body tr")[3] === kept, document.querySelectorAll("#rows-body tr").length,
			document.activeElement.id, document.getElementById("search").value, document.getElementById("search").selectionStart])`)
	}
	before := state()
	if !strings.Contains(before, "POST") && !strings.Contains(before, "GET") {
		t.Fatalf("nothing is selected: %s", before)
	}
	update := func(from, to int) {
		for i := from; i < to; i++ {
			s.Say(t, fmt.Sprintf(`{"percent":%g,"message":"step %d"}`, float64(i)/10, i))
			if i%10 == 0 {
				h.Submit(nobodys("")) // a new row, to wait
				p.Shows(row, fmt.Sprintf("step %d", i))
			}
		}
		p.Shows(row, fmt.Sprintf("step %d", to-1))
	}
	update(1, 51)
	if after := state(); after != before {
		t.Errorf("50 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.Evaluate(`void (() => { getSelection().empty(); const f = document.getElementById("search"); f.focus({ preventScroll: true }); f.value = "typing"; f.setSelectionRange(3, 3); })()`)
	before = state()
	update(51, 101)
	if after := state(); after != before || !strings.Contains(after, "typing") {
		t.Errorf("50 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.Until(`updates > 5`)
	p.Shows("#new:not([hidden])", "new")
	p.Unmoved()
}

// TestPageLog: lines are added at the end, the log follows while the viewer is there, and
// stays where somebody reads further up.
func TestPageLog(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	s.Say(t, `"line 0"`)
	p.Open(h.URL + "/jobs/" + id)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			s.Say(t, fmt.Sprintf(`"line %d"`, i))
			if i%100 == 0 { // as fast as they are shown
				p.Shows("#log ol:last-child li:last-child", fmt.Sprintf("line %d", i))
			}
		}
		p.Shows("#log ol:last-child li:last-child", fmt.Sprintf("line %d", to-1))
	}
	atEnd := `document.getElementById("log").scrollHeight - document.getElementById("log").scrollTop - document.getElementById("log").clientHeight < 8`
	write(1, 120)
	p.Until(atEnd)
	p.Evaluate(`void (window.first = document.querySelector("#log li"))`)
	p.is(`document.getElementById("tail").textContent`, "Following")
	p.click("#tail")
	p.Evaluate(`void (document.getElementById("log").scrollTop = 200)`)
	write(120, 160)
	p.is(`document.getElementById("log").scrollTop`, "200")
	p.Shows("#tail[aria-pressed=false]", "Follow · 40 new")
	p.click("#tail")
	p.Until(atEnd)
	write(160, 1400)
	p.Until(atEnd)
	p.is(`document.querySelectorAll("#log li").length <= 1000 && !first.isConnected`, "true")
	p.is(`document.querySelectorAll("#log .turn").length`, "0") // nothing is missing
	p.Unmoved()
	close(s.Lines)
	p.Shows("#job-head", "succeeded")
}

// TestJobsWithoutScript: several jobs are cancelled, and one is retried, by plain forms.
func TestJobsWithoutScript(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t).plain()
	a := h.Submit(nobodys(`,"queue":"a"`)).ID
	b := h.Submit(nobodys(`,"queue":"b","tags":["find me"]`)).ID
	p.to(h.URL + "/jobs")
	p.types("#search", "find me")
	if text := p.clicks("#filter .go button"); !strings.Contains(text, "/jobs/"+b) || strings.Contains(text, "/jobs/"+a) {
		t.Errorf("the search shows %s", text)
	}
	p.click(rowOf(b) + " input")
	p.says(p.clicks(`[value="cancel selected"]`), "Cancel 1 job?")
	p.says(p.clicks(".strong"), "1 job cancelled")
	h.Await(b, trial.InState("cancelled"))
	p.to(h.URL + "/jobs/" + b)
	p.clicks(`#job-head a[href$="/edit"]`)
	p.says(p.clicks(".edit .strong"), "queued")
	p.clicks("#job-head form button")
	p.says(p.clicks(".strong"), "cancelled")
	h.Await(a, trial.InState("queued"))
}

// visit goes to a page and waits until it is live, if it ever is.
func (p *page) visit(url string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.T.Fatalf("%s: %v", url, err)
	}
	p.Until(`!document.body.dataset.view || ` + trial.Live)
}

// TestPagesShowMarkupAsText fills every field that a user can fill with a script, and looks
// at the table, the job's page, the questions and the live updates.
func TestPagesShowMarkupAsText(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	const evil = `"'></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)></bdi>`
	q := trial.Quote(evil)
	if _, err := chromedp.Call(p.Ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: `window.alert = () => { window.pwned = true; }`}); err != nil {
		t.Fatal(err)
	}
	clean := func(where string) {
		t.Helper()
		if wrong := p.Evaluate(`String(window.pwned || document.querySelectorAll("main img, main script, main svg[onload], dialog img, dialog script").length)`); wrong != "0" {
			t.Errorf("%s: %s", where, wrong)
		}
	}
	more := fmt.Sprintf(`,"tags":[%s],"ordering_key":%s,"fair_key":%s`, q, q, q)
	id := h.Submit(fmt.Sprintf(`{"kind":"http","input":{"method":"POST","url":%s,"headers":{"x-a":%s},"body":{%s:%s}}%s}`, trial.Quote(s.URL), q, q, q, more)).ID
	escaped := url.QueryEscape(evil)
	for _, path := range []string{"/jobs/" + id, "/jobs", "/jobs?q=" + escaped, "/jobs?tag=" + escaped, "/jobs?queue=" + escaped + "&kind=" + escaped, "/jobs?since=" + escaped + "&parent=" + escaped, "/jobs/" + escaped} {
		p.visit(h.URL + path)
		clean(path)
	}
	p.visit(h.URL + "/jobs/" + id)
	s.Say(t, q)
	s.Say(t, fmt.Sprintf(`{"percent":10,"message":%s}`, q))
	p.Shows("#log", "onerror=alert")
	p.Shows("#job-progress", "onerror=alert")
	clean("live job")
	p.visit(h.URL + "/jobs")
	s.Say(t, fmt.Sprintf(`{"percent":20,"message":%s}`, trial.Quote("second "+evil)))
	p.Shows(rowOf(id), "second \"'></textarea>")
	clean("live table")
	p.Evaluate(`void document.querySelector("#rows-body input").click()`)
	p.click(`[value="cancel selected"]`)
	p.Shows("#confirm[open]", "Cancel 1 job?")
	clean("question")
	close(s.Lines)
	h.Await(id, trial.InState("succeeded"))
	p.visit(h.URL + "/jobs/" + id + "/edit")
	clean("edit")
	p.is(`document.getElementById("input").value.includes("onerror=alert")`, "true")
	p.visit(h.URL + "/jobs/" + id)
	clean("finished job")
}

package main_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

func (p *page) click(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.t.Fatalf("%s: %v", selector, err)
	}
}

// press presses keys one after the other, wherever the focus is, once the page was
// painted: before, browsers drop what is pressed.
func (p *page) press(keys ...string) {
	p.t.Helper()
	p.evaluate(`new Promise((done) => {
		const look = () => performance.getEntriesByName("first-contentful-paint").length ? requestAnimationFrame(() => setTimeout(done)) : requestAnimationFrame(look);
		look();
	})`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for _, key := range keys {
		if key == "Escape" {
			key = "\u001b"
		}
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			p.t.Fatalf("%s: %v", key, err)
		}
	}
}

// arrives waits until an expression holds in the page that a click leads to: the document
// in which until would look may be gone by then.
func (p *page) arrives(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
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
	p.t.Fatalf("the page that was led to never said %s; at %s", expression, p.evaluate(`location.href + " it shows\n" + document.body.innerText`))
}

// is checks the value of an expression.
func (p *page) is(expression, want string) {
	p.t.Helper()
	if got := p.evaluate(`String(` + expression + `)`); got != want {
		p.t.Errorf("%s is %q, want %q", expression, got, want)
	}
}

// rowOf finds the row of a job in the table.
func rowOf(id string) string { return `#rows-body tr:has([value="` + id + `"])` }

// nobodys is a job that waits for ever.
func nobodys(more string) string { return `{"kind":"nobody"` + more + `}` }

// TestPageJobs: rows change where they are, and new ones wait until they are asked for.
func TestPageJobs(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	p.open(h.url + "/jobs")
	p.shows("#none", "No job yet")
	p.shows("#none pre", h.url+"/v1/jobs")
	first := h.submit(httpJob(s.URL, "")).ID
	row := rowOf(first)
	p.shows(row, "running") // into an empty table at once
	p.is(`getComputedStyle(document.getElementById("none")).display`, "none")
	s.say(t, `{"percent":40,"message":"page 4"}`)
	p.shows(row+`:has(progress[value="40"])`, "page 4")
	p.shows("#jobs-count-running", "1")

	second := h.submit(nobodys("")).ID
	p.shows("#new:not([hidden])", "1 new")
	third := h.submit(nobodys("")).ID
	p.shows("#new:not([hidden])", "2 new")
	p.is(`document.querySelectorAll("#rows-body tr").length`, "1")
	close(s.lines)
	p.shows(row, "succeeded")
	p.click("#new")
	p.is(`[...document.querySelectorAll("#rows-body tr")].map((r) => r.querySelector("input").value)`, third+","+second+","+first)
	p.is(`document.getElementById("new").hidden`, "true")
	h.call("POST", "/v1/jobs/"+second+"/cancel", "")
	p.shows(rowOf(second), "cancelled")
	p.unmoved()
}

// TestPageJobsBulk selects rows with the mouse, and cancels them after a question.
func TestPageJobsBulk(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	var ids []string
	for range 5 {
		ids = append(ids, h.submit(nobodys(`,"queue":"bulk-test"`)).ID)
	}
	p.open(h.url + "/jobs?queue=bulk-test")
	p.is(`document.querySelector('[value="cancel selected"]').disabled`, "true")
	for _, id := range ids[:2] {
		p.click(rowOf(id) + " input")
	}
	p.shows("#picked", "2 of ")
	p.click(`[value="cancel selected"]`)
	p.shows("#ask[open]", "Cancel 2 jobs?")
	p.press("\x1b")
	p.until(`!document.querySelector("#ask[open]")`)
	p.shows("#picked", "2 of ")
	p.click(`[value="cancel selected"]`)
	p.shows("#ask[open] .strong", "Cancel 2 jobs")
	p.click("#ask .strong")
	p.arrives(`document.querySelector(".notice")?.textContent.includes("2 jobs cancelled")`)
	p.is(`location.search`, "?did=cancel&done=2&queue=bulk-test&skipped=0")

	p.click(".tools .menu summary")
	p.click(`[value="cancel matching"]`)
	p.shows("#ask[open]", "Cancel 3 jobs?")
	p.click("#ask .strong")
	for _, id := range ids {
		h.await(id, inState("cancelled"))
	}
	p.arrives(`document.querySelector("#jobs-bulk")?.textContent.includes("3 of 3")`)
	p.shows("#jobs-count-cancelled", "5")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageJobsKeyboard goes through the table without a mouse.
func TestPageJobsKeyboard(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	var ids []string
	for range 4 {
		ids = append(ids, h.submit(nobodys("")).ID)
	}
	p.open(h.url + "/jobs")
	at := `document.activeElement.closest("tr").querySelector("input").value`
	p.press("j")
	p.is(at, ids[3])
	p.press("j", "x", "j", "X")
	p.is(at, ids[1])
	p.shows("#picked", "2 of ")
	p.press("k", "k")
	p.is(at, ids[3])
	p.press("?")
	p.shows("dialog#shortcuts[open]", "next job")
	p.press("j") // means nothing here
	p.press("\x1b")
	p.until(`!document.querySelector("dialog[open]")`)
	p.is(at, ids[3])
	p.press("/")
	p.is(`document.activeElement.id`, "search")
	p.press("j", "x", "c")
	p.is(`document.activeElement.value.endsWith("jxc")`, "true")
	p.press("\x1b", "c")
	p.shows("#ask[open]", "Cancel 2 jobs?")
	p.press("\x1b")
	p.until(`!document.querySelector("dialog[open]")`)
	// Whoever speaks to the computer can turn the keys off (WCAG 2.1.4).
	p.press("?")
	p.click("#keys-on")
	p.press("\x1b", "j")
	p.until(`!document.querySelector("dialog[open]") && !document.activeElement.closest("tr")`)
	p.evaluate(`void document.querySelector('` + rowOf(ids[0]) + ` a').focus()`)
	p.press("\r")
	p.arrives(`location.pathname === "/jobs/` + ids[0] + `"`)
}

// TestPageJobsViews keeps a filter under a name, in the browser.
func TestPageJobsViews(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	h.submit(nobodys(`,"queue":"mine"`))
	p.open(h.url + "/jobs?queue=mine&state=queued")
	p.click("#save-view")
	p.until(`document.querySelector("#view[open]")`)
	p.evaluate(`void (document.getElementById("view-name").value = "<b>Mine</b>")`)
	p.click(`#view button[value="save"]`)
	p.shows(`#views [data-own] a[aria-current]`, "<b>Mine</b>")
	p.open(h.url + "/jobs")
	p.shows(`#views [data-own] a:not([aria-current])`, "<b>Mine</b>")
	p.click(`#views [data-own] a`)
	p.arrives(`location.search.includes("queue=mine") && location.search.includes("state=queued")`)
	p.shows(`#views [data-own] a[aria-current]`, "<b>Mine</b>")
	p.click(`#views [data-own] button`)
	p.until(`!document.querySelector("#views [data-own]")`)
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestPageKeepsWhatTheViewerDoes: updates come in while a field is being filled, a text is
// selected, rows are checked, a menu is open and the page is scrolled.
// TestPagesKeepWhatTheViewerDoes does the same with every page, and many more.
func TestPageKeepsWhatTheViewerDoes(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	for range 60 {
		h.submit(nobodys(""))
	}
	id := h.submit(httpJob(s.URL, "")).ID
	s.say(t, `{"percent":0,"message":"begins"}`)
	p.open(h.url + "/jobs")
	row := rowOf(id)
	p.shows(row, "begins")
	p.evaluate(`void (() => {
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
		return p.evaluate(`JSON.stringify([getSelection().toString(), [...document.querySelectorAll("#rows-body input")].map((b) => +b.checked).join(""),
			document.querySelector(".tools .menu").open, scrollY, kept.getBoundingClientRect().top, document.querySelectorAll("#rows-body tr")[3] === kept, document.querySelectorAll("#rows-body tr").length,
			document.activeElement.id, document.getElementById("search").value, document.getElementById("search").selectionStart])`)
	}
	before := state()
	if !strings.Contains(before, "POST") && !strings.Contains(before, "GET") {
		t.Fatalf("nothing is selected: %s", before)
	}
	update := func(from, to int) {
		for i := from; i < to; i++ {
			s.say(t, fmt.Sprintf(`{"percent":%g,"message":"step %d"}`, float64(i)/10, i))
			if i%10 == 0 {
				h.submit(nobodys("")) // a new row, to wait
				p.shows(row, fmt.Sprintf("step %d", i))
			}
		}
		p.shows(row, fmt.Sprintf("step %d", to-1))
	}
	update(1, 51)
	if after := state(); after != before {
		t.Errorf("50 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.evaluate(`void (() => { getSelection().empty(); const f = document.getElementById("search"); f.focus({ preventScroll: true }); f.value = "typing"; f.setSelectionRange(3, 3); })()`)
	before = state()
	update(51, 101)
	if after := state(); after != before || !strings.Contains(after, "typing") {
		t.Errorf("50 updates made of\n%s\nthis:\n%s", before, after)
	}
	p.until(`updates > 5`)
	p.shows("#new:not([hidden])", "new")
	p.unmoved()
}

// TestPageLog: lines are added at the end, the log follows while the viewer is there, and
// stays where somebody reads further up.
func TestPageLog(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	s.say(t, `"line 0"`)
	p.open(h.url + "/jobs/" + id)
	write := func(from, to int) {
		for i := from; i < to; i++ {
			s.say(t, fmt.Sprintf(`"line %d"`, i))
			if i%100 == 0 { // as fast as they are shown
				p.shows("#log ol:last-child li:last-child", fmt.Sprintf("line %d", i))
			}
		}
		p.shows("#log ol:last-child li:last-child", fmt.Sprintf("line %d", to-1))
	}
	atEnd := `document.getElementById("log").scrollHeight - document.getElementById("log").scrollTop - document.getElementById("log").clientHeight < 8`
	write(1, 120)
	p.until(atEnd)
	p.evaluate(`void (window.first = document.querySelector("#log li"))`)
	p.is(`document.getElementById("tail").textContent`, "Following")
	p.click("#tail")
	p.evaluate(`void (document.getElementById("log").scrollTop = 200)`)
	write(120, 160)
	p.is(`document.getElementById("log").scrollTop`, "200")
	p.shows("#tail[aria-pressed=false]", "Follow · 40 new")
	p.click("#tail")
	p.until(atEnd)
	write(160, 1400)
	p.until(atEnd)
	p.is(`document.querySelectorAll("#log li").length <= 1000 && !first.isConnected`, "true")
	p.is(`document.querySelectorAll("#log .turn").length`, "0") // nothing is missing
	p.unmoved()
	close(s.lines)
	p.shows("#job-head", "succeeded")
}

// TestJobsWithoutScript: several jobs are cancelled, and one is retried, by plain forms.
func TestJobsWithoutScript(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t).plain()
	a := h.submit(nobodys(`,"queue":"a"`)).ID
	b := h.submit(nobodys(`,"queue":"b","tags":["find me"]`)).ID
	p.to(h.url + "/jobs")
	p.types("#search", "find me")
	if text := p.clicks("#filter .go button"); !strings.Contains(text, "/jobs/"+b) || strings.Contains(text, "/jobs/"+a) {
		t.Errorf("the search shows %s", text)
	}
	p.click(rowOf(b) + " input")
	p.says(p.clicks(`[value="cancel selected"]`), "Cancel 1 job?")
	p.says(p.clicks(".strong"), "1 job cancelled")
	h.await(b, inState("cancelled"))
	p.to(h.url + "/jobs/" + b)
	p.clicks(`#job-head a[href$="/edit"]`)
	p.says(p.clicks(".edit .strong"), "queued")
	p.clicks("#job-head form button")
	p.says(p.clicks(".strong"), "cancelled")
	h.await(a, inState("queued"))
}

// visit goes to a page and waits until it is live, if it ever is.
func (p *page) visit(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("%s: %v", url, err)
	}
	p.until(`!document.body.dataset.view || ` + live)
}

// TestPagesShowMarkupAsText fills every field that a user can fill with a script, and looks
// at the table, the job's page, the questions and the live updates.
func TestPagesShowMarkupAsText(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	const evil = `"'></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)></bdi>`
	q := quote(evil)
	if _, err := chromedp.Call(p.ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: `window.alert = () => { window.pwned = true; }`}); err != nil {
		t.Fatal(err)
	}
	clean := func(where string) {
		t.Helper()
		if wrong := p.evaluate(`String(window.pwned || document.querySelectorAll("main img, main script, main svg[onload], dialog img, dialog script").length)`); wrong != "0" {
			t.Errorf("%s: %s", where, wrong)
		}
	}
	more := fmt.Sprintf(`,"tags":[%s],"ordering_key":%s,"fair_key":%s`, q, q, q)
	id := h.submit(fmt.Sprintf(`{"kind":"http","input":{"method":"POST","url":%s,"headers":{"x-a":%s},"body":{%s:%s}}%s}`, quote(s.URL), q, q, q, more)).ID
	escaped := url.QueryEscape(evil)
	for _, path := range []string{"/jobs/" + id, "/jobs", "/jobs?q=" + escaped, "/jobs?tag=" + escaped, "/jobs?queue=" + escaped + "&kind=" + escaped, "/jobs?since=" + escaped + "&parent=" + escaped, "/jobs/" + escaped} {
		p.visit(h.url + path)
		clean(path)
	}
	p.visit(h.url + "/jobs/" + id)
	s.say(t, q)
	s.say(t, fmt.Sprintf(`{"percent":10,"message":%s}`, q))
	p.shows("#log", "onerror=alert")
	p.shows("#job-progress", "onerror=alert")
	clean("live job")
	p.visit(h.url + "/jobs")
	s.say(t, fmt.Sprintf(`{"percent":20,"message":%s}`, quote("second "+evil)))
	p.shows(rowOf(id), "second \"'></textarea>")
	clean("live table")
	p.evaluate(`void document.querySelector("#rows-body input").click()`)
	p.click(`[value="cancel selected"]`)
	p.shows("#ask[open]", "Cancel 1 job?")
	clean("question")
	close(s.lines)
	h.await(id, inState("succeeded"))
	p.visit(h.url + "/jobs/" + id + "/edit")
	clean("edit")
	p.is(`document.getElementById("input").value.includes("onerror=alert")`, "true")
	p.visit(h.url + "/jobs/" + id)
	clean("finished job")
}

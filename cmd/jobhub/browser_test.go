package main_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json/jsontext"
)

// page is a tab of a real browser that shows a page of the hub.
type page struct {
	t        *testing.T
	ctx      context.Context
	patience time.Duration // for what until waits for

	mu         sync.Mutex      // protects the fields below
	requests   []string        // by HTTP, as "METHOD path"
	complaints []string        // what the browser finds wrong
	origins    map[string]bool // that it sent anything to
}

func openBrowser(t *testing.T) *page {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test looks at the dashboard with Chromium: apt-get install chromium")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(chromium), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WindowSize(1440, 900), chromedp.Flag("lang", "en-GB")}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-default-apps", "disable-extensions", "disable-dev-shm-usage", "disable-breakpad", "disable-renderer-backgrounding", "disable-background-timer-throttling"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, closeBrowser := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(closeBrowser)
	return newTab(t, ctx)
}

// tab opens another tab of the same browser, in a window of its own unless an option says
// otherwise.
func (p *page) tab(t *testing.T, options ...chromedp.ContextOption) *page {
	t.Helper()
	return newTab(t, p.ctx, options...)
}

func newTab(t *testing.T, ctx context.Context, options ...chromedp.ContextOption) *page {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(ctx, options...)
	t.Cleanup(closeTab)

	p := &page{t: t, ctx: ctx, patience: patience, origins: map[string]bool{}}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	const tell = `addEventListener("securitypolicyviolation", (e) => console.error("security policy violation:", e.violatedDirective, e.blockedURI, e.sourceFile))`
	if _, err := chromedp.Call(ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: tell}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventWebSocketCreated:
		if u, err := url.Parse(e.URL); err == nil {
			p.origins[strings.Replace(u.Scheme, "ws", "http", 1)+"://"+u.Host] = true
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			p.origins[u.Scheme+"://"+u.Host] = true
		}
		// The icon is fetched by the browser, whenever it likes, and not by the page; what
		// the page asks while the hub is down is whether HTTP works at least.
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" && u.Path != "/static/icon.svg" && u.Path != "/healthz" {
			p.requests = append(p.requests, e.Request.Method+" "+u.Path)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			said := string(e.Type)
			for _, a := range e.Args {
				said += " " + string(a.Value) + a.Description
			}
			p.complaints = append(p.complaints, said)
		}
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *log.EventEntryAdded:
		if e.Entry.Level != log.EntryLevelInfo && e.Entry.Level != log.EntryLevelVerbose {
			p.complaints = append(p.complaints, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	}
}

// open goes to a page and waits until it is live.
func (p *page) open(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("%s: %v", url, err)
	}
	p.until(live)
	p.evaluate(`void (window.sameDocument = true)`)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

const (
	live    = `document.getElementById("live").dataset.state === "live"`
	notLive = `document.getElementById("live").dataset.state !== "live" && document.getElementById("live").textContent.includes("reconnecting since")`
)

// evaluate runs a script in the page. Its value is a string, or nothing.
func (p *page) evaluate(script string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[*string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	if v == nil {
		return ""
	}
	return *v
}

// until waits until an expression holds in the page. It looks when the document
// changes; a helper that compiles the expression in the page would break its policy.
func (p *page) until(expression string) {
	p.t.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const holds = () => { try { return Boolean(%s); } catch { return false; } };
		const look = () => { if (holds()) { observer.disconnect(); done(); } };
		const observer = new MutationObserver(look);
		observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		look();
	})`, expression)
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("%v while waiting until %s; the page shows\n%s\n%q", err, expression, p.evaluate(`document.body.innerText`), p.heard())
	}
}

// shows waits for an element, and for a text in it.
func (p *page) shows(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.querySelector(%s).textContent.includes(%s)`, quote(selector), quote(text)))
}

func quote(s string) string {
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b)
}

func (p *page) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// unmoved checks that the document is still the one opened, that it asked for nothing
// besides these requests, and that the browser had nothing to complain about.
func (p *page) unmoved(requests ...string) {
	p.t.Helper()
	if p.evaluate(`String(window.sameDocument)`) != "true" {
		p.t.Error("the page was loaded anew")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.requests, requests) {
		p.t.Errorf("the page sent %q, expected %q", p.requests, requests)
	}
	for _, c := range p.complaints {
		p.t.Errorf("the browser complains: %s", c)
	}
}

// forgive takes out what the browser itself reports of attempts to connect that fail.
func (p *page) forgive(h *hub) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = slices.DeleteFunc(p.complaints, func(c string) bool {
		return strings.Contains(c, "WebSocket connection to 'ws://"+h.addr+"/v1/ws' failed") || strings.Contains(c, "ERR_CONNECTION_REFUSED")
	})
}

// stream is an upstream that answers with the lines that the test gives it.
type stream struct {
	*httptest.Server
	lines chan string   // closed, it ends the answer
	gone  chan struct{} // closed when the caller went away
	left  sync.Once
}

func newStream(t *testing.T) *stream {
	s := &stream{lines: make(chan string), gone: make(chan struct{})}
	s.Server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for {
			http.NewResponseController(w).Flush()
			select {
			case line, more := <-s.lines:
				if !more {
					return
				}
				fmt.Fprintln(w, line)
			case <-r.Context().Done():
				s.left.Do(func() { close(s.gone) })
				return
			}
		}
	}))
	return s
}

// say sends a line of the answer as soon as the hub has asked for it.
func (s *stream) say(t *testing.T, line string) {
	t.Helper()
	select {
	case s.lines <- line:
	case <-time.After(patience):
		t.Fatal("nobody called the upstream")
	}
}

// TestPageOverview submits a job from the overview and sees it live there.
func TestPageOverview(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	p.open(h.url + "/")
	p.shows("#overview-now", "No job yet")
	id := p.evaluate(fmt.Sprintf(`fetch("/v1/jobs", {method: "POST", headers: {"Content-Type": "application/json"}, body: %s})
		.then((r) => r.json()).then((j) => j.id)`, quote(httpJob(s.URL, ""))))
	row := "#overview-now #now-" + id
	p.shows(row, "running")
	s.say(t, `{"percent":40,"message":"page 4"}`)
	p.shows(row+`:has(progress[value="40"])`, "page 4")
	s.say(t, `{"percent":70.5,"message":"page 7"}`)
	p.shows(row+`:has(progress[value="70.5"])`, "page 7")
	close(s.lines)
	p.shows(row, "succeeded")
	p.shows("#overview-rail .tile.succeeded b", "1")
	p.unmoved("POST /v1/jobs")
}

// TestPageJob watches a job on its page, from the middle of its run to its end.
func TestPageJob(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	s.say(t, `"the first line"`)
	p.open(h.url + "/jobs/" + id)
	p.shows("#job-head", "running")
	p.shows("#log li:last-child", `"the first line"`)
	s.say(t, `{"percent":40,"message":"page 4"}`)
	p.shows(`#job-progress:not([hidden]):has(progress[value="40"])`, "page 4")
	p.shows("#log li:last-child", "page 4")
	s.say(t, `"a line <b>like</b> any other"`)
	p.shows("#log li:last-child", `"a line <b>like</b> any other"`)
	s.say(t, `{"percent":90,"message":"page 9"}`)
	p.shows(`#job-progress:has(progress[value="90"])`, "page 9")
	p.shows("#job-timeline .attempts tbody", "running")
	close(s.lines)
	p.shows("#job-head", "succeeded")
	p.until(`!document.querySelector('#job-head form[action$="/cancel"]')`)
	p.shows("#job-data", "200")
	p.unmoved()
}

// TestPageCancel cancels a job with the button of its page.
func TestPageCancel(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	id := h.submit(httpJob(s.URL, "")).ID
	s.say(t, `"the only line"`)
	p.open(h.url + "/jobs/" + id)
	p.shows("#job-head form button", "Cancel job")
	// What a proxy answers may be no page of the hub.
	p.evaluate(`void (window.asked = fetch, window.fetch = async () => new Response("bad gateway", { status: 502 }))`)
	p.click("#job-head form button")
	p.shows("#confirm[open] #question", "The hub answered 502 without a confirmation page. Nothing was done.")
	p.press("Escape")
	p.until(`!document.querySelector("#confirm[open]")`)
	p.evaluate(`void (window.fetch = asked)`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.click("#job-head form button")
	p.shows("#confirm[open] h1", "Cancel this job?")
	if said := p.evaluate(`document.activeElement.textContent`); strings.TrimSpace(said) != "Back" {
		t.Errorf("the dialog begins at %q, want what does no harm", said)
	}
	p.click("#confirm [data-close]")
	p.until(`!document.querySelector("#confirm[open]")`)
	p.shows("#job-head", "running")
	p.click("#job-head form button")
	p.shows("#confirm[open] h1", "Cancel this job?")
	// A form, so that it works without scripts too: it comes back to the page.
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS("#confirm button.strong")))
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != http.StatusOK || res.URL != h.url+"/jobs/"+id {
		t.Fatalf("the button leads to %s: %d\n%s\n%q", res.URL, res.Status, p.evaluate(`document.body.innerText`), p.heard())
	}
	soon(t, s.gone)
	p.until(live)
	p.shows("#job-head", "cancelled")
	p.until(`!document.querySelector('#job-head form[action$="/cancel"]')`)
	if j := h.await(id, inState("cancelled")); j.Reason != "user" {
		t.Errorf("the reason is %q", j.Reason)
	}
	for _, c := range p.heard() {
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
			h, g, p := startHub(t), newGate(t), openBrowser(t)
			id := h.submit(httpJob(g.URL+"/held/1", "")).ID
			soon(t, g.arrived)
			state := strings.ReplaceAll(at.state, "ID", id)
			p.open(h.url + strings.ReplaceAll(at.path, "ID", id))
			p.shows(state, "running")
			p.unmoved()

			h.signal(syscall.SIGKILL)
			p.until(notLive)
			p.shows(state, "running")
			h = h.restart()
			p.until(live)
			p.shows(state, "running")
			soon(t, g.arrived)
			close(g.opened)
			p.shows(state, "succeeded")

			p.forgive(h)
			if name == "jobs" { // rows that left the table unheard are read once
				p.mu.Lock()
				p.requests = slices.DeleteFunc(p.requests, func(r string) bool { return r == "GET /jobs" || r == "GET /static/catchup.js" })
				p.mu.Unlock()
			}
			p.unmoved()
		})
	}
}

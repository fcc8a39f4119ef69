package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json/jsontext"
)

// versions are the beginnings of the addresses that pages give to static files.
var versions = regexp.MustCompile(`^/static/[0-9a-f]{12}/`)

// Page is a tab of a real browser that shows a page of the hub.
type Page struct {
	T        *testing.T
	Ctx      context.Context
	Patience time.Duration // for what Until waits for

	mu         sync.Mutex      // protects the fields below
	requests   []string        // by HTTP, as "METHOD path"
	complaints []string        // what the browser finds wrong
	origins    map[string]bool // that it sent anything to
}

// OpenBrowser returns a tab of the browser of all tests of a package. It has storage and
// cookies of its own, which the tabs that are opened from it share.
func OpenBrowser(t *testing.T) *Page {
	t.Helper()
	ctx, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	return newTab(t, ctx, chromedp.WithNewBrowserContext())
}

var closeBrowser = func() {}

// browser starts the browser when it is called first. Main ends it.
var browser = sync.OnceValues(func() (context.Context, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("this test looks at the dashboard with Chromium: apt-get install chromium")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(chromium), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WindowSize(1440, 900), chromedp.Flag("lang", "en-GB")}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"disable-default-apps", "disable-extensions", "disable-dev-shm-usage", "disable-breakpad", "disable-renderer-backgrounding", "disable-background-timer-throttling"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeFirst := chromedp.NewContext(ctx)
	closeBrowser = func() { closeFirst(); end() }
	return ctx, chromedp.Do(ctx, chromedp.Navigate("about:blank"))
})

// Tab opens another tab of the same browser, in a window of its own unless an option says
// otherwise.
func (p *Page) Tab(t *testing.T, options ...chromedp.ContextOption) *Page {
	t.Helper()
	return newTab(t, p.Ctx, options...)
}

func newTab(t *testing.T, ctx context.Context, options ...chromedp.ContextOption) *Page {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(ctx, options...)
	t.Cleanup(closeTab)

	p := &Page{T: t, Ctx: ctx, Patience: Patience, origins: map[string]bool{}}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	const tell = `addEventListener("securitypolicyviolation", (e) => console.error("security policy violation:", e.violatedDirective, e.blockedURI, e.sourceFile))`
	if _, err := chromedp.Call(ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: tell}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Page) hear(event any) {
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
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" && path.Base(u.Path) != "icon.svg" && u.Path != "/healthz" {
			p.requests = append(p.requests, e.Request.Method+" "+versions.ReplaceAllString(u.Path, "/static/"))
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

// Open goes to a page and waits until it is live.
func (p *Page) Open(url string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.T.Fatalf("%s: %v", url, err)
	}
	p.Until(Live)
	p.Evaluate(`void (window.sameDocument = true)`)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

const (
	Live    = `document.getElementById("live").dataset.state === "live"`
	NotLive = `document.getElementById("live").dataset.state !== "live" && document.getElementById("live").textContent.includes("reconnecting since")`
)

// Evaluate runs a script in the page. Its value is a string, or nothing.
func (p *Page) Evaluate(script string) string {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[*string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.T.Fatalf("%s: %v", script, err)
	}
	if v == nil {
		return ""
	}
	return *v
}

// Until waits until an expression holds in the page. It looks when the document
// changes; a helper that compiles the expression in the page would break its policy.
func (p *Page) Until(expression string) {
	p.T.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const holds = () => { try { return Boolean(%s); } catch { return false; } };
		const look = () => { if (holds()) { observer.disconnect(); done(); } };
		const observer = new MutationObserver(look);
		observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		look();
	})`, expression)
	ctx, cancel := context.WithTimeout(p.Ctx, p.Patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise)); err != nil {
		p.T.Fatalf("%v while waiting until %s; the page shows\n%s\n%q", err, expression, p.Evaluate(`document.body.innerText`), p.Heard())
	}
}

// Shows waits for an element, and for a text in it.
func (p *Page) Shows(selector, text string) {
	p.T.Helper()
	p.Until(fmt.Sprintf(`document.querySelector(%s).textContent.includes(%s)`, Quote(selector), Quote(text)))
}

// Quote writes a string of JavaScript.
func Quote(s string) string {
	b, _ := jsontext.AppendQuote(nil, s)
	return string(b)
}

// Heard is what the browser found wrong so far.
func (p *Page) Heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// TakeComplaints is Heard, which then starts anew.
func (p *Page) TakeComplaints() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.complaints = p.complaints, nil
	return all
}

// TakeRequests returns the requests, as "METHOD path", since the page was opened or they
// were last taken.
func (p *Page) TakeRequests() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, p.requests = p.requests, nil
	return all
}

// ForgetRequests takes those requests out of what Unmoved sees.
func (p *Page) ForgetRequests(requests ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = slices.DeleteFunc(p.requests, func(r string) bool { return slices.Contains(requests, r) })
}

// Origins are those that the page sent anything to.
func (p *Page) Origins() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.origins))
}

// Unmoved checks that the document is still the one opened, that it asked for nothing
// besides these requests, and that the browser had nothing to complain about.
func (p *Page) Unmoved(requests ...string) {
	p.T.Helper()
	if p.Evaluate(`String(window.sameDocument)`) != "true" {
		p.T.Error("the page was loaded anew")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.requests, requests) {
		p.T.Errorf("the page sent %q, expected %q", p.requests, requests)
	}
	for _, c := range p.complaints {
		p.T.Errorf("the browser complains: %s", c)
	}
}

// Forgive takes out what the browser itself reports of connections that a hub which was
// killed refused or cut.
func (p *Page) Forgive(h *Hub) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = slices.DeleteFunc(p.complaints, func(c string) bool {
		return strings.Contains(c, "WebSocket connection to 'ws://"+h.Addr+"/v1/ws' failed") || strings.Contains(c, "ERR_CONNECTION_REFUSED") || strings.Contains(c, "ERR_CONNECTION_RESET")
	})
}

// Within is until for what takes its time.
func (p *Page) Within(most time.Duration, expression string) {
	p.T.Helper()
	defer func(d time.Duration) { p.Patience = d }(p.Patience)
	p.Patience = most
	p.Until(expression)
}

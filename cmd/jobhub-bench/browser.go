package main

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/network"
	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium.
type browser struct {
	ctx   context.Context
	close func()
}

func openBrowser(ctx context.Context) (*browser, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun}
	for _, name := range []string{"disable-background-networking", "disable-component-update", "disable-sync", "disable-default-apps", "disable-extensions",
		"disable-dev-shm-usage", "disable-breakpad", "disable-renderer-backgrounding", "disable-background-timer-throttling", "disable-backgrounding-occluded-windows"} {
		options = append(options, chromedp.Flag(name, true))
	}
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, stopFirst := chromedp.NewContext(ctx)
	b := &browser{ctx, func() { stopFirst(); stop() }}
	if err := chromedp.Do(ctx); err != nil {
		b.close()
		return nil, fmt.Errorf("starting Chromium: %w", err)
	}
	return b, nil
}

// tab shows pages of one hub, one after the other.
type tab struct {
	ctx   context.Context
	close context.CancelFunc
	addr  string // of the hub

	mu       sync.Mutex // protects the fields below
	requests map[network.RequestID]*request
	wrong    []string // errors that the browser reports
}

// request is a request of a page over the network.
type request struct {
	url    *url.URL
	script bool
	bytes  float64 // with headers
}

// watchLive records when a page became live, and violations of its policy.
const watchLive = `
addEventListener("securitypolicyviolation", (e) => { (globalThis.violations ??= []).push(e.violatedDirective + " " + e.blockedURI); });
document.addEventListener("DOMContentLoaded", () => {
	const chip = document.getElementById("live");
	if (!chip) return;
	const look = () => { if (chip.dataset.state === "live") globalThis.liveAt ??= performance.now(); };
	new MutationObserver(look).observe(chip, { attributes: true });
	look();
});`

func (b *browser) open(addr string) (*tab, error) {
	t := &tab{addr: addr, requests: map[network.RequestID]*request{}}
	t.ctx, t.close = chromedp.NewContext(b.ctx)
	err := chromedp.Listen(t.ctx, t.hear)
	if err == nil {
		_, err = chromedp.Call(t.ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: watchLive})
	}
	if err == nil {
		_, err = chromedp.Call(t.ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		_, err = chromedp.Call(t.ctx, performance.Enable, performance.EnableParams{})
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("opening a tab: %w", err)
	}
	return t, nil
}

func (t *tab) hear(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err == nil && u.Scheme != "data" && u.Host != t.addr {
			t.wrong = append(t.wrong, "asked for "+e.Request.URL)
		}
		if err == nil && u.Host != "" && !strings.HasSuffix(u.Path, "/icon.svg") { // the browser fetches the icon at any time
			t.requests[e.RequestID] = &request{url: u, script: strings.HasSuffix(u.Path, ".js")}
		}
	case *network.EventRequestServedFromCache:
		delete(t.requests, e.RequestID)
	case *network.EventResponseReceived:
		if e.Response.FromDiskCache || e.Response.FromPrefetchCache {
			delete(t.requests, e.RequestID)
		}
	case *network.EventLoadingFinished:
		if r := t.requests[e.RequestID]; r != nil {
			r.bytes = e.EncodedDataLength
		}
	}
}

// traffic returns the requests since the last call, and the bytes of scripts.
func (t *tab) traffic() (requests int, scripts float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.requests {
		if r.script {
			scripts += r.bytes
		}
	}
	requests = len(t.requests)
	clear(t.requests)
	return requests, scripts
}

// show goes to a page of the hub and waits until it is live. It returns how long that took.
func (t *tab) show(path string) (time.Duration, error) {
	t.traffic()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+t.addr+path)); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	ms, err := evaluate[float64](t, `new Promise((done) => { const look = () => globalThis.liveAt ? done(globalThis.liveAt) : setTimeout(look, 20); look(); })`)
	if err != nil {
		return 0, fmt.Errorf("%s does not become live: %w", path, err)
	}
	return time.Duration(ms * float64(time.Millisecond)), t.fine()
}

// blank goes to a page of the hub without any script.
func (t *tab) blank() error {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate("http://"+t.addr+"/jobs/none"))
}

// fine returns an error if the page did what it must not do.
func (t *tab) fine() error {
	broken, err := evaluate[string](t, `String(globalThis.violations ?? "")`)
	if err == nil && broken != "" {
		err = fmt.Errorf("a page breaks its policy: %s", broken)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && len(t.wrong) > 0 {
		err = fmt.Errorf("a page %s", strings.Join(t.wrong, ", "))
	}
	return err
}

// evaluate runs a script in the page. If its value is a promise, it waits for that.
func evaluate[T any](t *tab, script string) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// run is evaluate without a value.
func (t *tab) run(script string) error {
	_, err := evaluate[*string](t, "(() => {"+script+"})(), null")
	return err
}

// weight is what a page holds in memory.
type weight struct{ heap, nodes, listeners float64 }

// weigh collects garbage until nothing more is found, and returns what is left.
func (t *tab) weigh() (w weight, err error) {
	for range 10 {
		before := w
		if _, err := chromedp.Call(t.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			return w, err
		}
		if w, err = t.metrics(); err != nil || w.nodes == before.nodes {
			return w, err
		}
		if err := pause(t.ctx, 100*time.Millisecond); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (t *tab) metrics() (w weight, err error) {
	all, err := chromedp.Call(t.ctx, performance.GetMetrics, cdp.Empty{})
	for _, m := range all.Metrics {
		switch m.Name {
		case "JSHeapUsedSize":
			w.heap = m.Value
		case "Nodes":
			w.nodes = m.Value
		case "JSEventListeners":
			w.listeners = m.Value
		}
	}
	if err == nil && (w.heap == 0 || w.nodes == 0) {
		err = fmt.Errorf("the browser does not report the memory of a page: %v", all.Metrics)
	}
	return w, err
}

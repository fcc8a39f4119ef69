package main_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pagecmd "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"jobhub/web/client"
)

// told is a state change that a subscriber heard of.
type told struct {
	Job     string `json:"job"`
	Version uint64 `json:"version"`
	Type    string `json:"type"`
}

func (c told) String() string { return fmt.Sprintf("%s %d %s", c.Job, c.Version, c.Type) }

// ending is how a hub ends in a round: killed, or asked to and then draining.
func ending(round int) syscall.Signal {
	if round%2 == 0 {
		return syscall.SIGKILL
	}
	return syscall.SIGTERM
}

// TestBrowserClient follows all jobs of a hub in a browser while the hub ends again and
// again. The page hears of each state change exactly once, the same as the log holds.
func TestBrowserClient(t *testing.T) {
	t.Parallel()
	h, p := startHub(t), openBrowser(t)
	upstream := newGate(t)
	close(upstream.opened)
	p.open(h.url + "/")
	p.evaluate(`import("/static/jobhub.js").then(({ JobHub }) => {
		window.told = []; window.missed = []; window.states = [];
		const hub = new JobHub("/", { minDelay: 250, maxDelay: 1500 });
		hub.addEventListener("status", ({ detail }) => { states.push(detail.state); document.body.dataset.test = detail.state + " " + told.length; });
		hub.subscribe({ all: true, snapshot: true, progress: "none" }, (m) => {
			if (m.type === "gap" || m.type === "state" || m.recovered === false || m.type === "error") missed.push(JSON.stringify(m));
			if (m.type.startsWith("job.") && m.type !== "job.output") told.push({ job: m.job, version: m.version, type: m.type });
			document.body.dataset.test = hub.status.state + " " + told.length;
		});
	})`)
	p.until(`document.body.dataset.test === "live 0"`)

	var ids []string
	for round := range 4 {
		for range 10 {
			ids = append(ids, h.submit(httpJob(fmt.Sprintf("%s/held/%d", upstream.URL, round), "")).ID)
		}
		h.signal(ending(round))
		p.until(`document.body.dataset.test.startsWith("resuming")`)
		h = h.restart()
		ready := time.Now()
		p.until(`document.body.dataset.test.startsWith("live")`)
		most := 2 * time.Second
		if ending(round) == syscall.SIGTERM {
			most += time.Second // the hub itself asks its clients to come back spread over 2 s
		}
		if took := time.Since(ready); took > most {
			t.Errorf("live %s after the hub", took)
		} else {
			t.Logf("live %s after the hub", took)
		}
	}
	for _, id := range ids {
		h.await(id, inState("succeeded"))
	}
	want := h.log()
	p.until(fmt.Sprintf(`document.body.dataset.test === "live %d"`, len(want)))

	var got []told
	h.decode([]byte(p.evaluate(`JSON.stringify(told)`)), &got)
	if !slices.Equal(got, want) {
		t.Errorf("the page heard\n%q\nthe log holds\n%q", got, want)
	}
	if missed := p.evaluate(`missed.join("\n")`); missed != "" {
		t.Errorf("it was not resumed: %s", missed)
	}
	p.forgive(h)
	p.unmoved("GET /static/jobhub.js") // by the name that pages of others import
}

// log returns the state changes that the log of the hub holds.
func (h *hub) log() (all []told) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	head, err := h.client.Jobs(ctx, client.ListOptions{Limit: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	for m, err := range h.client.Watch(ctx, client.Filter{All: true}, client.WatchOptions{Since: client.Position{Epoch: head.Epoch}, Progress: "none"}) {
		if err != nil || m.Missed() {
			h.t.Fatal(m, err)
		}
		if m.Lasting() {
			all = append(all, told{m.Job, m.Version, m.Type})
		}
		if m.Type == client.Live {
			return all
		}
	}
	return nil
}

// TestWatchThroughRestarts: the Go client hears of each state change exactly once while
// the hub ends again and again.
func TestWatchThroughRestarts(t *testing.T) {
	t.Parallel()
	h, upstream := startHub(t), newGate(t)
	close(upstream.opened)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan told, 10_000)
	lost := make(chan error, 100)
	subscribed := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		var last error
		for m, err := range h.client.Watch(ctx, client.Filter{All: true}, client.WatchOptions{Progress: "none", Lost: func(err error, _ time.Duration) { lost <- err }}) {
			if last = err; m.Missed() {
				last = fmt.Errorf("not resumed: %+v", m)
				break
			}
			switch {
			case m.Type == client.Subscribed:
				subscribed <- struct{}{}
			case m.Lasting():
				heard <- told{m.Job, m.Version, m.Type}
			}
		}
		ended <- last
	}()
	soon(t, subscribed)
	for round := range 4 {
		for range 10 {
			h.submit(httpJob(upstream.URL+"/held/1", ""))
		}
		h.signal(ending(round))
		soon(t, lost)
		h = h.restart()
		soon(t, subscribed)
	}
	for _, j := range h.jobs() {
		h.await(j.ID, inState("succeeded"))
	}
	var got []told
	want := h.log()
	for range want {
		select {
		case c := <-heard:
			got = append(got, c)
		case err := <-ended:
			t.Fatal(err)
		case <-ctx.Done():
			t.Fatalf("heard %d of %d changes", len(got), len(want))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard\n%q\nthe log holds\n%q", got, want)
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("ended with %v", err)
	}
	if len(heard) > 0 {
		t.Errorf("heard more than the log holds: %v", <-heard)
	}
}

// TestPageWithoutWebSocket: where no WebSocket opens, the page reads itself again, says
// so, and tells when even that fails.
func TestPageWithoutWebSocket(t *testing.T) {
	t.Parallel()
	h, s, p := startHub(t), newStream(t), openBrowser(t)
	const block = `window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); } close() {} }`
	if _, err := chromedp.Call(p.ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: block}); err != nil {
		t.Fatal(err)
	}
	v := newValve(t, h)
	p.open(v.URL + "/")
	p.shows("#live", "live by polling")
	id := h.submit(httpJob(s.URL, "")).ID
	row := "#overview-now #now-" + id
	p.shows(row, "running")
	s.say(t, `{"percent":40,"message":"page 4"}`)
	p.shows(row+`:has(progress[value="40"])`, "page 4")
	close(s.lines)
	p.shows(row, "succeeded")
	for _, c := range p.heard() {
		t.Errorf("the browser complains: %s", c)
	}
	// An answer that does not come ends after a while, and meanwhile nothing else is asked for.
	v.turn(true, false)
	p.mu.Lock()
	p.requests = nil
	p.mu.Unlock()
	p.within(30*time.Second, `document.getElementById("live").textContent.includes("not live: the hub does not answer")`)
	p.mu.Lock()
	if asked := slices.DeleteFunc(p.requests, func(r string) bool { return r != "GET /" }); len(asked) > 2 {
		t.Errorf("an answer is outstanding, and the page asks for %q", asked)
	}
	p.mu.Unlock()
	v.turn(false, false)
	p.shows("#live", "live by polling")
	h.signal(syscall.SIGKILL)
	p.shows("#live", "not live")
	h.restart()
	p.shows("#live", "live by polling")
	p.shows(row, "succeeded")
	if p.evaluate(`String(window.sameDocument)`) != "true" {
		t.Error("the page was loaded anew")
	}
}

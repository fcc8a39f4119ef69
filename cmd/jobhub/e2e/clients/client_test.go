package clients

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

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// told is a state change that a subscriber received.
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
	h, p := trial.StartHub(t), trial.OpenBrowser(t)
	upstream := trial.NewGate(t)
	close(upstream.Opened)
	p.Open(h.URL + "/")
	p.Evaluate(`import("/static/jobhub.js").then(({ JobHub }) => {
		window.told = []; window.missed = []; window.states = [];
		const hub = new JobHub("/", { minDelay: 250, maxDelay: 1500 });
		hub.addEventListener("status", ({ detail }) => { states.push(detail.state); document.body.dataset.test = detail.state + " " + told.length; });
		hub.subscribe({ all: true, snapshot: true, progress: "none" }, (m) => {
			if (m.type === "gap" || m.type === "state" || m.recovered === false || m.type === "error") missed.push(JSON.stringify(m));
			if (m.type.startsWith("job.") && m.type !== "job.output") told.push({ job: m.job, version: m.version, type: m.type });
			document.body.dataset.test = hub.status.state + " " + told.length;
		});
	})`)
	p.Until(`document.body.dataset.test === "live 0"`)

	var ids []string
	for round := range 4 {
		for range 10 {
			ids = append(ids, h.Submit(trial.HTTPJob(fmt.Sprintf("%s/held/%d", upstream.URL, round), "")).ID)
		}
		h.Signal(ending(round))
		p.Until(`document.body.dataset.test.startsWith("resuming")`)
		h = h.Restart()
		ready := time.Now()
		p.Until(`document.body.dataset.test.startsWith("live")`)
		t.Logf("live %s after the hub", time.Since(ready))
	}
	for _, id := range ids {
		h.Await(id, trial.InState("succeeded"))
	}
	want := logOf(h)
	p.Until(fmt.Sprintf(`document.body.dataset.test === "live %d"`, len(want)))

	var got []told
	h.Decode([]byte(p.Evaluate(`JSON.stringify(told)`)), &got)
	if !slices.Equal(got, want) {
		t.Errorf("the page heard\n%q\nthe log holds\n%q", got, want)
	}
	if missed := p.Evaluate(`missed.join("\n")`); missed != "" {
		t.Errorf("it was not resumed: %s", missed)
	}
	p.Forgive(h)
	p.Unmoved("GET /static/jobhub.js") // by the name that pages of others import
}

// logOf returns the state changes that the log of the hub holds.
func logOf(h *trial.Hub) (all []told) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), trial.Patience)
	defer cancel()
	head, err := h.Client.Jobs(ctx, client.ListOptions{Limit: 1})
	if err != nil {
		h.T.Fatal(err)
	}
	for m, err := range h.Client.Watch(ctx, client.Filter{All: true}, client.WatchOptions{Since: client.Position{Epoch: head.Epoch}, Progress: "none"}) {
		if err != nil || m.Missed() {
			h.T.Fatal(m, err)
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
	h, upstream := trial.StartHub(t), trial.NewGate(t)
	close(upstream.Opened)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	heard := make(chan told, 10_000)
	lost := make(chan error, 100)
	subscribed := make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		var last error
		for m, err := range h.Client.Watch(ctx, client.Filter{All: true}, client.WatchOptions{Progress: "none", Lost: func(err error, _ time.Duration) { lost <- err }}) {
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
	trial.Soon(t, subscribed)
	for round := range 4 {
		for range 10 {
			h.Submit(trial.HTTPJob(upstream.URL+"/held/1", ""))
		}
		h.Signal(ending(round))
		trial.Soon(t, lost)
		h = h.Restart()
		trial.Soon(t, subscribed)
	}
	for _, j := range h.Jobs() {
		h.Await(j.ID, trial.InState("succeeded"))
	}
	var got []told
	want := logOf(h)
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
	h, s, p := trial.StartHub(t), trial.NewStream(t), trial.OpenBrowser(t)
	const block = `window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); } close() {} }`
	if _, err := chromedp.Call(p.Ctx, pagecmd.AddScriptToEvaluateOnNewDocument, pagecmd.AddScriptToEvaluateOnNewDocumentParams{Source: block}); err != nil {
		t.Fatal(err)
	}
	v := trial.NewValve(t, h)
	p.Open(v.URL + "/")
	p.Shows("#live", "live by polling")
	id := h.Submit(trial.HTTPJob(s.URL, "")).ID
	row := "#overview-now #now-" + id
	p.Shows(row, "running")
	s.Say(t, `{"percent":40,"message":"page 4"}`)
	p.Shows(row+`:has(progress[value="40"])`, "page 4")
	close(s.Lines)
	p.Shows(row, "succeeded")
	for _, c := range p.Heard() {
		t.Errorf("the browser complains: %s", c)
	}
	// An answer that does not come ends after a while, and meanwhile nothing else is asked for.
	v.Turn(true, false)
	p.TakeRequests()
	p.Within(30*time.Second, `document.getElementById("live").textContent.includes("not live: the hub does not answer")`)
	if asked := slices.DeleteFunc(p.TakeRequests(), func(r string) bool { return r != "GET /" }); len(asked) > 2 {
		t.Errorf("an answer is outstanding, and the page asks for %q", asked)
	}
	v.Turn(false, false)
	p.Shows("#live", "live by polling")
	h.Signal(syscall.SIGKILL)
	p.Shows("#live", "not live")
	h.Restart()
	p.Shows("#live", "live by polling")
	p.Shows(row, "succeeded")
	if p.Evaluate(`String(window.sameDocument)`) != "true" {
		t.Error("the page was loaded anew")
	}
}

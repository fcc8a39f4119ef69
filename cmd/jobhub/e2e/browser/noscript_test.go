package browser

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// plain is a tab without scripts. Its pages do not refresh themselves, as a refresh can come
// between the two halves of a click.
type plain struct{ *page }

func (p *page) plain() plain {
	p.T.Helper()
	p.scripts(false)
	p.withoutRefresh()
	return plain{p}
}

// withoutRefresh takes the refresh out of all pages that the tab loads.
func (p *page) withoutRefresh() {
	p.T.Helper()
	paused := make(chan *fetch.EventRequestPaused, 100)
	err := chromedp.Listen(p.Ctx, func(ev any) {
		if ev, ok := ev.(*fetch.EventRequestPaused); ok {
			paused <- ev
		}
	})
	if err != nil {
		p.T.Fatal(err)
	}
	go func() {
		for {
			select {
			case ev := <-paused:
				passWithoutRefresh(p.Ctx, ev) // it fails for what the tab does not wait for any more
			case <-p.Ctx.Done():
				return
			}
		}
	}()
	documents := []*fetch.RequestPattern{{ResourceType: network.ResourceTypeDocument, RequestStage: fetch.RequestStageResponse}}
	if _, err := chromedp.Call(p.Ctx, fetch.Enable, fetch.EnableParams{Patterns: documents}); err != nil {
		p.T.Fatal(err)
	}
}

func passWithoutRefresh(ctx context.Context, ev *fetch.EventRequestPaused) {
	body, err := chromedp.Call(ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: ev.RequestID})
	if err != nil || ev.ResponseStatusCode != http.StatusOK { // a redirect has no body
		chromedp.Call(ctx, fetch.ContinueResponse, fetch.ContinueResponseParams{RequestID: ev.RequestID})
		return
	}
	headers := slices.DeleteFunc(ev.ResponseHeaders, func(h *fetch.HeaderEntry) bool {
		return strings.EqualFold(h.Name, "Content-Encoding") || strings.EqualFold(h.Name, "Content-Length")
	})
	chromedp.Call(ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{RequestID: ev.RequestID, ResponseCode: ev.ResponseStatusCode, ResponseHeaders: headers,
		Body: bytes.ReplaceAll(body.Body, []byte(`<meta http-equiv="refresh" content="5">`), nil)})
}

func (p *page) scripts(on bool) {
	p.T.Helper()
	if _, err := chromedp.Call(p.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		p.T.Fatal(err)
	}
}

// does what leads to a page, and returns its text.
func (p plain) does(actions ...chromedp.Action[chromedp.Void]) string {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		text, _ := chromedp.Run(p.Ctx, chromedp.OuterHTML(chromedp.CSS("main")))
		p.T.Fatalf("%v at\n%s", err, text)
	}
	text, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("body")))
	if err != nil {
		p.T.Fatal(err)
	}
	return text
}

func (p plain) to(url string) string { p.T.Helper(); return p.does(chromedp.Navigate(url)) }

func (p plain) clicks(selector string) string {
	p.T.Helper()
	return p.does(chromedp.Click(chromedp.CSS(selector)))
}

// types replaces the text of a field.
func (p plain) types(selector, text string) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.SetValue(chromedp.CSS(selector), text)); err != nil {
		p.T.Fatalf("%s: %v", selector, err)
	}
}

// says checks a page for a text.
func (p plain) says(page, text string) {
	p.T.Helper()
	if !strings.Contains(page, text) {
		p.T.Errorf("the page does not say %q but\n%.3000s", text, page)
	}
}

// TestEveryPageWithoutScript reads every page without scripts, and does what can be done to
// jobs, queues and workers. TestJobsWithoutScript, TestBatchesWithoutScript and
// TestSchedulesWithoutScript do the rest.
func TestEveryPageWithoutScript(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	key := trial.MakeKey(t, data, "--role", "admin", "--name", "root")
	s := newScene(t, trial.StartHubAt(t, trial.FreeAddr(t), data), trial.Bearer+key)
	p := openBrowser(t).plain()

	// Log in, and arrive where it was to go.
	p.says(p.to(s.URL+"/queues/reports"), "API key")
	p.types("#key", "jh_wrong")
	p.says(p.clicks(".login button"), "key-error")
	p.types("#key", key)
	p.says(p.clicks(".login button"), `id="queue-head"`)

	for _, what := range pages() {
		text := p.to(s.at(what))
		for _, want := range [][2]string{what.filled, what.empty} {
			if want[0] != "" {
				p.says(text, want[1])
				break
			}
		}
		if what.truth != nil { // its figures are read again without anybody's doing, or by a button
			body := string(s.Call("GET", s.in(what.path), "", s.headers...).Body)
			if renews := strings.Contains(body, `<noscript><meta http-equiv="refresh"`); renews == what.steady {
				t.Errorf("%s renews itself: %t, and has a form to fill in: %t", what.name, renews, what.steady)
			}
		}
	}

	// Find, look further, cancel after a question.
	p.to(s.URL + "/jobs")
	p.types("#search", "nobody")
	p.types("[name=queue]", "reports")
	text := p.clicks("#filter .go button")
	p.says(text, `value="`+s.ids["queued"])
	if strings.Contains(text, `value="`+s.ids["held"]) {
		t.Error("the filter shows another queue's job")
	}
	p.says(p.to(s.URL+"/jobs?limit=4"), "Older")
	for range 2 {
		text = p.clicks(".paging [rel=next]")
	}
	p.says(text, `value="`+s.ids["running"])
	p.says(p.clicks(".paging [rel=first]"), `id="jobs-`)
	p.to(s.URL + "/jobs/" + s.ids["scheduled"])
	p.says(p.clicks(`#job-head form[action$="/cancel"] button`), "Cancel this job?")
	p.says(p.clicks("[data-close]"), `id="job-head"`)
	p.clicks(`#job-head form[action$="/cancel"] button`)
	p.says(p.clicks(".strong"), "cancelled")
	s.await(s.ids["scheduled"], "cancelled")

	// Retry with another input: a malformed input is shown again with its error.
	p.to(s.URL + "/jobs/" + s.ids["failed"])
	p.clicks(`#job-head a[href$="/edit"]`)
	p.types("#input", `{"method":`)
	p.says(p.clicks(".edit .strong"), "input-error")
	p.types("#input", `{"method":"GET","url":"`+s.gate.URL+`/held/plain"}`)
	p.says(p.clicks(".edit .strong"), `id="job-head"`)
	trial.Soon(t, s.gate.Arrived)

	// A queue: paused, resumed, its limits refused and set.
	p.to(s.URL + "/queues/reports")
	p.types("#pause-reason", "out of paper")
	p.says(p.clicks(`form[action$="/pause"] button`), "out of paper")
	p.says(p.clicks(`form[action$="/resume"] button`), "Reason (optional)")
	p.types("#limit-rate", "fast")
	p.types("#limit-capacity", "77")
	text = p.clicks("#limits button")
	p.says(text, "Nothing was changed")
	p.says(text, `value="77"`)
	p.types("#limit-rate", "7/s")
	p.says(p.clicks("#limits button"), `value="7/s"`)
	limits := ask[struct {
		Limits struct {
			Rate     string
			Capacity int
		}
	}](s, "/v1/queues/reports").Limits
	if limits.Rate != "7/s" || limits.Capacity != 77 {
		t.Errorf("the limits are %+v", limits)
	}

	// A worker gets the directives quiet and terminate, and follows them.
	p.to(s.URL + "/workers")
	p.says(p.clicks(`#workers-list form[action$="/quiet"] button`), "quiet")
	p.says(p.clicks(`#workers-list form[action$="/terminate"] button`), "Terminate this worker?")
	p.clicks(".strong")
	trial.Soon(t, s.worker.Ended)

	// Log out.
	p.says(p.clicks("header .user button"), "API key")
	p.says(p.to(s.URL+"/"), "API key")
	if at, err := chromedp.Run(p.Ctx, chromedp.Location()); err != nil || at != s.URL+"/login" {
		t.Errorf("without a session / leads to %s, %v", at, err)
	}
}

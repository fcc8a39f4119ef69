package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"jobhub/cmd/jobhub/e2e/trial"
)

// emulate has the page seen as somebody with these preferences sees it.
func (p *page) emulate(features ...string) {
	p.T.Helper()
	var all []*emulation.MediaFeature
	for i := 0; i < len(features); i += 2 {
		all = append(all, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: all}); err != nil {
		p.T.Fatal(err)
	}
}

// TestKeysLead goes from page to page with g and a letter, again and again.
func TestKeysLead(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	p.Open(h.URL + "/")
	for range 2 {
		for _, to := range [][2]string{{"j", "/jobs"}, {"q", "/queues"}, {"w", "/workers"}, {"h", "/hub"}, {"d", "/docs"}, {"O", "/"}} {
			p.press("g", to[0])
			p.arrives(`location.pathname === ` + trial.Quote(to[1]) + ` && document.querySelector("nav [aria-current=page]").pathname === ` + trial.Quote(to[1]))
		}
	}
	p.press("g", "z", "j")
	p.is(`location.pathname`, "/")
}

// TestPageTellsThatItIsOld: without its hub the page shows the time of its figures, to
// the eye and aloud, and at last so that nobody misses it; then it is live again.
func TestPageTellsThatItIsOld(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Submit(`{"kind":"nobody","queue":"reports"}`)
	p.Open(h.URL + "/queues/reports")
	p.is(`document.getElementById("live").closest("[role=status], [aria-live]")`, "null")
	p.Evaluate(`void (window.said = [], new MutationObserver(() => said.push([performance.now(), document.getElementById("say").textContent])).observe(document.getElementById("say"), { childList: true }))`)
	p.Shows("#live", "s behind")
	h.Signal(syscall.SIGKILL)
	p.Until(trial.NotLive)
	p.is(`document.getElementById("old").hidden`, "true")
	p.Until(`!document.getElementById("old").hidden`) // after 10 s
	p.Shows("#old", "the figures are from")
	p.Shows("#live", "stale · figures of")
	p.is(`getComputedStyle(document.querySelector("#queue-chart h2"), "::after").content`, `"as of `+p.Evaluate(`document.body.dataset.stale`)+`"`)
	p.accessible("a page that is old")
	p.is(`document.querySelector("#queue-control button").disabled`, "false")
	h = h.Restart()
	p.Until(trial.Live)
	p.is(`document.getElementById("old").hidden + " " + document.body.dataset.stale`, "true undefined")
	p.Shows("#say", "Live again.")
	var said [][2]any
	if err := json.Unmarshal([]byte(p.Evaluate(`JSON.stringify(said)`)), &said); err != nil || len(said) != 2 || !strings.HasPrefix(said[0][1].(string), "Not live: ") {
		t.Fatalf("said %v, %v", said, err)
	}
	if pause := said[1][0].(float64) - said[0][0].(float64); pause < 5000 {
		t.Errorf("two messages within %.0f ms", pause)
	}
	p.Forgive(h)
	p.Unmoved()
}

// TestOverviewSaysWhatNeedsYou aloud, once, however many jobs come.
func TestOverviewSaysWhatNeedsYou(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Call("PATCH", "/v1/queues/reports", `{"capacity":4}`, trial.IsJSON)
	p.Open(h.URL + "/")
	p.Evaluate(`void (window.said = 0, new MutationObserver(() => said++).observe(document.getElementById("say"), { childList: true }))`)
	for range 4 {
		h.Submit(`{"kind":"nobody","queue":"reports"}`)
	}
	p.Shows("#overview-attention", "full, 4 of 4")
	p.Shows("#say", "1 thing needs attention. First: reports: full, 4 of 4")
	p.is(`window.said`, "1")
	p.click("#overview-attention a.quiet")
	p.arrives(`location.pathname + location.hash === "/queues/reports#limits"`)
}

// TestZone shows times in UTC, and locally again, at once and on the next page too.
func TestZone(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"}); err != nil {
		t.Fatal(err)
	}
	id := h.Submit(`{"kind":"nobody"}`).ID
	p.Open(h.URL + "/jobs/" + id)
	const first = `(document.querySelector('time[data-rel=clock], time[data-rel=precise], time[data-rel=day]'))`
	local := p.Evaluate(first + `.textContent`)
	p.press("u")
	p.Until(first + `.textContent !== ` + trial.Quote(local))
	p.is(first+`.dateTime.replace("T", " ").includes(`+first+`.textContent)`, "true")
	p.is(`document.getElementById("zone").textContent`, "UTC")
	p.Open(h.URL + "/jobs/" + id)
	p.is(`document.documentElement.dataset.zone`, "UTC")
	p.press("u")
	p.Until(first + `.textContent === ` + trial.Quote(local))
}

// TestReducedMotion: nothing moves, and what an animation said is said without.
func TestReducedMotion(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	p.emulate("prefers-reduced-motion", "reduce")
	h.Submit(trial.HTTPJob(s.URL, ""))
	for _, path := range []string{"/", "/queues/default", "/jobs", "/?view=wall"} {
		p.Open(h.URL + path)
		p.Evaluate(`void (document.getElementById("live").dataset.state = "reconnecting")`)
		moving := p.Evaluate(`[...document.querySelectorAll("*")].flatMap((e) => [undefined, "::before", "::after"].filter((part) => {
			const style = getComputedStyle(e, part);
			return style.animationName !== "none" || style.transitionDuration.split(", ").some((d) => parseFloat(d) > 0);
		}).map((part) => e.outerHTML.slice(0, 80) + (part ?? ""))).concat(document.getAnimations().map(String)).join("\n")`)
		if moving != "" {
			t.Errorf("on %s this moves:\n%s", path, moving)
		}
	}
	p.Shows("#wall-rail .tile.running b", "1")
	p.Evaluate(`new Promise(requestAnimationFrame).then(() => undefined)`)
	p.Until(`document.getElementById("stage").dataset.running === "1"`)
	before := p.Evaluate(`document.getElementById("stage").toDataURL()`)
	p.Evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => done()))))`)
	if p.Evaluate(`document.getElementById("stage").toDataURL()`) != before {
		t.Error("on the wall a job moves by itself")
	}
}

// TestForcedColours: the shapes that distinguish states stay visible in the colours
// of the system, and so do the charts.
func TestForcedColours(t *testing.T) {
	t.Parallel()
	h, s, p := trial.StartHub(t), trial.NewStream(t), openBrowser(t)
	h.Call("PATCH", "/v1/queues/default", `{"capacity":10}`, trial.IsJSON)
	h.Submit(trial.HTTPJob(s.URL, ""))
	h.Submit(nobodys(""))
	h.Submit(nobodys(`,"delay":"1h"`))
	for _, scheme := range []string{"light", "dark"} {
		p.emulate("forced-colors", "active", "prefers-color-scheme", scheme)
		for _, path := range []string{"/", "/queues/default", "/jobs", "/workers"} {
			p.Open(h.URL + path)
			unseen := p.Evaluate(`[...document.querySelectorAll(".st")].filter((e) => e.checkVisibility()).filter((e) => {
				const shape = getComputedStyle(e, "::before");
				return shape.content === "none" || shape.backgroundColor === getComputedStyle(document.documentElement).backgroundColor || shape.backgroundColor === "rgba(0, 0, 0, 0)" || parseFloat(shape.width) < 6;
			}).map((e) => e.outerHTML).join("\n")`)
			if unseen != "" {
				t.Errorf("in forced colours, %s, on %s these have no shape:\n%s", scheme, path, unseen)
			}
			flat := p.Evaluate(`[...document.querySelectorAll(".gauge rect, .trace path:not(.area)")].filter((e) => e.checkVisibility()).filter((e) => {
				const { fill, stroke } = getComputedStyle(e), paper = getComputedStyle(document.documentElement).backgroundColor;
				return [fill, stroke].every((c) => c === "none" || c === paper);
			}).map((e) => e.outerHTML).join("\n")`)
			if flat != "" {
				t.Errorf("in forced colours, %s, on %s these are not seen:\n%s", scheme, path, flat)
			}
		}
	}
}

// TestNarrowPages: at 320 px, and at 200 % on a small screen, nothing has to be scrolled
// sideways, and the menu opens, also without script.
func TestNarrowPages(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	h.Submit(fmt.Sprintf(`{"kind":"nobody","queue":%q}`, strings.Repeat("long-name", 7)))
	paths := []string{"/", "/?range=24h", "/queues", "/queues/" + strings.Repeat("long-name", 7), "/workers", "/hub", "/jobs", "/docs", "/?view=wall"}
	for _, width := range []int64{320, 640, 1000} {
		show(p, width, 700, "light")
		for _, path := range paths {
			p.visit(h.URL + path)
			if p.Evaluate(`String(document.documentElement.scrollWidth > innerWidth)`) == "true" {
				t.Errorf("%s is wider than %d px", path, width)
			}
		}
	}
	show(p, 320, 700, "light")
	p.Open(h.URL + "/")
	p.is(`document.querySelector("nav").checkVisibility()`, "false")
	p.click(".burger summary")
	p.is(`document.querySelector("nav").checkVisibility()`, "true")
	p.accessible("the open menu")
	ctx, cancel := context.WithTimeout(p.Ctx, trial.Patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Navigate(h.URL+"/")); err != nil {
		t.Fatal(err)
	}
	p.click(".burger summary")
	res, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(`nav [data-key="q"]`)))
	if err != nil || res.URL != h.URL+"/queues" {
		t.Fatalf("without script the menu leads to %+v, %v", res, err)
	}
}

// TestOverviewRange: the charts reach as far back as the address says, live.
func TestOverviewRange(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	g := trial.NewGate(t)
	close(g.Opened)
	h.Await(h.Submit(trial.HTTPJob(g.URL+"/held/1", "")).ID, trial.InState("succeeded"))
	for _, r := range []string{"5m", "1h", "24h"} {
		p.Open(h.URL + "/?range=" + r)
		p.is(`document.body.dataset.view`, "overview:"+r)
		p.is(`document.querySelectorAll(".ranges [aria-current]").length + document.querySelector(".ranges [aria-current]").search`, "1?range="+r)
		done := p.Evaluate(`document.querySelector("#overview-chart path.succeeded").getAttribute("d")`)
		if done == "" {
			t.Errorf("over %s nothing has ended", r)
		}
		n := p.Evaluate(`document.querySelector(".tile.succeeded b").textContent`)
		h.Await(h.Submit(trial.HTTPJob(g.URL+"/held/1", "")).ID, trial.InState("succeeded"))
		p.Until(`document.querySelector(".tile.succeeded b").textContent !== ` + trial.Quote(n))
		p.Unmoved()
	}
	if res := h.Call("GET", "/?range=2d", ""); res.Status != 400 {
		t.Errorf("an unknown range: %d", res.Status)
	}
}

// TestTapFilters shows only the messages with a text, of those that came and those that come.
func TestTapFilters(t *testing.T) {
	t.Parallel()
	h, p := trial.StartHub(t), openBrowser(t)
	p.Open(h.URL + "/hub")
	p.Until(`document.getElementById("messages-filter").checkVisibility()`)
	h.Submit(`{"kind":"nobody","queue":"apples"}`)
	h.Submit(`{"kind":"nobody","queue":"pears"}`)
	p.Shows("#messages-lines", "pears")
	p.Evaluate(`void (document.getElementById("messages-filter").value = "Pears", document.getElementById("messages-filter").dispatchEvent(new Event("input")))`)
	h.Submit(`{"kind":"nobody","queue":"plums"}`)
	h.Submit(`{"kind":"nobody","queue":"pears"}`)
	p.Until(`[...document.querySelectorAll("#messages-lines li:not([hidden])")].length === 2`)
	p.is(`[...document.querySelectorAll("#messages-lines li:not([hidden])")].every((li) => li.textContent.includes("pears"))`, "true")
	p.Shows("#messages-lines", "plums")
}

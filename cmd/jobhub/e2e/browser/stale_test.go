package browser

import (
	"fmt"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

// withoutTimes is the text of the page without times, which still change.
const withoutTimes = `(() => { const main = document.getElementById("main").cloneNode(true);
	for (const e of main.querySelectorAll("time, #messages-lines")) e.remove(); return main.textContent.replace(/\s+/g, " "); })()`

// staleAs is the time of the figures as the page says it, of a page that says that it is
// not live.
const staleAs = `document.body.dataset.stale`

// TestPagesSayThatTheyAreStale blocks the events of all pages. They say so with the time
// of their figures, stay as they are, ask for nothing by a timer, and are right again soon
// after the events flow again.
func TestPagesSayThatTheyAreStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shut  bool
		pages []place
	}{"closed and refused": {false, ownPages()}, "without a word": {true, livePages()[:4]}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, browser := newScene(t, trial.StartHub(t)), openBrowser(t)
			v := trial.NewValve(t, s.Hub)
			type open struct {
				place
				*page
				before string
			}
			var all []open
			for _, what := range c.pages {
				p := browser.tab(t)
				p.Open(v.URL + s.in(what.path))
				p.agrees(s, what)
				all = append(all, open{what, p, ""})
			}
			// What is live asks for nothing.
			v.Requests()
			for i := range 20 {
				s.stream.Say(t, fmt.Sprintf(`{"percent":%d,"message":"step %d"}`, 41+i, i))
			}
			for _, o := range all {
				o.agrees(s, o.place)
			}
			if asked := v.Requests(); len(asked) > 0 {
				t.Errorf("while they were live the pages asked %q", asked)
			}

			v.Turn(c.shut, !c.shut)
			cut := time.Now()
			s.Submit(nobodys(`,"queue":"reports"`))
			s.Call("POST", "/v1/jobs/"+s.ids["queued"]+"/cancel", "") // a callback gets the event
			s.Call("PUT", "/v1/schedules/nightly", nightly(true), trial.IsJSON)
			for i, o := range all {
				o.Within(2*trial.Patience, trial.NotLive) // it may first have to miss a heartbeat and an answer
				if stale := o.Evaluate(staleAs); !timeOfDay.MatchString(stale) {
					t.Errorf("%s: the figures are of %q", o.name, stale)
				}
				all[i].before = o.Evaluate(withoutTimes)
				if i == 0 {
					t.Logf("%s: told after %s", name, time.Since(cut).Round(time.Millisecond))
				}
			}
			if !c.shut {
				all[0].fine("reconnecting")
			}
			for _, o := range all {
				o.Until(`document.getElementById("live").dataset.state === "stale" && document.getElementById("live").textContent.includes("figures of " + document.body.dataset.stale)`)
				if after := o.Evaluate(withoutTimes); after != o.before {
					t.Errorf("%s changed while it was not live, from\n%s\nto\n%s", o.name, o.before, after)
				}
				if !c.shut { // what differs is the frame, and colours
					o.contrasts(o.name + ", stale")
				}
			}
			asked := slices.DeleteFunc(v.Requests(), func(r string) bool { return r == "GET /v1/ws" || r == "GET /healthz" })
			if len(asked) > 0 {
				t.Errorf("while they were not live the pages asked %q", asked)
			}

			v.Turn(false, false)
			for _, o := range all {
				o.Until(trial.Live)
				o.agrees(s, o.place)
				if got := o.Evaluate(`String(` + staleAs + `)`); got != "undefined" {
					t.Errorf("%s is live and its figures are of %s", o.name, got)
				}
				if o.Evaluate(`String(window.sameDocument)`) != "true" {
					t.Errorf("%s was loaded anew", o.name)
				}
				o.quiet(v.URL, "/v1/ws' failed", "ERR_")
			}
		})
	}
}

// TestPagesAfterAKill kills the hub below all pages. They say that they are not live, and
// after it is back they show what the API says, though jobs changed meanwhile.
func TestPagesAfterAKill(t *testing.T) {
	t.Parallel()
	s, browser := newScene(t, trial.StartHub(t)), openBrowser(t)
	tabs := map[string]*page{}
	for _, what := range livePages() {
		tabs[what.name] = browser.tab(t)
		tabs[what.name].Open(s.at(what))
		tabs[what.name].agrees(s, what)
	}
	for round := range 2 {
		s.Submit(nobodys(`,"queue":"reports"`)) // perhaps heard of, perhaps not
		s.Signal(syscall.SIGKILL)
		for _, what := range livePages() {
			tabs[what.name].Until(trial.NotLive)
		}
		s = s.again()
		up := time.Now()
		s.Submit(nobodys(fmt.Sprintf(`,"queue":"later-%d"`, round)))
		s.Call("POST", "/v1/jobs/"+s.ids[[]string{"queued", "held"}[round]]+"/cancel", "")
		s.Call("POST", "/v1/queues/"+[]string{"reports", "held"}[round]+"/"+[]string{"pause", "resume"}[round], `{"reason":"again"}`, trial.IsJSON)
		s.Call("PUT", "/v1/schedules/nightly", nightly(round == 0), trial.IsJSON)
		for _, what := range livePages() {
			p := tabs[what.name]
			p.Until(trial.Live)
			p.agrees(s, what)
		}
		t.Logf("all pages agree %s after the hub is back", time.Since(up).Round(time.Millisecond))
	}
	for _, what := range livePages() {
		p := tabs[what.name]
		p.Forgive(s.Hub)
		p.quiet(s.URL)
		if p.Evaluate(`String(window.sameDocument)`) != "true" {
			t.Errorf("%s was loaded anew", what.name)
		}
	}
}

var timeOfDay = regexp.MustCompile(`^\d\d:\d\d:\d\d$`)

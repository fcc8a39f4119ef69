package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

// The tests of the pages look at all pages alike. This file is what there is to look at:
// a new page is a row of pages.

// place is a page of the dashboard.
type place struct {
	name string
	path string // of the scene; {failed} and the like are replaced by ids

	empty  [2]string // what it shows on a hub without jobs, as selector and text; none if it needs one
	filled [2]string // what it shows of the scene

	// truth is what the page must show now by what the API says: for each selector the
	// texts of its elements joined by a bar, or with @name at its end, values of that
	// attribute. A page that is not live has none.
	truth func(s *scene) map[string]string

	private bool // only for administrators
	steady  bool // without scripts it does not renew itself under who fills in its form
	bare    bool // without the frame of the other pages
	again   bool // another state of a page that is in the list
}

func pages() []place {
	const job = "/jobs/{running}"
	return []place{
		{name: "overview", path: "/", empty: [2]string{"#overview-now", "No job yet"}, filled: [2]string{"#overview-now", "page 4"}, truth: trueOverview},
		{name: "wall", path: "/?view=wall", empty: [2]string{"#wall-lanes", "No job yet"}, filled: [2]string{"#wall-lanes", "reports"}, truth: trueWall, bare: true},
		{name: "jobs", steady: true, path: "/jobs?limit=100", empty: [2]string{"#none", "No job yet"}, filled: [2]string{"tr:has([value='{running}'])", "page 4"}, truth: trueTable},
		{name: "running job", path: job, filled: [2]string{"#job-progress", "page 4"}, truth: trueJob("{running}")},
		{name: "failed job", again: true, path: "/jobs/{failed}", filled: [2]string{"#job-head", "failed"}, truth: trueJob("{failed}")},
		{name: "fan-out", again: true, path: "/jobs/{fanout}", filled: [2]string{"#job-targets", "slow"}, truth: trueJob("{fanout}")},
		{name: "edit", path: "/jobs/{failed}/edit", filled: [2]string{"#input", "127.0.0.1:1"}},
		{name: "change", path: "/jobs/{retrying}/change", filled: [2]string{".edit h1", "Change"}},
		{name: "queues", path: "/queues", empty: [2]string{"#queues-list", "No queue yet"}, filled: [2]string{"#queues-list", "reports"}, truth: trueQueues},
		{name: "queue", steady: true, path: "/queues/reports", filled: [2]string{"#queue-head", "reports"}, truth: trueQueue("reports")},
		{name: "paused queue", again: true, steady: true, path: "/queues/held", filled: [2]string{"#queue-control", "the printer burns"}, truth: trueQueue("held")},
		{name: "workers", path: "/workers", empty: [2]string{"#workers-list", "No external worker"}, filled: [2]string{"#workers-list", "greeter"}, truth: trueWorkers},
		{name: "hub", path: "/hub", empty: [2]string{"#hub-figures", "connections"}, filled: [2]string{"#hub-figures", "position"}, truth: trueHub, private: true},
		{name: "batches", steady: true, path: "/batches", empty: [2]string{"#batches-list", "No batch and no fan-out yet"}, filled: [2]string{"#batches-{batch}", "1 done, 1 failed"}, truth: trueBatches},
		{name: "batch", steady: true, path: "/batches/{batch}", filled: [2]string{"#batch-rows", "missing"}, truth: trueBatch("{batch}")},
		{name: "grid of a fan-out", again: true, steady: true, path: "/batches/{fanout}", filled: [2]string{"#batch-rows", "slow"}, truth: trueBatch("{fanout}")},
		{name: "schedules", steady: true, path: "/schedules", empty: [2]string{"#schedules-list", "No schedule yet"}, filled: [2]string{"#schedules-list", "nightly"}, truth: trueSchedules},
		{name: "schedule", steady: true, path: "/schedules/nightly", filled: [2]string{"#schedule-head", "Europe/Berlin"}, truth: trueSchedule("nightly")},
		{name: "callbacks", path: "/callbacks", empty: [2]string{"#callbacks-rows", "No callback yet"}, filled: [2]string{"#callbacks-rows", "job.queued"}, truth: trueCallbacks},
		{name: "routes", path: "/routes", empty: [2]string{"main", "No route yet"}, private: true},
		{name: "docs", path: "/docs", empty: [2]string{".docs", "Live protocol"}},
		{name: "docs of the protocol", path: "/docs/protocol", empty: [2]string{".docs", "jobhub.v1"}},
	}
}

// livePages are those with a truth.
func livePages() []place {
	return slices.DeleteFunc(pages(), func(s place) bool { return s.truth == nil })
}

// ownPages are the live ones, each once.
func ownPages() []place {
	return slices.DeleteFunc(livePages(), func(s place) bool { return s.again })
}

// scene is a hub with something of everything on it.
type scene struct {
	*trial.Hub
	ids     map[string]string // by name
	headers []string          // with which the API is asked
	stream  *trial.Stream     // that the running job reads
	gate    *trial.Gate       // that holds the fan-out
	worker  *trial.Process
}

// newScene fills a hub. What waits in it, waits for as long as the test.
func newScene(t *testing.T, h *trial.Hub, headers ...string) *scene {
	t.Helper()
	s := &scene{Hub: h, ids: map[string]string{}, headers: headers, stream: trial.NewStream(t), gate: trial.NewGate(t)}
	add := func(name, body string) {
		t.Helper()
		s.ids[name] = h.Submit(body, headers...).ID
	}
	do := func(method, path, body string) {
		t.Helper()
		if a := h.Call(method, path, body, append(headers, trial.IsJSON)...); a.Status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
		}
	}
	const refused = `{"kind":"http","input":{"method":"GET","url":"http://127.0.0.1:1/"}`
	add("running", trial.HTTPJob(s.stream.URL, `,"tags":["invoice","two","three"]`))
	s.stream.Say(t, `"a line"`)
	s.stream.Say(t, `{"percent":40,"message":"page 4"}`)
	add("failed", refused+`,"queue":"reports","retry":{"max_attempts":1}}`)
	add("retrying", refused+`,"queue":"reports","retry":{"max_attempts":3,"initial":"24h"}}`)
	add("cancelled", nobodys(`,"queue":"reports"`))
	do("POST", "/v1/jobs/"+s.ids["cancelled"]+"/cancel", "")
	add("scheduled", nobodys(`,"delay":"24h"`))
	add("waiting", nobodys(fmt.Sprintf(`,"after":[%q]`, s.ids["running"])))
	told := trial.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	add("queued", nobodys(`,"queue":"reports","ordering_key":"o","fair_key":"k","priority":3,"callbacks":[{"url":"`+told.URL+`","events":["job.queued","job.cancelled"]}]`))
	do("PUT", "/v1/schedules/nightly", nightly(false))
	do("POST", "/schedules/nightly/run", "")
	add("fanout", fmt.Sprintf(`{"kind":"fanout","input":{"targets":[{"name":"slow","url":"%s/held/slow"},{"name":"gone","url":"http://127.0.0.1:1/"}],"policy":"settled"},"retry":{"max_attempts":1}}`, s.gate.URL))
	var batch document
	if err := json.Unmarshal(h.Call("POST", "/batch?async=true", `{"requests":[`+noSuchJob+`,{"id":"queues","method":"GET","path":"/v1/queues"}]}`, append(headers, trial.IsJSON)...).Body, &batch); err != nil {
		t.Fatal(err)
	}
	s.ids["batch"] = batch.ID
	do("PATCH", "/v1/queues/held", `{"concurrency":2,"capacity":50,"rate":"5/s"}`)
	do("POST", "/v1/queues/held/pause", `{"reason":"the printer burns"}`)
	add("held", nobodys(`,"queue":"held"`))
	w := exec.Command(trial.Program, "work", "--server", h.URL, "--kind", "greet", "--queue", "reports", "--name", "greeter", "--slots", "2", "--", "true")
	if len(headers) > 0 {
		w.Env = []string{"JOBHUB_TOKEN=" + strings.TrimPrefix(headers[0], trial.Bearer)}
	}
	s.worker = trial.Start(t, w)
	t.Cleanup(func() { s.worker.Signal(syscall.SIGTERM) })
	trial.Soon(t, s.gate.Arrived) // the fan-out's
	for name, state := range map[string]string{"failed": "failed", "retrying": "retrying", "fanout": "running", "batch": "succeeded"} {
		s.await(s.ids[name], state)
	}
	for late := time.Now().Add(trial.Patience); len(ask[struct{ Workers []struct{} }](s, "/v1/workers").Workers) == 0; {
		if time.Now().After(late) {
			t.Fatal("the worker does not register")
		}
	}
	s.know() // of the run and the delivery too
	for _, j := range listed(s, "limit=500&kind=webhook") {
		s.await(j.ID, "succeeded")
	}
	return s
}

// nightly is a schedule whose time comes once a year.
func nightly(paused bool) string {
	return fmt.Sprintf(`{"cron":"0 3 1 1 *","time_zone":"Europe/Berlin","job":{"kind":"nobody"},"paused":%t}`, paused)
}

// await waits until a job is in a state.
func (s *scene) await(id, state string) {
	s.T.Helper()
	for late := time.Now().Add(trial.Patience); ; {
		j := ask[document](s, "/v1/jobs/"+id)
		if j.State == state {
			return
		}
		if time.Now().After(late) {
			s.T.Fatalf("job %s is %s, not %s", id, j.State, state)
		}
	}
}

// in puts the ids of the scene into a text.
func (s *scene) in(text string) string {
	for name, id := range s.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

func (s *scene) at(what place) string { return s.URL + s.in(what.path) }

// know takes all jobs that there are for jobs of the scene: a page that is loaded now has them.
func (s *scene) know() {
	s.T.Helper()
	for _, j := range listed(s, "limit=500") {
		if !slices.Contains(slices.Collect(maps.Values(s.ids)), j.ID) {
			s.ids[j.ID] = j.ID
		}
	}
}

// goes goes back in the history, or forth.
func (p *page) goes(steps int) {
	p.T.Helper()
	p.Evaluate(fmt.Sprintf(`void setTimeout(() => history.go(%d))`, steps))
}

// again is the scene on the hub that was started after the end of the last.
func (s *scene) again() *scene {
	next := *s
	next.Hub = s.Restart()
	return &next
}

// What the API says.
type (
	document struct {
		ID, Kind, State, Queue string
		Seq                    uint64
		Progress               struct{ Message string }
	}
	figures struct {
		Name   string
		Paused bool
		States map[string]int
	}
)

// ask reads a document of the API.
func ask[T any](s *scene, path string) (v T) {
	s.T.Helper()
	a := s.Call("GET", path, "", s.headers...)
	if err := json.Unmarshal(a.Body, &v); err != nil || a.Status != 200 {
		s.T.Fatalf("GET %s: %d %s %v", path, a.Status, a.Body, err)
	}
	return v
}

func listed(s *scene, query string) []document {
	return ask[struct{ Jobs []document }](s, "/v1/jobs?"+query).Jobs
}

// counted are the queues, and the jobs in each state.
func counted(s *scene) (queues []figures, states map[string]int) {
	queues, states = ask[struct{ Queues []figures }](s, "/v1/queues").Queues, map[string]int{}
	for _, q := range queues {
		for state, n := range q.States {
			states[state] += n
		}
	}
	return queues, states
}

// bar joins what is shown of each.
func bar[T any](all []T, text func(T) string) string {
	var parts []string
	for _, one := range all {
		parts = append(parts, text(one))
	}
	return strings.Join(parts, "|")
}

func tiles(prefix string, states map[string]int) map[string]string {
	out := map[string]string{}
	for _, state := range []string{"queued", "running", "retrying", "succeeded", "failed"} {
		out[prefix+" .tile."+state+" b"] = strconv.Itoa(states[state])
	}
	return out
}

func trueOverview(s *scene) map[string]string {
	queues, states := counted(s)
	newest := listed(s, "limit=12")
	out := tiles("#overview-rail", states)
	out["#overview-now .feed li@id"] = bar(newest, func(j document) string { return "now-" + j.ID })
	out["#overview-now .feed .st"] = bar(newest, func(j document) string { return j.State })
	for _, q := range queues {
		out["#overview-queues #queue-"+q.Name+" td:nth-child(2)"] = strconv.Itoa(q.States["queued"])
	}
	return out
}

func trueWall(s *scene) map[string]string {
	queues, states := counted(s)
	out, all := tiles("#wall-rail", states), 0
	for _, n := range states {
		all += n
	}
	ended := states["succeeded"] + states["failed"] + states["cancelled"]
	out["#wall-ledger p:first-child b"] = fmt.Sprintf("%d|%d|%d|%d", all, ended, all-ended-states["running"], states["running"])
	if len(queues) > 5 { // the wall shows only the busiest
		return out
	}
	for _, q := range queues {
		out["#lane-"+q.Name+"@data-running"] = strconv.Itoa(q.States["running"])
	}
	return out
}

// trueTable is what the rows of the scene must show; newer jobs are shown after a click on a button.
func trueTable(s *scene) map[string]string {
	_, states := counted(s)
	out, late := map[string]string{}, 0
	known := slices.Collect(maps.Values(s.ids))
	for _, j := range listed(s, "limit=500") {
		if slices.Contains(known, j.ID) {
			out[row(j.ID)+" td:nth-child(2)"] = j.State
		} else {
			late++
		}
	}
	if out["#new:not([hidden])"] = ""; late > 0 {
		out["#new:not([hidden])"] = fmt.Sprintf("%d new", late)
	}
	for state, n := range states {
		out["#jobs-count-"+state] = strconv.Itoa(n)
	}
	return out
}

func trueJob(name string) func(*scene) map[string]string {
	return func(s *scene) map[string]string {
		j := ask[document](s, "/v1/jobs/"+s.in(name))
		return map[string]string{"#job-head .title > .st": j.State, "#job-id": j.ID, "#job-progress bdi": j.Progress.Message, "#job-head .facts div:first-child dd": j.Queue}
	}
}

func trueBatches(s *scene) map[string]string {
	all := slices.DeleteFunc(listed(s, "limit=500"), func(j document) bool { return j.Kind != "batch" && j.Kind != "fanout" })
	return map[string]string{
		"#batches-list tbody tr@id": bar(all, func(j document) string { return "batches-" + j.ID }),
		"#batches-list tbody .st":   bar(all, func(j document) string { return j.State }),
	}
}

func trueBatch(name string) func(*scene) map[string]string {
	return func(s *scene) map[string]string {
		return map[string]string{"#batch-head .title > .st": ask[document](s, "/v1/jobs/"+s.in(name)).State}
	}
}

func trueQueues(s *scene) map[string]string {
	queues, _ := counted(s)
	out := map[string]string{"#queues-list tbody .name": bar(queues, func(q figures) string { return q.Name })}
	for _, q := range queues {
		out["#queue-"+q.Name+" > td:nth-child(2)"] = strconv.Itoa(q.States["queued"])
		out["#queue-"+q.Name+" .st.paused"] = ifPaused(q.Paused)
	}
	return out
}

func trueQueue(name string) func(*scene) map[string]string {
	return func(s *scene) map[string]string {
		q := ask[figures](s, "/v1/queues/"+name)
		out := tiles("#queue-rail", q.States)
		out["#queue-head .st.paused"] = ifPaused(q.Paused)
		return out
	}
}

func trueWorkers(s *scene) map[string]string {
	type worker struct {
		ID        string `json:"worker_id"`
		Slots     int
		Running   []string
		Directive string
	}
	all := ask[struct{ Workers []worker }](s, "/v1/workers").Workers
	return map[string]string{
		"#workers-list tbody tr@id":         bar(all, func(w worker) string { return "worker-" + w.ID }),
		"#workers-list tbody .slots > span": bar(all, func(w worker) string { return fmt.Sprintf("%d of %d slots", len(w.Running), w.Slots) }),
	}
}

// ifPaused is the mark of what is paused.
func ifPaused(paused bool) string { return map[bool]string{true: "paused"}[paused] }

func trueSchedules(s *scene) map[string]string {
	type schedule struct {
		Name    string
		Paused  bool
		LastJob string `json:"last_job"`
	}
	out := map[string]string{}
	all := ask[struct{ Schedules []schedule }](s, "/v1/schedules").Schedules
	out["#schedules-list tbody .name"] = bar(all, func(c schedule) string { return c.Name })
	for _, c := range all {
		row := "#schedule-row-" + c.Name
		out[row+" .next .st"] = ifPaused(c.Paused)
		out[row+" .last .st"] = ask[document](s, "/v1/jobs/"+c.LastJob).State
	}
	return out
}

func trueSchedule(name string) func(*scene) map[string]string {
	return func(s *scene) map[string]string {
		return map[string]string{
			"#schedule-head .title .st":        ifPaused(ask[figures](s, "/v1/schedules/"+name).Paused),
			"#schedule-runs .recent tbody .st": bar(listed(s, "limit=500&tag=schedule:"+name), func(j document) string { return j.State }),
		}
	}
}

func trueCallbacks(s *scene) map[string]string {
	all := listed(s, "limit=500&kind=webhook")
	return map[string]string{
		"#callbacks-rows tbody tr@id": bar(all, func(j document) string { return "callbacks-row-" + j.ID }),
		"#callbacks-rows .state .st":  bar(all, func(j document) string { return strings.Replace(j.State, "succeeded", "delivered", 1) }),
	}
}

func trueHub(s *scene) map[string]string {
	return map[string]string{"#hub-figures .tile:nth-child(2) b": strconv.FormatUint(ask[document](s, "/v1/jobs?limit=1").Seq, 10)}
}

// shown reads what a page shows where a truth looks.
func (p *page) shown(truth map[string]string) (out map[string]string) {
	p.T.Helper()
	keys, err := json.Marshal(slices.Collect(maps.Keys(truth)))
	if err != nil {
		p.T.Fatal(err)
	}
	text := p.Evaluate(`JSON.stringify(Object.fromEntries(` + string(keys) + `.map((key) => {
		const [selector, name] = key.split("@"), text = (e) => name ? e.getAttribute(name) : e.textContent.trim().replace(/\s+/g, " ");
		return [key, [...document.querySelectorAll(selector)].map(text).join("|")];
	})))`)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		p.T.Fatal(err, text)
	}
	return out
}

// agrees waits until a page shows what the API says, at the latest at a moment. While the
// hub is busy the truth moves, so both are read again and again.
func (p *page) agrees(s *scene, what place) {
	p.T.Helper()
	late := time.Now().Add(trial.Patience)
	for {
		truth := what.truth(s)
		if len(truth) == 0 {
			p.T.Fatalf("%s: the API says nothing", what.name)
		}
		shown := p.shown(truth)
		if maps.Equal(truth, shown) {
			return
		}
		if time.Now().After(late) {
			for key, want := range truth {
				if shown[key] != want {
					p.T.Errorf("%s: %s is %q, the API says %q", what.name, key, shown[key], want)
				}
			}
			return
		}
	}
}

// quiet checks that the browser had nothing to complain about but what is allowed, and
// that the page talked to one origin only.
func (p *page) quiet(origin string, allowed ...string) {
	p.T.Helper()
	for _, c := range p.Heard() {
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(c, a) }) {
			p.T.Errorf("the browser complains: %s", c)
		}
	}
	for _, o := range p.Origins() {
		if o != origin {
			p.T.Errorf("the page talked to %s", o)
		}
	}
}

// row selects the row of a job in a table.
func row(id string) string { return "tr:has([value='" + id + "'])" }

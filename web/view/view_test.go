package view

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jobhub/jobs"

	"github.com/a-h/templ"

	"jobhub/jobs/engine"
)

var update = flag.Bool("update", false, "write the golden files anew")

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func fragments(t *testing.T, all []Fragment) string {
	t.Helper()
	var b strings.Builder
	for _, f := range all {
		b.WriteString(render(t, f.Component) + "\n")
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, got := range map[string]string{
		"overview":           render(t, OverviewPage(shell(), sampleOverview())),
		"overview-empty":     fragments(t, OverviewFragments(Overview{Origin: "http://127.0.0.1:8080"})),
		"job-failed":         render(t, JobPage(shell(), sampleFailed())),
		"job-running":        fragments(t, JobFragments(sampleRunning())),
		"job-waiting":        fragments(t, JobFragments(sampleWaiting())),
		"error":              render(t, ErrorPage(shell(), 404, "No such job", "It never was, or its time is over.")),
		"login":              render(t, LoginPage(Shell{At: noon}, Login{Next: "/"})),
		"login-refused":      render(t, LoginPage(Shell{At: noon}, Login{Next: "/jobs/1?a=b&c", Error: "This hub knows no such key or token."})),
		"job-viewer":         render(t, JobPage(viewerShell(), sampleFailed())),
		"docs":               render(t, DocsPage(shell(), Docs{Title: "Protocol", Path: "/docs/protocol", HTML: "<h1>Protocol</h1>", Contents: []Heading{{"a", "A", 2}}, Pages: samplePages})),
		"docs-api":           render(t, DocsPage(shell(), sampleAPI())),
		"jobs":               render(t, JobsPage(operatorShell(), sampleJobs())),
		"jobs-filtered":      render(t, JobsPage(viewerShell(), sampleFiltered())),
		"jobs-empty":         render(t, JobsPage(operatorShell(), Jobs{Origin: "http://127.0.0.1:8080", Counts: &Counts{}})),
		"jobs-none":          render(t, JobsPage(operatorShell(), Jobs{Query: Query{Text: "nothing"}, Next: "5.5"})),
		"jobs-malformed":     render(t, JobsPage(shell(), Jobs{Query: Query{Since: "x"}, Problem: &jobs.Problem{Title: "Malformed query", Detail: "The parameter since takes a time like 24h."}})),
		"job-fanout":         fragments(t, JobFragments(sampleFanout())),
		"confirm":            render(t, ConfirmPage(shell(), Confirm{Title: "Cancel 3 jobs?", Text: "Of those selected.", Action: "/jobs/bulk", Fields: [][2]string{{"do", "cancel selected"}}, Button: "Cancel 3 jobs", Back: "/jobs?state=failed"})),
		"edit":               render(t, EditPage(shell(), Edit{Job: sampleFailed().Job, Input: "{\n", Problem: &jobs.Problem{Title: "Malformed request", Detail: "It ends too early.", Code: jobs.BadMessage}})),
		"overview-fragments": fragments(t, OverviewFragments(sampleOverview())),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, got)
		})
	}
}

// golden compares a page with its file, or writes that anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden.html")
	// One element a line, so that a difference can be read.
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; look at the change and run with -update if it is meant:\n%s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer than the other"
}

// A page and its patches are made of the same bytes, each fragment one element
// that can be found by its id.
func TestPageRendersItsFragments(t *testing.T) {
	check := func(page string, all []Fragment) {
		t.Helper()
		for _, f := range all {
			html := render(t, f.Component)
			if strings.HasPrefix(f.ID, "job-line-") && !strings.Contains(page, `id="`+f.ID+`"`) {
				continue // the page begins with fewer lines than the live view has
			}
			if !strings.Contains(page, html) {
				t.Errorf("the page does not hold fragment %s as it is patched", f.ID)
			}
			if !regexp.MustCompile(`^<\w+ id="` + f.ID + `"`).MatchString(html) {
				t.Errorf("fragment %s does not start with an element of that id: %.60s", f.ID, html)
			}
		}
	}
	for _, o := range []Overview{sampleOverview(), {}} {
		check(render(t, OverviewPage(shell(), o)), OverviewFragments(o))
	}
	for _, m := range []QueueModel{sampleQueue(), samplePaused(), {}} {
		check(render(t, QueuePage(shell(), m, QueueForm{})), QueueFragments(m))
	}
	for _, m := range []WorkersModel{sampleWorkers(), {}} {
		check(render(t, WorkersPage(shell(), m)), WorkersFragments(m))
	}
	for _, m := range []HubModel{sampleHub(), {}} {
		check(render(t, HubPage(shell(), m)), HubFragments(m))
	}
	for _, o := range []Overview{sampleOverview(), {}} {
		check(render(t, WallPage(shell(), o)), WallFragments(o))
		check(render(t, QueuesPage(shell(), QueuesModel{Queues: o.Queues})), QueuesFragments(QueuesModel{Queues: o.Queues}))
	}
	for _, m := range []SchedulesModel{sampleSchedules(), {}} {
		check(render(t, SchedulesPage(shell(), m, Form{})), SchedulesFragments(m))
	}
	for _, it := range append(sampleSchedules().List, Schedule{}) {
		check(render(t, SchedulePage(shell(), sampleOne(it), Form{})), ScheduleFragments(sampleOne(it)))
	}
	for _, m := range []CallbacksModel{sampleCallbacks(), manyCallbacks(), {}} {
		check(render(t, CallbacksPage(shell(), m)), CallbacksFragments(m))
	}
	for _, m := range []Jobs{sampleJobs(), sampleFiltered(), {}} {
		check(render(t, JobsPage(shell(), m)), JobsFragments(m))
	}
	for _, m := range []Batches{sampleBatches(), {}, {BatchQuery: BatchQuery{Kind: "batch"}}} {
		check(render(t, BatchesPage(shell(), m)), BatchesFragments(m))
	}
	for _, m := range []Batch{sampleBatchPage(), sampleFanPage(), sampleLarge(), {}} {
		check(render(t, BatchPage(shell(), m)), BatchFragments(m))
	}
	for _, m := range []Routes{sampleRoutesPage(), {}} {
		check(render(t, RoutesPage(shell(), m)), RoutesFragments(m))
	}
	for _, m := range []JobModel{sampleFailed(), sampleRunning(), sampleWaiting(), sampleFanout(), {Job: jobs.Job{State: jobs.Queued}}} {
		check(render(t, JobPage(shell(), m)), JobFragments(m))
	}
}

// The pages are served under a policy that allows nothing inline.
func TestNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|javascript:|<script>|https?://(?:cdn|fonts)`)
	pages := slices.Concat(slices.Collect(maps.Values(operationPages(t))), slices.Collect(maps.Values(batchPages(t))), slices.Collect(maps.Values(workPages(t))), slices.Collect(maps.Values(gatewayPages(t))))
	for _, page := range append(pages, render(t, OverviewPage(shell(), sampleOverview())), render(t, JobPage(shell(), sampleFailed())), render(t, JobPage(shell(), sampleRunning())),
		render(t, LoginPage(shell(), Login{Next: "/", Error: "No."})), render(t, JobPage(viewerShell(), sampleFailed())),
		render(t, JobsPage(shell(), sampleFiltered())), render(t, ConfirmPage(shell(), Confirm{})), render(t, EditPage(shell(), Edit{}))) {
		if found := inline.FindString(page); found != "" {
			t.Errorf("found %q", found)
		}
	}
}

// What a user can fill is shown as text, wherever it is shown.
func TestScriptsAreText(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)></bdi>`
	const evilJSON = `"\"'><script>alert(1)</script><img src=x onerror=alert(1)></bdi>"`
	j := jobs.Job{
		ID: sampleID(1), Kind: "http", Queue: "default", State: jobs.Failed, Reason: evil, Tags: []string{evil},
		Input:    jobs.Value(`{"method":` + evilJSON + `,"url":"https://x/` + `<script>alert(1)</script>",` + evilJSON + `:[` + evilJSON + `]}`),
		Error:    &jobs.Problem{Title: evil, Detail: evil, Code: evil, Errors: []jobs.MemberError{{Pointer: evil, Detail: evil}}},
		Progress: &jobs.Progress{Message: evil, Data: jobs.Value(evilJSON)},
		Response: &jobs.Response{Status: 200, Header: http.Header{"Content-Type": {"text/html"}, "X-" + evil: {evil}}, Body: []byte(evil)},
	}
	result := j
	result.Response, result.Result, result.State = nil, jobs.Value(`{`+evilJSON+`:`+evilJSON+`}`), jobs.Running
	events := []*jobs.Event{
		event(1, jobs.JobStarted, noon, `{"attempt":1}`),
		event(2, jobs.JobOutput, noon, `{"stream":`+evilJSON+`,"text":`+evilJSON+`}`),
		event(3, jobs.JobFailed, noon, `{"error":{"title":`+evilJSON+`,"detail":`+evilJSON+`,"code":"x"}}`),
	}
	pages := map[string]string{
		"overview": render(t, OverviewPage(shell(), Overview{Origin: evil, Now: []jobs.Job{j, result}, Queues: []Queue{{QueueInfo: jobs.QueueInfo{Name: evil}}},
			Attention: []Attention{{Level: Failure, Text: evil, Detail: evil, Link: "javascript:alert(1)"}}})),
		"queue": render(t, QueuePage(shell(), QueueModel{Queue: Queue{QueueInfo: jobs.QueueInfo{Name: evil, Settings: jobs.QueueSettings{Paused: &jobs.Pause{By: evil, Reason: evil}}}},
			Kinds: []string{evil}, Failures: []jobs.Job{j}}, QueueForm{Values: map[string]string{"rate": evil}, Errors: map[string]string{"rate": evil}})),
		"workers": render(t, WorkersPage(shell(), WorkersModel{Origin: evil, Kinds: []string{evil}, Workers: []Worker{{WorkerInfo: engine.WorkerInfo{ID: evil, Directive: engine.DirectiveRun,
			WorkerSpec: engine.WorkerSpec{Name: evil, Kinds: []string{evil}, Queues: []string{evil}}}}}})),
		"hub":      render(t, HubPage(shell(), HubModel{Conns: []Connection{{ID: evil, Remote: evil, Who: evil, Watches: evil}}, Closes: []Tally{{evil, 1}}})),
		"wall":     render(t, WallPage(shell(), Overview{Queues: []Queue{{QueueInfo: jobs.QueueInfo{Name: evil}}}})),
		"empty":    render(t, OverviewPage(shell(), Overview{Origin: evil})),
		"answer":   render(t, JobPage(shell(), JobModel{Job: j, Way: wayOf(false, events...), Origin: evil})),
		"result":   render(t, JobPage(shell(), JobModel{Job: result, Way: wayOf(false, events...)})),
		"jobs":     render(t, JobsPage(shell(), Jobs{Query: Query{Queue: evil, Kind: evil, Tag: evil, Parent: evil, Text: evil, Since: evil, Cursor: evil, Bulk: evil}, Jobs: []jobs.Job{j, result}, Queues: []string{evil}, Next: evil, Bulk: &result})),
		"batches":  render(t, BatchesPage(shell(), Batches{Jobs: []jobs.Job{{Kind: evil, Progress: &jobs.Progress{Data: jobs.Value(`{"policy":` + evilJSON + `,"targets":{` + evilJSON + `:{}}}`)}}}, Next: evil})),
		"no batch": render(t, BatchesPage(shell(), Batches{Origin: evil})),
		"batch": render(t, BatchPage(shell(), Batch{Job: jobs.Job{Kind: evil, Queue: evil, Reason: evil, Error: j.Error}, Policy: evil, BatchPlace: BatchPlace{Item: evil, Show: evil},
			Items: []Item{{Name: evil, Method: evil, Target: evil, Problem: evil, After: []int{0}}}, Whole: &WholeItem{Request: jobs.Value(evilJSON), Response: jobs.Value(`{` + evilJSON + `:` + evilJSON + `}`)}})),
		"routes": render(t, RoutesPage(shell(), Routes{Config: &Config{File: evil, Errors: []string{evil}}, Routes: []Route{{Path: evil, Upstreams: []Upstream{{Name: evil, URL: evil}}, Strip: evil, Policy: evil, Queue: evil,
			Jobs: RouteJobs{Failing: noon, Why: evil}}}})),
		"no routes": render(t, RoutesPage(shell(), Routes{Origin: evil})),
		"no jobs":   render(t, JobsPage(operatorShell(), Jobs{Origin: evil})),
		"schedules": render(t, SchedulesPage(shell(), SchedulesModel{Origin: evil, All: 1, After: evil, Next: evil, List: []Schedule{evilSchedule(evil, evilJSON, j)}},
			Form{Values: map[string]string{"name": evil, "input": evil}, Errors: map[string]string{"cron": evil}, Wrong: evil})),
		"schedule": render(t, SchedulePage(shell(), ScheduleModel{It: evilSchedule(evil, evilJSON, j, result)}, Form{Values: map[string]string{"cron": evil}})),
		"callbacks": render(t, CallbacksPage(shell(), CallbacksModel{Origin: evil, Cursor: evil, Next: evil, Callbacks: []Callback{{ID: evil, Target: evil, Queue: evil, Events: []string{evil}, Disabled: true}},
			Hosts: Hosts{List: []Host{{Name: evil}}}, Deliveries: []jobs.Job{evilDelivery(j, evil, evilJSON)}})),
		"delivery":  render(t, JobPage(shell(), JobModel{Job: evilDelivery(j, evil, evilJSON)})),
		"malformed": render(t, JobsPage(shell(), Jobs{Problem: &jobs.Problem{Title: evil, Detail: evil}})),
		"confirm":   render(t, ConfirmPage(shell(), Confirm{Title: evil, Text: evil, Action: "javascript:" + evil, Fields: [][2]string{{evil, evil}}, Button: evil, Back: "javascript:" + evil})),
		"edit":      render(t, EditPage(shell(), Edit{Job: j, Input: evil, Problem: &jobs.Problem{Title: evil, Detail: evil}})),
		"error":     render(t, ErrorPage(shell(), 404, evil, evil)),
		"login":     render(t, LoginPage(shell(), Login{Next: evil, Error: evil})),
		"user":      render(t, ErrorPage(Shell{User: evil}, 404, evil, evil)),
	}
	maps.Copy(pages, evilGateway(t, evil))
	for name, page := range pages {
		for _, bad := range []string{"<script>alert", "<img", `"'>`, "javascript:"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %q unescaped", name, bad)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show the text at all", name)
		}
	}
}

// Secrets in a URL do not reach the pages.
func TestTargetHidesSecrets(t *testing.T) {
	got, ok := targetOf(jobs.Job{Kind: "http", Input: jobs.Value(`{"url":"https://user:secret@api.example.com/a%20b?token=secret#secret"}`)})
	if !ok || got.full() != "GET https://api.example.com/a%20b" || got.short() != "GET /a%20b" {
		t.Errorf("got %+v, %v", got, ok)
	}
}

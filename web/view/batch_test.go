package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

func sampleBatches() Batches {
	m := Batches{Origin: "http://127.0.0.1:8080", Next: "5.5"}
	add := func(kind string, state jobs.State, data string) {
		n := 40 - len(m.Jobs)
		j := jobs.Job{N: uint64(n), ID: sampleID(n), Kind: kind, Queue: kind, State: state, CreatedAt: ago(time.Minute), StartedAt: ago(50 * time.Second), Timeout: time.Hour, Attempt: 1, MaxAttempts: 3}
		if data != "" {
			j.Progress = &jobs.Progress{Data: jobs.Value(data)}
		}
		if state.Final() {
			j.FinishedAt = ago(20 * time.Second)
		}
		m.Jobs = append(m.Jobs, j)
	}
	add("batch", jobs.Running, `{"completed":700,"failed":12,"total":1000}`)
	add("fanout", jobs.Running, `{"targets":{"a":{"state":"succeeded"},"b":{"state":"retrying"},"c":{"state":"failed"}},"completed":2,"total":3,"policy":"quorum:2"}`)
	add("fanout", jobs.Succeeded, `{"targets":{"a":{"state":"succeeded"},"b":{"state":"cancelled"}},"completed":1,"total":2,"policy":"any"}`)
	add("batch", jobs.Failed, "")
	m.Jobs[3].Reason, m.Jobs[3].StartedAt = jobs.Expired, time.Time{}
	return m
}

func sampleBatchPage() Batch {
	job := jobs.Job{ID: sampleID(30), Kind: "batch", Queue: "batch", State: jobs.Running, CreatedAt: ago(9 * time.Second), StartedAt: ago(8 * time.Second), Timeout: time.Hour, Attempt: 1, MaxAttempts: 3, RetryOf: sampleID(29)}
	at := func(seconds int) time.Time { return job.StartedAt.Add(time.Duration(seconds) * time.Second) }
	return Batch{At: noon, Job: job, Items: []Item{
		{Name: "customer", Method: "GET", Target: "/api/customers/4711", State: jobs.Succeeded, Status: 200, From: at(0), To: at(1), Took: time.Second},
		{Name: "stock", Method: "GET", Target: "/api/stock?…", State: jobs.Failed, Status: 503, From: at(0), To: at(2), Took: 2 * time.Second, Problem: "Upstream error: it is closed"},
		{Method: "POST", Target: "/v1/jobs", After: []int{0}, State: jobs.Running, Status: 202, Job: sampleID(31), Parted: true, Attempts: 2, From: at(3), Took: -1},
		{Name: "mail", Method: "POST", Target: "/v1/jobs", After: []int{0, 1}, State: jobs.Cancelled, Status: 424, Took: -1, Problem: "Failed dependency"},
		{Name: "invoice", Method: "POST", Target: "/v1/jobs", State: jobs.Failed, Status: 202, Job: sampleID(32), Parted: true, Attempts: 1, From: at(1), To: at(6), Took: 5 * time.Second},
		{Name: "last", Method: "GET", Target: "/x", After: []int{2}, State: jobs.Waiting, Took: -1},
	}}
}

func sampleFanPage() Batch {
	job := jobs.Job{ID: sampleID(33), Kind: "fanout", Queue: "default", State: jobs.Failed, Reason: jobs.Rejected, CreatedAt: ago(9 * time.Second), StartedAt: ago(8 * time.Second), FinishedAt: ago(time.Second),
		Error: &jobs.Problem{Title: "Fan-out failed", Detail: "1 of 3 targets succeeded."}}
	return Batch{At: noon, Job: job, Policy: "quorum:2", BatchPlace: BatchPlace{Item: "2", Show: "failed"}, Items: []Item{
		{Name: "north", Method: "GET", Target: "api.example.com/quote", State: jobs.Succeeded, Status: 200, Attempts: 1, From: ago(8 * time.Second), To: ago(7 * time.Second), Took: time.Second},
		{Name: "south", Method: "GET", Target: "api.example.org/quote", State: jobs.Failed, Status: 503, Attempts: 3, From: ago(8 * time.Second), To: ago(6 * time.Second), Took: 2 * time.Second, Problem: "Upstream error"},
		{Name: "west", Method: "GET", Target: "api.example.net/quote", State: jobs.Cancelled, Took: -1},
	}, Whole: &WholeItem{N: 1, Request: jobs.Value(`{"name":"south","url":"https://api.example.org/quote"}`), Response: jobs.Value(`{"state":"failed","status":503,"body":{"big":12345678901234567890}}`)}}
}

// sampleLarge is as many requests as a batch can have, each with what takes most room.
func sampleLarge() Batch {
	m := Batch{At: noon, Job: jobs.Job{ID: sampleID(34), Kind: "batch", Queue: "batch", State: jobs.Succeeded, StartedAt: ago(time.Minute), FinishedAt: noon}}
	for i := range 1000 {
		it := Item{Name: strings.Repeat("n", 128), Method: "POST", Target: "/v1/jobs/0197f0a2-5c1e-7000-8000-000000a44f09/retry", State: jobs.Succeeded, Status: 202, Job: sampleID(i), Parted: true, From: ago(time.Minute), To: ago(time.Second), Took: 59 * time.Second}
		if i%5 == 0 {
			it.State, it.Problem = jobs.Failed, strings.Repeat("x", 160)
		}
		m.Items = append(m.Items, it)
	}
	return m
}

func sampleRoutesPage() Routes {
	return Routes{Origin: "http://127.0.0.1:8080",
		Config: &Config{File: "/etc/jobhub.yaml", LoadedAt: ago(time.Hour), Errors: []string{"jobhub.yaml:7: routes[1].async must be never, on-request or always", "jobhub.yaml:9: unknown"}, FailedAt: ago(time.Minute)},
		Routes: []Route{
			{Path: "/api/orders/", Upstreams: []Upstream{{URL: "http://127.0.0.1:9000"}}, Async: "on-request", Strip: "/api", Queue: "orders", QueueTimeout: 30 * time.Second, Timeout: 5 * time.Minute, MaxAttempts: 3,
				Traffic: Traffic{Passed: 12_044, Failed: 3, Accepted: 901, Refused: 2, RecentPassed: 800, RecentFailed: 1, P50: 12 * time.Millisecond, P95: 90 * time.Millisecond, Status: 200, Last: ago(time.Second), Good: ago(time.Second)},
				Jobs:    RouteJobs{Looked: 50, P50: 2 * time.Second, P95: 9 * time.Second, Good: ago(time.Minute)}},
			{Path: "/live/", Upstreams: []Upstream{{URL: "http://127.0.0.1:9001"}}, Async: "never", Timeout: 90 * time.Minute, MaxAttempts: 1,
				Traffic: Traffic{Passed: 4, Failed: 4, RecentPassed: 4, RecentFailed: 4, P50: -1, P95: -1, Last: ago(time.Second), Failing: ago(20 * time.Second)}, Jobs: RouteJobs{P50: -1, P95: -1}},
			{Path: "/quotes/", Upstreams: []Upstream{{Name: "north", URL: "http://127.0.0.1:9002", Timeout: 2 * time.Second}, {Name: "south", URL: "http://127.0.0.1:9003"}}, Async: "always", Policy: "quorum:2", Queue: "default",
				QueueTimeout: 30 * time.Second, Timeout: 5 * time.Minute, MaxAttempts: 1, Traffic: Traffic{Accepted: 6, P50: -1, P95: -1}, Jobs: RouteJobs{Looked: 6, Failed: 6, P50: time.Second, P95: time.Second, Failing: ago(30 * time.Second), Why: "1 of 2 targets succeeded"}},
			{Path: "/spare/", Upstreams: []Upstream{{URL: "https://api.example.com/v2/"}}, Queue: "default", QueueTimeout: 30 * time.Second, Timeout: 5 * time.Minute, MaxAttempts: 1, Async: "on-request", Traffic: Traffic{P50: -1, P95: -1}, Jobs: RouteJobs{P50: -1, P95: -1}},
		}}
}

func batchPages(t *testing.T) map[string]string {
	reader := viewerShell()
	reader.Admin = true
	return map[string]string{
		"batches":         render(t, BatchesPage(shell(), sampleBatches())),
		"batches-empty":   render(t, BatchesPage(shell(), Batches{Origin: "http://127.0.0.1:8080"})),
		"batches-none":    render(t, BatchesPage(viewerShell(), Batches{BatchQuery: BatchQuery{Kind: "fanout", States: []jobs.State{jobs.Failed}}})),
		"batches-refused": render(t, BatchesPage(shell(), Batches{Problem: &jobs.Problem{Title: "Malformed query", Detail: "The parameter kind takes batch or fanout."}})),
		"batch":           render(t, BatchPage(shell(), sampleBatchPage())),
		"batch-fanout":    render(t, BatchPage(viewerShell(), sampleFanPage())),
		"batch-empty":     render(t, BatchPage(shell(), Batch{At: noon, Job: jobs.Job{ID: sampleID(30), Kind: "batch", Queue: "batch", State: jobs.Succeeded}})),
		"routes":          render(t, RoutesPage(operatorShell(), sampleRoutesPage())),
		"routes-empty":    render(t, RoutesPage(operatorShell(), Routes{Origin: "http://127.0.0.1:8080"})),
		"routes-reader":   render(t, RoutesPage(reader, Routes{Origin: "http://127.0.0.1:8080", Config: &Config{LoadedAt: ago(time.Hour)}})),
	}
}

func TestGoldenOfBatches(t *testing.T) {
	for name, got := range batchPages(t) {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

// The page of a batch with all the requests that it can have stays small.
func TestLargeBatchIsSmall(t *testing.T) {
	m := sampleLarge()
	if page := render(t, BatchPage(operatorShell(), m)); len(page) > 100_000 {
		t.Errorf("%d bytes", len(page))
	}
	if all := BatchFragments(m); len(all) != 1004 {
		t.Errorf("%d fragments", len(all))
	}
	for i, want := range map[int]string{0: "1 failed 202", 1: "2 succeeded"} {
		if html := render(t, cell(i, &m.Items[i], false)); !strings.Contains(html, `title="`+want+`"`) || len(html) > 90 {
			t.Errorf("a cell is %s", html)
		}
	}
}

func TestBatchTable(t *testing.T) {
	for _, c := range []struct {
		show string
		from int
		want string
	}{{"", 0, "[0 1 2 3 4 5] 6"}, {"failed", 0, "[1 3 4] 3"}, {"open", 0, "[2 5] 2"}, {"", 4, "[4 5] 6"}, {"", 900, "[] 6"}} {
		m := sampleBatchPage()
		m.Show, m.From = c.show, c.from
		shown, all := m.rows()
		if got := fmt.Sprint(shown, " ", all); got != c.want {
			t.Errorf("%s from %d: %s, want %s", c.show, c.from, got, c.want)
		}
	}
	if got := fmt.Sprint(sampleBatchPage().Again(), sampleFanPage().Again()); got != "[1 3] [1 2]" {
		t.Errorf("again: %s", got)
	}
	enough := sampleFanPage()
	enough.Job.State = jobs.Succeeded
	if got := fmt.Sprint(enough.Again()); got != "[1]" {
		t.Errorf("of a fan-out that had enough, again: %s", got)
	}
	from, length := sampleBatchPage().scale()
	if x, width, ok := sampleBatchPage().bar(4, from, length); !ok || length != 8*time.Second || x != 125 || width != 625 {
		t.Errorf("a bar from %v for %v of %s", x, width, length)
	}
}

func TestWent(t *testing.T) {
	for data, want := range map[string]string{
		`{"completed":7,"failed":2,"total":9}`:  "5 done, 2 failed, 2 pending",
		`{"completed":7,"failed":8,"total":9}`:  "none",
		`{"completed":7,"failed":-1,"total":9}`: "none",
		`{"targets":{"a":{"state":"succeeded"},"b":{"state":"failed"},"c":{"state":"cancelled"},"d":{"state":"running"}}}`: "1 done, 1 failed, 1 skipped, 1 pending",
		`"x"`: "none", `{}`: "none", ``: "none",
	} {
		if got := tallyOf(jobs.Job{State: jobs.Running, Progress: &jobs.Progress{Data: jobs.Value(data)}}).text(); got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
	over := tallyOf(jobs.Job{State: jobs.Cancelled, Progress: &jobs.Progress{Data: jobs.Value(`{"completed":1,"failed":0,"total":3}`)}})
	if over.text() != "1 done, 2 skipped" {
		t.Error(over.text())
	}
}

func TestFailing(t *testing.T) {
	for name, c := range map[string]struct {
		t    Traffic
		j    RouteJobs
		want time.Time
	}{
		"nothing known":         {},
		"both well":             {Traffic{Good: ago(2)}, RouteJobs{Good: ago(1)}, time.Time{}},
		"passing fails":         {Traffic{Good: ago(9), Failing: ago(5)}, RouteJobs{Good: ago(7)}, ago(5)},
		"jobs went well since":  {Traffic{Failing: ago(5)}, RouteJobs{Good: ago(1)}, time.Time{}},
		"jobs fail, for longer": {Traffic{Failing: ago(5)}, RouteJobs{Failing: ago(8)}, ago(8)},
	} {
		if got, _ := Failing(c.t, c.j); !got.Equal(c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{30 * time.Second: "30s", 5 * time.Minute: "5m", 90 * time.Minute: "1h30m", 2 * time.Hour: "2h", 90 * time.Second: "1m30s", 0: "0s", 10 * time.Second: "10s", 1500 * time.Millisecond: "1.5s"} {
		if got := short(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

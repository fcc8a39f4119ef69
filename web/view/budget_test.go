package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

// A page is there at once, also on a slow line: with ten queues, all charts full and
// three things that need attention the overview has at most 25 KB.
func TestOverviewIsSmall(t *testing.T) {
	o := sampleOverview()
	o.History, o.Times = series(180, 13.4, 0.2), sampleTimes()
	o.Queues = nil
	for i := range 10 {
		q := queue(fmt.Sprintf("queue-%d", i), 604, 8, 12_044, 9, 14*time.Second, &Rates{4.9, 3.2, 0.02})
		q.Settings = jobs.QueueSettings{Concurrency: 8, Capacity: 720}
		o.Queues = append(o.Queues, q)
	}
	if n := len(render(t, OverviewPage(operatorShell(), o))); n > 25_000 {
		t.Errorf("the page has %d bytes", n)
	}
}

// The overview of a large hub is small: it shows only the busiest queues.
func TestOverviewOfAnySize(t *testing.T) {
	long := strings.Repeat("name-of-", 8)
	o := Overview{Slots: 64}
	for i := range 200 {
		o.Queues = append(o.Queues, queue(fmt.Sprintf("%s%03d", long[:61], i), 5_000_000, 0, 0, 1_000_000_000, time.Hour, nil))
	}
	page := render(t, OverviewPage(shell(), o))
	for _, text := range []string{"the 12 busiest of 200", "200,000,000,000", "1,000,000,000", "100 % failure rate", long[:61] + "000"} {
		if !strings.Contains(page, text) {
			t.Errorf("it does not show %q", text)
		}
	}
	if len(page) > 30_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// The screen does not jump: what a queue does this moment hardly matters, what it has done
// lately does.
func TestBusiestStay(t *testing.T) {
	lately := func(name string, running int64, ended int) Queue {
		q := queue(name, 0, running, 0, 0, 0, nil)
		q.Series = Series{Step: 5 * time.Second, Buckets: []Bucket{{Succeeded: ended}}}
		return q
	}
	for _, running := range []int64{0, 3} {
		o := Overview{Queues: []Queue{lately("calm", running, 8), lately("even", 0, 500), lately("stuck", 90, 0), lately("swift", 3-running, 300)}}
		var names []string
		for _, q := range o.busiest(3) {
			names = append(names, q.Name)
		}
		if got := strings.Join(names, " "); got != "even stuck swift" {
			t.Errorf("with %d running: %s", running, got)
		}
		if got := leastBusy(o.busiest(3)); got != "stuck" {
			t.Errorf("with %d running, a low screen leaves %s out", running, got)
		}
	}
}

// What a batch says of its requests has a page of its own, and is no progress to read.
func TestProgressOfBatch(t *testing.T) {
	percent := 50.0
	m := JobModel{Job: jobs.Job{Kind: "batch", Progress: &jobs.Progress{Percent: &percent, Message: "1 of 2", Data: jobs.Value(`{"completed":1,"total":2,"times":[[1,2],[3,-1]]}`)}}}
	if page := render(t, jobProgress(m)); !strings.Contains(page, "1 of 2") || strings.Contains(page, "times") {
		t.Errorf("a batch shows %s", page)
	}
	m.Job.Kind = "import"
	if page := render(t, jobProgress(m)); !strings.Contains(page, "times") {
		t.Errorf("another job shows %s", page)
	}
}

func TestGauges(t *testing.T) {
	for _, c := range []struct {
		n, most int64
		want    filling
	}{{0, 10, filling{"0", "", "0 of 10"}}, {1, 1000, filling{"2", "", "1 of 1,000"}}, {75, 100, filling{"75", "hot", "75 of 100"}}, {12, 10, filling{"100", "full", "12 of 10"}}, {0, 0, filling{"0", "full", "0 of 0"}}} {
		if got := filled(c.n, c.most); got != c.want {
			t.Errorf("%d of %d: %+v, want %+v", c.n, c.most, got, c.want)
		}
	}
	o := sampleOverview()
	if _, known := o.busy(); known {
		t.Error("slots that are not known are shown")
	}
	if o.Slots = 64; o.total(jobs.Running) != 67 {
		t.Fatal("the sample changed")
	}
	if _, known := o.busy(); known {
		t.Error("more than all slots are taken")
	}
}

// A line needs a minute to be one, and then fills its box.
func TestTrace(t *testing.T) {
	s := Series{End: noon, Step: 5 * time.Second, Buckets: make([]Bucket, 12)}
	if line, _ := s.trace(ofIn, 84, 26); line != "" {
		t.Errorf("after a minute: %s", line)
	}
	s.Buckets = make([]Bucket, 24)
	s.Buckets[10].In = 4
	line, area := s.trace(ofIn, 84, 26)
	if !strings.HasPrefix(line, "M0 25L") || !strings.Contains(line, " 1L") || !strings.HasSuffix(line, "L84 25") || !strings.HasSuffix(area, "V26H0Z") {
		t.Errorf("got %s and %s", line, area)
	}
}

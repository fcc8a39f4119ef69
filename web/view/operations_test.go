package view

import (
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

func sampleTimes() Times {
	t := Times{End: noon, Step: 30 * time.Second}
	for i := range 30 {
		q := Quantiles{-1, -1, -1, -1}
		if i >= 6 && i != 17 { // nothing known at first, and once nothing happened
			ms := time.Duration(1+(i*7)%11) * time.Millisecond
			q = Quantiles{2 * ms, 12 * ms, 40 * ms, 310 * ms}
		}
		t.Points = append(t.Points, q)
	}
	return t
}

func sampleQueue() QueueModel {
	q := queue("reports", 604, 8, 12_044, 9, 14*time.Second, &Rates{4.9, 3.2, 0.02})
	q.Settings = jobs.QueueSettings{Concurrency: 8, Capacity: 720}
	return QueueModel{Queue: q, Kinds: []string{"fanout", "http"}, Workers: sampleWorkers().Workers[:1], Failures: []jobs.Job{sampleFailed().Job}, Watchers: 3}
}

func samplePaused() QueueModel {
	m := sampleQueue()
	m.Queue.Paused, m.Failures, m.Workers, m.Kinds, m.Watchers = true, nil, nil, nil, 0
	m.Queue.Settings.Paused = &jobs.Pause{At: ago(25 * time.Minute), By: "local", Reason: "the relay moves"}
	return m
}

func sampleWorkers() WorkersModel {
	worker := func(id, name string, d engine.Directive, queues []string, running int) Worker {
		w := Worker{WorkerInfo: engine.WorkerInfo{WorkerSpec: engine.WorkerSpec{Name: name, Kinds: []string{"invoice.render", "report.monthly"}, Queues: queues, Slots: 8}, ID: id, Seen: ago(3 * time.Second), Directive: d}}
		for i := range running {
			w.Running = append(w.Running, sampleID(i))
		}
		return w
	}
	return WorkersModel{At: noon, Origin: "http://127.0.0.1:8080", Kinds: []string{"fanout", "http"}, Slots: 64, Busy: 12, Lease: 30 * time.Second,
		Workers: []Worker{worker("wk_a", "printer-1", engine.DirectiveRun, []string{"reports"}, 6), worker("wk_b", "printer-2", engine.DirectiveQuiet, nil, 1), worker("wk_c", "", engine.DirectiveTerminate, nil, 0)}}
}

func sampleHub() HubModel {
	m := HubModel{Seq: 1842, Events: 1842, Sent: 90_210, Merged: 311, Gaps: 1, Open: 231,
		Resumes: []Tally{{"expired", 1}, {"recovered", 214}}, Closes: []Tally{{"1001", 40}, {"4001", 2}}, Opened: []Tally{{"sse", 3}, {"ws", 445}},
		Conns: []Connection{{"ABCDEFGHIJ", "192.0.2.7:51000", "wallboard", ago(time.Hour), 1200, 9 * time.Second, "the dashboard"}, {"KLMNOPQRST", "192.0.2.8:51001", "local", ago(time.Minute), 1842, 0, "all"}}}
	for i, n := range []int64{0, 0, 40, 900, 300, 0, 12, 1} {
		m.Delays = append(m.Delays, Delay{50 * time.Microsecond << i, n})
	}
	return m
}

func operatorShell() Shell {
	s := shell()
	s.Operator, s.Admin = true, true
	return s
}

// operationPages are all pages for operators in their states.
func operationPages(t *testing.T) map[string]string {
	values := map[string]string{"concurrency": "8", "capacity": "720"}
	timed := sampleOverview()
	timed.Times = sampleTimes()
	return map[string]string{
		"queues":        render(t, QueuesPage(operatorShell(), QueuesModel{Queues: sampleOverview().Queues})),
		"queues-empty":  render(t, QueuesPage(viewerShell(), QueuesModel{Origin: "http://127.0.0.1:8080"})),
		"queue":         render(t, QueuePage(operatorShell(), sampleQueue(), QueueForm{Values: values})),
		"queue-paused":  render(t, QueuePage(viewerShell(), samplePaused(), QueueForm{Values: values})),
		"queue-refused": render(t, QueuePage(operatorShell(), sampleQueue(), QueueForm{Values: map[string]string{"rate": "fast"}, Errors: map[string]string{"rate": "must be like 10/s"}})),
		"workers":       render(t, WorkersPage(operatorShell(), sampleWorkers())),
		"workers-empty": render(t, WorkersPage(viewerShell(), WorkersModel{At: noon, Origin: "http://127.0.0.1:8080"})),
		"hub":           render(t, HubPage(operatorShell(), sampleHub())),
		"hub-empty":     render(t, HubPage(operatorShell(), HubModel{})),
		"wall":          render(t, WallPage(shell(), sampleOverview())),
		"wall-empty":    render(t, WallPage(shell(), Overview{Origin: "http://127.0.0.1:8080"})),
		"times":         render(t, overviewChart(timed)),
	}
}

func TestGoldenOfOperations(t *testing.T) {
	for name, got := range operationPages(t) {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

// Users who may not change anything see that, and see no forms.
func TestReadOnlyOperations(t *testing.T) {
	pages := operationPages(t)
	for _, text := range []string{"<fieldset disabled", "This needs a key with the role operator", "read-only"} {
		if !strings.Contains(pages["queue-paused"], text) {
			t.Errorf("a viewer's page of a queue does not hold %q", text)
		}
		if strings.Contains(pages["queue"], text) {
			t.Errorf("an operator's page of a queue holds %q", text)
		}
	}
	if strings.Contains(pages["workers-empty"], `href="/hub"`) || !strings.Contains(pages["workers"], `href="/hub"`) {
		t.Error("the way to the hub's page is for admins only")
	}
	if strings.Contains(pages["queue-paused"], "data-operator") || !strings.Contains(pages["queue"], "data-operator") {
		t.Error("data-operator, by which buttons are shown, is for operators")
	}
}

func TestTimesChart(t *testing.T) {
	if c := (Times{Points: []Quantiles{{-1, -1, -1, -1}}}).chart(time.Minute); c.Known {
		t.Error("a chart of nothing")
	}
	c := Times{Step: time.Minute, Points: []Quantiles{{-1, -1, -1, -1}, {1e6, 1e6, 1e9, 1e9}, {1e6, 1e6, 1e8, 1e8}}}.chart(2 * time.Minute)
	if c.Wait != "M0 200H450V200H900" || c.Run != "M0 0H450V66.7H900" || c.Top != time.Second {
		t.Errorf("%+v", c)
	}
}

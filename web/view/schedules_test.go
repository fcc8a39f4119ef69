package view

import (
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
)

func sampleSchedule(name, cron string, states ...jobs.State) Schedule {
	it := Schedule{Schedule: schedule.Schedule{Name: name, Cron: cron, TimeZone: "Europe/Berlin", NextAt: noon.Add(14 * time.Hour),
		Job: jobs.Value(`{"kind":"report.daily","queue":"reports","input":{"n":1.10}}`)}, Kind: "report.daily", Queue: "reports"}
	for i, state := range states {
		j := jobs.Job{ID: sampleID(i), Kind: it.Kind, Queue: it.Queue, State: state, CreatedAt: ago(time.Duration(i) * time.Hour)}
		if state != jobs.Queued {
			j.StartedAt = j.CreatedAt.Add(time.Second)
		}
		if state.Final() {
			j.FinishedAt = j.StartedAt.Add(time.Duration(1+i*i) * 150 * time.Millisecond)
		}
		if state == jobs.Failed {
			j.Error = &jobs.Problem{Title: "Tired", Detail: "It was too much.", Code: "tired"}
		}
		it.Runs = append(it.Runs, j)
	}
	if len(it.Runs) > 0 {
		it.LastJob, it.LastAt = it.Runs[0].ID, it.Runs[0].CreatedAt
	}
	return it
}

func sampleSchedules() SchedulesModel {
	good := sampleSchedule("nightly", "0 3 * * *", jobs.Running, jobs.Succeeded, jobs.Failed, jobs.Succeeded, jobs.Cancelled, jobs.Queued)
	paused := sampleSchedule("month-end", "0 12 L * *")
	paused.Paused, paused.NextAt, paused.OrderingKey = true, time.Time{}, "one"
	refused := sampleSchedule("refused", "*/15 9-16 * * mon-fri")
	refused.LastError = &jobs.Problem{Title: "Queue full", Detail: "The queue holds as many waiting jobs as its capacity allows.", Code: jobs.QueueFull}
	gone := sampleSchedule("yearly", "@yearly")
	gone.LastAt = ago(3000 * time.Hour)
	return SchedulesModel{Origin: "http://127.0.0.1:8080", All: 4, List: []Schedule{paused, good, refused, gone}}
}

func sampleOne(it Schedule) ScheduleModel {
	return ScheduleModel{At: noon, It: it, Ticks: it.Ticks(noon, 5)}
}

func sampleCallbacks() CallbacksModel {
	delivery := func(n int, state jobs.State, result string, err *jobs.Problem) jobs.Job {
		return jobs.Job{ID: sampleID(n), Parent: sampleID(40 + n), Kind: jobs.KindWebhook, Queue: jobs.CallbackQueue, State: state, Tags: []string{"job.succeeded"}, Attempt: n, MaxAttempts: 7,
			Callbacks: []jobs.Callback{{URL: "https://u:hunter1@hooks.example.com/jobs?token=hunter2"}}, Result: jobs.Value(result), Error: err,
			CreatedAt: ago(time.Minute), StartedAt: ago(50 * time.Second), FinishedAt: ago(49 * time.Second), ScheduledAt: noon.Add(5 * time.Minute)}
	}
	m := CallbacksModel{At: noon, Origin: "http://127.0.0.1:8080", Next: "5.5", Deliveries: []jobs.Job{
		delivery(1, jobs.Succeeded, `{"status":204,"body":"","ms":38}`, nil),
		delivery(2, jobs.Retrying, `{"status":503,"body":"","ms":1}`, &jobs.Problem{Title: "Delivery failed", Detail: "The receiver answered 503 Service Unavailable."}),
		delivery(3, jobs.Failed, "", &jobs.Problem{Title: "Callback disabled", Detail: "The receiver answered 410 Gone."}),
		{ID: sampleID(9), Kind: jobs.KindWebhook, State: jobs.Queued, CreatedAt: noon},
	}, Callbacks: []Callback{{ID: "c1", Target: "gone.example.com/hook", Queue: "reports", Events: []string{"job.failed"}, Signed: true, Disabled: true, Since: ago(time.Hour)},
		{ID: "c2", Target: "own.example.com", Job: sampleID(3), Disabled: true}, {ID: "c3", Target: "hooks.example.com/jobs", Queue: "orders"}},
		Hosts: Hosts{List: []Host{{"hooks.example.com", Ended{120, 0}, Ended{1400, 3}, 2, 0}, {"gone.example.com", Ended{0, 1}, Ended{0, 1}, 0, 5}}, More: 3, Looked: 1000, Cut: true}}
	m.Counts[jobs.Succeeded], m.Counts[jobs.Retrying], m.Counts[jobs.Failed], m.Counts[jobs.Queued] = 1400, 1, 4, 1
	return m
}

// manyCallbacks are so many that those in order are folded away.
func manyCallbacks() CallbacksModel {
	m := sampleCallbacks()
	for range unfolded {
		m.Callbacks = append(m.Callbacks, m.Callbacks[2])
	}
	m.States, m.Cursor = []jobs.State{jobs.Failed}, "6.6"
	return m
}

// workPages are the pages of schedules and callbacks in their states.
func workPages(t *testing.T) map[string]string {
	all := sampleSchedules()
	wrong := Form{Values: map[string]string{"name": "No", "cron": "soon"}, Errors: map[string]string{"name": "must be 1 to 64 of a-z", "cron": "must have 5 fields"}}
	times := Form{Values: map[string]string{"cron": "0 3 * * *", "time_zone": "Europe/Berlin"}}
	return map[string]string{
		"schedules":         render(t, SchedulesPage(operatorShell(), all, Form{})),
		"schedules-empty":   render(t, SchedulesPage(operatorShell(), SchedulesModel{Origin: "http://127.0.0.1:8080"}, Form{})),
		"schedules-viewer":  render(t, SchedulesPage(viewerShell(), all, Form{})),
		"schedules-refused": render(t, SchedulesPage(operatorShell(), SchedulesModel{All: 60, After: "a", Next: "b", List: all.List[:1]}, wrong)),
		"schedule":          render(t, SchedulePage(operatorShell(), sampleOne(all.List[1]), times)),
		"schedule-paused":   render(t, SchedulePage(viewerShell(), sampleOne(all.List[0]), times)),
		"schedule-refused":  render(t, SchedulePage(operatorShell(), sampleOne(all.List[2]), Form{Wrong: "The job is too large."})),
		"callbacks":         render(t, CallbacksPage(operatorShell(), sampleCallbacks())),
		"callbacks-empty":   render(t, CallbacksPage(operatorShell(), CallbacksModel{Origin: "http://127.0.0.1:8080"})),
		"callbacks-viewer":  render(t, CallbacksPage(viewerShell(), manyCallbacks())),
		"job-delivery":      strings.Join([]string{render(t, jobHead(sampleDelivery())), render(t, jobData(sampleDelivery()))}, "\n"),
	}
}

func sampleDelivery() JobModel {
	j := sampleCallbacks().Deliveries[0]
	j.Input = jobs.Value(`{"id":"msg_1","url":"https://u:hunter1@hooks.example.com/jobs?token=hunter2","body":{"type":"job.succeeded","timestamp":"2026-03-14T12:00:00.000Z","data":{"id":"x","n":1.10,"callbacks":[{"url":"https://hooks.example.com/jobs?token=hunter2"}]}}}`)
	return JobModel{Job: j, At: noon, Origin: "http://127.0.0.1:8080"}
}

func TestGoldenOfSchedulesAndCallbacks(t *testing.T) {
	for name, got := range workPages(t) {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
		if strings.Contains(got, "hunter") {
			t.Errorf("%s holds a secret", name)
		}
	}
}

func TestReadOnlySchedules(t *testing.T) {
	pages := workPages(t)
	for _, name := range []string{"schedules-viewer", "schedule-paused"} {
		for _, text := range []string{"<fieldset disabled", "This needs a key with the role operator", "read-only"} {
			if !strings.Contains(pages[name], text) {
				t.Errorf("%s does not hold %q", name, text)
			}
		}
	}
	if strings.Contains(pages["schedule"], "role operator") || strings.Contains(pages["callbacks-viewer"], "data-operator") {
		t.Error("rights are mixed up")
	}
}

func TestHostPath(t *testing.T) {
	for address, want := range map[string]string{
		"https://user:secret@a.example:8443/b%20c?token=secret#secret": "a.example:8443/b%20c",
		"https://a.example/":     "a.example",
		"https://a.example":      "a.example",
		"mailto:x":               "a URL that can't be read",
		"":                       "a URL that can't be read",
		"https://a.example/\x00": "a URL that can't be read",
	} {
		if got := HostPath(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// Bars of successful runs are above the line, those of failed runs below it, so the shape shows the outcome, too.
func TestRunBars(t *testing.T) {
	bars := sampleSchedules().List[1].bars()
	if len(bars) != 6 || bars[5].State != jobs.Running || bars[5].X+barWidth != runsWidth {
		t.Fatalf("%+v", bars)
	}
	for _, b := range bars {
		switch below := b.Y > barsLine; {
		case below != (b.State == jobs.Failed), b.Y < 0, b.Y+b.H > barsTall, b.H <= 0:
			t.Errorf("%+v", b)
		}
	}
	if got, want := sampleSchedules().List[1].history(), "the last 6 runs: 1 queued, 1 running, 2 succeeded, 1 failed, 1 cancelled; the newest running"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func evilSchedule(evil, evilJSON string, runs ...jobs.Job) Schedule {
	return Schedule{Schedule: schedule.Schedule{Name: evil, Cron: evil, TimeZone: evil, Job: jobs.Value(`{"kind":"k","input":{` + evilJSON + `:` + evilJSON + `}}`), LastError: &jobs.Problem{Title: evil, Detail: evil}},
		Kind: evil, Queue: evil, OrderingKey: evil, Runs: runs}
}

func evilDelivery(j jobs.Job, evil, evilJSON string) jobs.Job {
	j.Kind, j.Response, j.Callbacks = jobs.KindWebhook, nil, []jobs.Callback{{URL: "https://x/" + evil}}
	j.Input = jobs.Value(`{"id":` + evilJSON + `,"body":{` + evilJSON + `:` + evilJSON + `,"callbacks":[{"url":` + evilJSON + `}]}}`)
	j.Result = jobs.Value(`{"status":200,"body":` + evilJSON + `}`)
	return j
}

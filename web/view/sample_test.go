package view

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"

	"github.com/google/uuid"
)

// A fixed day in the life of a hub, for golden files.

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func sampleID(n int) jobs.ID {
	return uuid.MustParse(fmt.Sprintf("0197f0a2-5c1e-7000-8000-%012x", 0xa41c00+n*4099))
}

func shell() Shell { return Shell{Epoch: "k3f", Seq: 1842, At: noon, Version: "0.1.0"} }

func viewerShell() Shell {
	s := shell()
	s.User, s.ReadOnly = "wallboard", true
	return s
}

func ptr[T any](v T) *T { return &v }

func queue(name string, queued, running, done, failed int64, oldest time.Duration, r *Rates) Queue {
	q := Queue{QueueInfo: jobs.QueueInfo{Name: name}, Rates: r}
	q.Counts[jobs.Queued], q.Counts[jobs.Running], q.Counts[jobs.Succeeded], q.Counts[jobs.Failed] = queued, running, done, failed
	if oldest > 0 {
		q.OldestAt = ago(oldest)
	}
	if r != nil {
		q.Series = series(60, r.Out, r.Failed)
	}
	return q
}

// series wanders around a rate in a way that is the same every time.
func series(n int, perSecond, failed float64) Series {
	s := Series{End: noon, Step: 5 * time.Second}
	for i := range n {
		wave := 1 + 0.35*float64((i*7)%11-5)/5 + 0.2*float64(i%37)/37
		b := Bucket{Succeeded: int(5 * perSecond * wave)}
		if (i*13)%17 < 3 {
			b.Failed = int(5*failed*5 + 0.9)
		}
		s.Buckets = append(s.Buckets, b)
	}
	return s
}

func sampleOverview() Overview {
	reports := queue("reports", 604, 8, 12_044, 9, 14*time.Second, &Rates{4.9, 3.2, 0.02})
	reports.Counts[jobs.Scheduled] = 12
	reports.Counts[jobs.Retrying] = 17
	reports.Settings = jobs.QueueSettings{Concurrency: 8, Capacity: 720}
	mail := queue("mail", 40, 0, 5_120, 0, 22*time.Minute, &Rates{})
	mail.Paused = true
	mail.Settings.Paused = &jobs.Pause{At: ago(25 * time.Minute), By: "local", Reason: "the relay moves"}
	orders := queue("orders", 0, 3, 901, 22, 0, &Rates{0.6, 0.6, 0.2})
	orders.Counts[jobs.Cancelled] = 4
	return Overview{
		Origin: "http://127.0.0.1:8080",
		Queues: []Queue{
			queue("default", 212, 32, 30_145, 0, 2*time.Second, &Rates{8.1, 8.4, 0}), mail, orders, reports,
			queue("thumbnails", 26, 24, 18_310, 0, time.Second, nil),
		},
		Throughput: series(180, 13.4, 0.2),
		Now: []jobs.Job{
			{ID: sampleID(9), Kind: "invoice.render", State: jobs.Running, CreatedAt: ago(13 * time.Second), StartedAt: ago(12 * time.Second), Progress: &jobs.Progress{Percent: ptr(62.0), Message: "page 31 of 50"}},
			{ID: sampleID(8), Kind: "http", State: jobs.Running, CreatedAt: ago(time.Second), StartedAt: ago(800 * time.Millisecond), Input: jobs.Value(`{"method":"post","url":"https://user:secret@api.example.com/orders/4711?token=secret"}`)},
			{ID: sampleID(7), Kind: "thumbnail", State: jobs.Queued, CreatedAt: ago(4 * time.Second)},
			{ID: sampleID(6), Kind: "sync.crm", State: jobs.Retrying, Attempt: 2, MaxAttempts: 5, CreatedAt: ago(40 * time.Second), ScheduledAt: noon.Add(3 * time.Second), Error: &jobs.Problem{Title: "Too many requests", Detail: "crm.example.com answered 429 and asked for 3 s"}},
			{ID: sampleID(5), Kind: "thumbnail", State: jobs.Succeeded, CreatedAt: ago(50 * time.Second), StartedAt: ago(49 * time.Second), FinishedAt: ago(48959 * time.Millisecond)},
			{ID: sampleID(4), Kind: "report.monthly", State: jobs.Scheduled, CreatedAt: ago(time.Minute), ScheduledAt: noon.Add(12 * time.Hour)},
			{ID: sampleID(3), Kind: "invoice.render", State: jobs.Failed, Reason: jobs.Exhausted, CreatedAt: ago(2 * time.Minute), StartedAt: ago(100 * time.Second), FinishedAt: ago(91 * time.Second), Error: &jobs.Problem{Title: "Bad gateway", Detail: "502 from billing.internal"}},
			{ID: sampleID(2), Kind: "export", State: jobs.Cancelled, Reason: jobs.ByUser, CreatedAt: ago(3 * time.Minute), FinishedAt: ago(2 * time.Minute)},
			{ID: sampleID(1), Kind: "merge", State: jobs.Waiting, CreatedAt: ago(4 * time.Minute)},
		},
		Attention: []Attention{
			{Level: Failure, Text: "orders fails: 22 of 923", Detail: "the newest: 502 from billing.internal", Link: "/jobs/" + sampleID(3).String()},
			{Level: Warning, Text: "reports grows: in 4.9/s, out 3.2/s", Detail: "604 wait, the oldest for 14 s"},
			{Level: Notice, Text: "mail: paused, 40 wait", Detail: "by local: the relay moves", Since: ago(25 * time.Minute)},
		},
	}
}

func event(seq uint64, t jobs.EventType, when time.Time, data string) *jobs.Event {
	return &jobs.Event{Type: t, Seq: seq, At: when, Data: jobs.Value(data)}
}

// wayOf is what is known of a job from these events.
func wayOf(cut bool, events ...*jobs.Event) Way {
	w := Way{Cut: cut}
	w.Add(slices.Values(events))
	return w
}

// sampleFailed is a job that failed three times.
func sampleFailed() JobModel {
	problem := `{"title":"Bad gateway","status":502,"detail":"billing.internal answered 502: upstream connect error","code":"upstream"}`
	s := func(seconds float64) time.Time { return ago(90 * time.Second).Add(time.Duration(seconds * 1e9)) }
	return JobModel{
		At: noon, Origin: "http://127.0.0.1:8080",
		Job: jobs.Job{
			ID: sampleID(3), Kind: "http", Queue: "orders", State: jobs.Failed, Reason: jobs.Exhausted, Priority: 10, OrderingKey: "customer:4711", FairKey: "acme", Tags: []string{"invoice", "kunde:4711"},
			Input:   jobs.Value(`{"method":"POST","url":"https://billing.internal/invoices","headers":{"accept":"application/json"},"body":{"order":12345678901234567890,"net":19.990,"lines":[{"sku":"A-1","n":2},{"sku":"B-9","n":1}],"note":null,"express":true}}`),
			Error:   &jobs.Problem{Title: "Bad gateway", Detail: "billing.internal answered 502: upstream connect error", Code: "upstream"},
			Attempt: 3, MaxAttempts: 3, CreatedAt: s(0), StartedAt: s(28), FinishedAt: s(37), RetainedUntil: s(37).Add(7 * 24 * time.Hour),
			Response: &jobs.Response{Status: 502, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Server": {"envoy"}, "X-Request-Id": {"8f3a"}}, Body: []byte("upstream connect error or disconnect/reset before headers")},
		},
		Way: wayOf(false,
			event(11, jobs.JobQueued, s(0), `{"state":"queued"}`),
			event(12, jobs.JobStarted, s(1.2), `{"state":"running","attempt":1}`),
			event(13, jobs.JobRetrying, s(6.4), `{"state":"retrying","error":`+problem+`}`),
			event(14, jobs.JobQueued, s(10.4), `{"state":"queued"}`),
			event(15, jobs.JobStarted, s(10.5), `{"state":"running","attempt":2}`),
			event(16, jobs.JobRetrying, s(19.8), `{"state":"retrying","error":`+problem+`}`),
			event(17, jobs.JobQueued, s(27.9), `{"state":"queued"}`),
			event(18, jobs.JobStarted, s(28), `{"state":"running","attempt":3}`),
			event(19, jobs.JobFailed, s(37), `{"state":"failed","reason":"exhausted","error":`+problem+`}`)),
		Children: []jobs.Job{
			{ID: sampleID(8), Kind: jobs.KindWebhook, Queue: jobs.CallbackQueue, State: jobs.Retrying, Attempt: 1, MaxAttempts: 7, Callbacks: []jobs.Callback{{URL: "https://shop.example/hooks?<b>", Secrets: []jobs.Secret{"whsec_hidden"}}},
				Error: &jobs.Problem{Title: "Delivery failed", Code: "upstream_status"}},
			{ID: sampleID(7), Kind: "shell", Queue: "orders", State: jobs.Succeeded, Attempt: 1, MaxAttempts: 5, FinishedAt: s(36)},
		},
		MoreChildren: true,
	}
}

// sampleWaiting is a job that others keep from starting.
func sampleWaiting() JobModel {
	return JobModel{
		At: noon, Origin: "http://127.0.0.1:8080", Way: Way{Cut: true},
		Job: jobs.Job{ID: sampleID(1), Kind: "merge", Queue: "reports", State: jobs.Waiting, MaxAttempts: 5, CreatedAt: ago(4 * time.Minute), Input: jobs.Value(`{}`), Checkpoint: jobs.Value(`{"secret":1}`)},
	}
}

// sampleRunning is a job at work, with more output than is shown.
func sampleRunning() JobModel {
	m := JobModel{
		At: noon, Origin: "http://127.0.0.1:8080",
		Job: jobs.Job{
			ID: sampleID(9), Kind: "invoice.render", Queue: "reports", State: jobs.Running, Attempt: 2, MaxAttempts: 5, CreatedAt: ago(40 * time.Second), StartedAt: ago(30 * time.Second),
			Input:    jobs.Value(`{"customer":"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft","pages":50,"empty":{},"none":[]}`),
			Progress: &jobs.Progress{Percent: ptr(62.4), Message: "page 31 of 50", Data: jobs.Value(`{"page":31,"bytes":9007199254740993}`)},
		},
	}
	events := []*jobs.Event{
		event(1, jobs.JobQueued, ago(40*time.Second), `{"state":"queued"}`),
		event(2, jobs.JobStarted, ago(38*time.Second), `{"state":"running","attempt":1}`),
		event(3, jobs.JobOutput, ago(37*time.Second), `{"attempt":1,"off":0,"stream":"stdout","text":"first attempt\n"}`),
		event(4, jobs.JobQueued, ago(32*time.Second), `{"state":"queued"}`),
		event(5, jobs.JobStarted, ago(30*time.Second), `{"state":"running","attempt":2}`),
	}
	for i := range 240 {
		events = append(events, event(uint64(6+i), jobs.JobOutput, ago(30*time.Second).Add(time.Duration(i)*110*time.Millisecond),
			fmt.Sprintf(`{"attempt":2,"off":%d,"stream":"stdout","text":"rendered page %d in %d ms\n"}`, i*28, i/8+1, 90+i*37%83)))
	}
	events = append(events,
		event(299, jobs.JobOutput, ago(2*time.Second), `{"attempt":2,"off":8900,"stream":"stdout","text":"{\"percent\":62.4,\"message\":\"page 31 of 50\"}\n{\"percent\":62.4,\"rows\":7}\n"}`),
		event(300, jobs.JobOutput, ago(time.Second), `{"attempt":2,"off":9000,"stream":"stderr","text":"\u001b[31mwarning\u001b[0m: font missing, using fallback\n10 %\r20 %\r30 %"}`),
		event(301, jobs.JobOutput, ago(time.Second/2), `{"attempt":2,"off":9060,"stream":"stderr","text":" done\n"}`),
		event(302, jobs.JobOutput, ago(time.Second/4), `{"attempt":2,"off":9066,"stream":"stdout","base64":"`+strings.Repeat("AAAA", 300)+`"}`))
	m.Way = wayOf(false, events...)
	m.Watchers = 2
	return m
}

var samplePages = []DocsLink{{Path: "/docs", Name: "Documentation"}, {Path: "/docs/protocol", Name: "Protocol", About: "Five minutes."}, {Path: "/docs/api", Name: "API"}}

func sampleAPI() Docs {
	job := APIType{Text: "Job", Schema: "Job"}
	api := &API{
		HTML: "<p>About.</p>",
		Groups: []APIGroup{{Name: "Jobs", HTML: "<p>Work.</p>", Operations: []APIOperation{{
			ID: "submit", Method: "POST", Path: "/v1/jobs", Summary: "Submit <a job>", HTML: "<p>It is kept.</p>",
			Parameters: []APIMember{{Name: "Prefer", In: "header", Type: APIType{Text: "string"}, HTML: "<p>Waits.</p>"}},
			Bodies:     []APIBody{{Media: "application/json", Type: job, Members: []APIMember{{Name: "kind", Type: APIType{Text: "string"}, Required: true}}}},
			Answers: []APIAnswer{{Status: "202", HTML: "<p>Accepted.</p>", Media: "application/json", Type: job, Headers: []APIMember{{Name: "Location", HTML: "<p>Where.</p>"}}},
				{Status: "422", HTML: "<p>No.</p>", Type: APIType{Text: "Problem", Schema: "Problem"}}},
			Examples: []APIExample{{Name: "small", Command: "curl '<'", Status: "202", Answer: "{}"}, {Name: "large", Command: "curl", Status: "202"}},
		}}}},
		Schemas: []APISchema{{Name: "Job", HTML: "<p>A job.</p>", Members: []APIMember{{Name: "id", Type: APIType{Text: "string"}}}}, {Name: "Problem", Type: APIType{Text: "any"}}},
	}
	return Docs{Title: "API", Path: "/docs/api", API: api, Contents: api.Contents(), Pages: samplePages}
}

func sampleJobs() Jobs {
	o := sampleOverview()
	running := jobs.Job{ID: sampleID(20), Kind: "thumbnail", Queue: "thumbnails", State: jobs.Running, Attempt: 1, MaxAttempts: 5, CreatedAt: ago(time.Second), StartedAt: ago(time.Second), Tags: []string{"a", "kunde:4711", "c", "d"}, CancelRequested: true}
	m := Jobs{Origin: o.Origin, Jobs: append([]jobs.Job{running}, o.Now...), Next: "7.7", Queues: []string{"default", "orders"}, Counts: &Counts{jobs.Running: 2, jobs.Failed: 3214}}
	for i := range m.Jobs {
		m.Jobs[i].N = uint64(100 - i)
		m.Jobs[i].Queue = "default"
	}
	return m
}

// sampleFiltered is a page further back, after something was done.
func sampleFiltered() Jobs {
	m := sampleJobs()
	m.Query = Query{States: []jobs.State{jobs.Failed, jobs.Running}, Queue: "orders", Kind: "sync.crm", Tag: "kunde:4711 & Söhne", Parent: sampleID(1).String(), Text: `"a<b`, Since: "36h", Cursor: "5.5", Bulk: sampleID(3).String()}
	m.Jobs, m.Next, m.Counts = m.Jobs[:1], "", nil
	m.Bulk = &jobs.Job{ID: sampleID(3), Kind: "bulk", State: jobs.Running, Progress: &jobs.Progress{Percent: ptr(37.5), Message: "1204 of 3214", Data: jobs.Value(`{"done":1204,"total":3214}`)}}
	m.Did = &Did{Action: "cancel", Done: 1, Skipped: 2}
	return m
}

// sampleFanout is a fan-out with one unfinished call.
func sampleFanout() JobModel {
	m := sampleRunning()
	m.Way, m.Job.Kind, m.Job.Progress = Way{}, "fanout", nil
	m.Job.Result = jobs.Value(`{"targets":{"prices":{"state":"succeeded","status":200,"headers":{},"body":[],"attempts":1,"ms":412.5},"stock":{"state":"running","status":null,"attempts":2,"ms":null},"crm":{"status":503,"attempts":3,"ms":9000},"old":{"state":"queued"}},"completed":2,"total":4}`)
	return m
}

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
	"jobhub/jobs/webhook"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/client"
)

// realHub starts a hub in this process and returns a client of it. Jobs of kind echo succeed
// with their input; those of kind nobody wait.
func realHub(t *testing.T) *client.Client {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := sqlite.Open(ctx, dir, sqlite.Options{})
	must(err)
	keys, err := auth.Open(dir)
	must(err)
	log, err := hub.New(ctx, hub.Options{Log: store})
	must(err)
	calls := call.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	engine, err := engine.Open(ctx, engine.Options{Store: store, Allowed: keys.CheckCaller, Handlers: map[string]jobs.Handler{
		"echo": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			return jobs.Result{Value: run.Job().Input}, nil
		}},
		"http":    call.HTTP(calls),
		"fanout":  call.Fanout(calls),
		"webhook": webhook.Handler(webhook.Options{}),
	}})
	must(err)
	server := web.New(web.Config{Store: store, Auth: keys, Engine: engine, Hub: log, Version: "test"})
	srv := httptest.NewServer(server)
	t.Cleanup(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		server.Drain()
		server.Close(over)
		srv.Close()
		engine.Close(over)
		log.Close()
		must(store.Close())
	})
	return &client.Client{Base: srv.URL}
}

// ok fails the test on an error of a call.
func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

func TestWholeSubmission(t *testing.T) {
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	first := job(c.Submit(ctx, client.Submission{Kind: "nobody"}, ""))
	j := job(c.Submit(ctx, client.Submission{Kind: "nobody", Queue: "q", Input: jsontext.Value(`{"n":1.10}`), Priority: 7, Tags: []string{"a"}, Timeout: time.Minute,
		QueueTimeout: time.Hour, Retention: time.Hour, Retry: client.Retry{MaxAttempts: 3, Backoff: "linear", Initial: time.Second, Max: time.Minute}, Rerun: "never",
		OrderingKey: "o", FairKey: "f", After: []string{first.ID}, Callbacks: []client.Callback{{URL: "https://192.0.1.1/hook", Events: []string{"job.failed"}}},
		Unique: &client.Unique{By: []string{"kind", "fair_key"}, Within: time.Hour, Conflict: "refuse"}}, "key-1"))
	expect(t, "state", j.State, "waiting")
	expect(t, "members", []any{j.Tenant, j.Queue, string(j.Input), j.Priority, j.Tags, j.OrderingKey, j.FairKey, j.MaxAttempts},
		[]any{"default", "q", `{"n":1.10}`, 7, []string{"a"}, "o", "f", 3})
	expect(t, "unique", *j.Unique, client.Unique{By: []string{"kind", "fair_key"}, While: "unfinished", Within: time.Hour, Conflict: "refuse"})
	expect(t, "callbacks", j.Callbacks, []client.Callback{{URL: "https://192.0.1.1/hook", Events: []string{"job.failed"}}})
	again := job(c.Submit(ctx, client.Submission{Kind: "nobody", FairKey: "other"}, ""))
	if again.ID == j.ID {
		t.Error("another fair key is another job")
	}
	_, err := c.Submit(ctx, client.Submission{Kind: "nobody", FairKey: "f", Unique: &client.Unique{By: []string{"kind", "fair_key"}, Conflict: "refuse"}}, "")
	if !errors.Is(err, &client.Problem{Code: "conflict", Status: http.StatusConflict}) || errors.Is(err, &client.Problem{Code: "not_found"}) {
		t.Errorf("one like it: %v", err)
	}
}

func TestProblemsOfAHub(t *testing.T) {
	c := realHub(t)
	_, err := c.Job(t.Context(), "01980000-0000-7000-8000-000000000000")
	p, found := errors.AsType[*client.Problem](err)
	if !found || p.Status != 404 || p.Code != "not_found" || !errors.Is(err, &client.Problem{Code: "not_found"}) || errors.Is(err, &client.Problem{}) || client.Unknown(err) {
		t.Errorf("no job: %#v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"submit": func() error { _, err := c.Submit(over, client.Submission{Kind: "echo"}, ""); return err },
		"wait":   func() error { _, err := c.Wait(over, "j"); return err },
		"batch":  func() error { _, err := c.Batch(over, nil, ""); return err },
		"list": func() error {
			for _, err := range c.AllJobs(over, client.ListOptions{}) {
				return err
			}
			return nil
		},
		"history": func() error {
			for _, err := range c.History(over, "j") {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v := ok[string](t)(c.Version(t.Context())); v != "test" || c.Ready(t.Context()) != nil {
		t.Errorf("version %q, %v", v, c.Ready(t.Context()))
	}
}

func TestResponseAndHistory(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Own", "yes")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short and stout")
	}))
	defer upstream.Close()
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	waits := job(c.Submit(ctx, client.Submission{Kind: "nobody"}, ""))
	if _, err := c.Response(ctx, waits.ID); !errors.Is(err, client.ErrUnfinished) {
		t.Errorf("of an unfinished job: %v", err)
	}
	if _, err := c.Response(ctx, "nothing"); !errors.Is(err, &client.Problem{Code: "not_found"}) {
		t.Errorf("of no job: %v", err)
	}
	pot := job(c.Submit(ctx, client.Submission{Kind: "http", Input: map[string]string{"url": upstream.URL}}, ""))
	job(c.Wait(ctx, pot.ID))
	res := ok[client.Response](t)(c.Response(ctx, pot.ID))
	expect(t, "response", []any{res.Status, string(res.Body), res.Header.Get("X-Own")}, []any{418, "short and stout", "yes"})

	var types []string
	for m, err := range c.History(ctx, pot.ID) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, m.Type)
	}
	expect(t, "history", types, []string{"job.queued", "job.started", "job.failed"})
	for _, err := range c.History(ctx, "nothing") {
		if !errors.Is(err, &client.Problem{Code: "not_found"}) {
			t.Errorf("history of no job: %v", err)
		}
	}
}

func TestBatches(t *testing.T) {
	c, ctx := realHub(t), t.Context()
	requests := []client.BatchRequest{
		{ID: "job", Method: "POST", Path: "/v1/jobs", Body: client.Submission{Kind: "nobody", FairKey: "f"}},
		{ID: "bad", Method: "POST", Path: "/v1/jobs", Headers: map[string]string{"content-type": "application/json"}, Body: []byte(`{"kind":`)},
		{Method: "GET", Path: "/healthz", DependsOn: []string{"bad"}},
	}
	check := func(of string, all []client.BatchResponse) {
		t.Helper()
		var got []any
		for _, r := range all {
			got = append(got, r.ID, r.Index, r.Status)
		}
		expect(t, of, got, []any{"job", 0, 202, "bad", 1, 400, "", 2, 424})
		if len(all) > 0 && !strings.Contains(string(all[0].Body), `"fair_key":"f"`) {
			t.Errorf("%s: %s", of, all[0].Body)
		}
	}
	check("at once", ok[[]client.BatchResponse](t)(c.Batch(ctx, requests, "key-1")))
	j := ok[client.Job](t)(c.SubmitBatch(ctx, requests, "key-2"))
	expect(t, "the same key", ok[client.Job](t)(c.SubmitBatch(ctx, requests, "key-2")).ID, j.ID)
	j = ok[client.Job](t)(c.Wait(ctx, j.ID))
	var all []client.BatchResponse
	for _, r := range ok[[]*client.BatchResponse](t)(client.BatchResponses(j)) {
		all = append(all, *r)
	}
	check("as a job", all)
	if none, err := client.BatchResponses(client.Job{}); none != nil || err != nil {
		t.Errorf("of a job without a result: %v, %v", none, err)
	}
}

func TestFanouts(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"pieces":7}`)
	}))
	defer upstream.Close()
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	j := job(c.Submit(ctx, client.Submission{Kind: "fanout", Input: client.Fanout{Policy: "settled", Targets: []client.Target{
		{Name: "south", URL: upstream.URL + "/none", Timeout: time.Minute}, {Name: "north", Method: "POST", URL: upstream.URL + "/stock", Body: map[string]int{"article": 1}}}}}, ""))
	j = job(c.Wait(ctx, j.ID))
	r := ok[client.FanoutResult](t)(client.FanoutResultOf(j))
	expect(t, "all", []any{r.Completed, r.Total, len(r.Targets)}, []any{2, 2, 2})
	expect(t, "the first", []any{r.Targets[0].Name, r.Targets[0].Status, r.Targets[0].Attempts}, []any{"south", 404, 1})
	expect(t, "the second", []any{r.Targets[1].Name, r.Targets[1].Status, string(r.Targets[1].Body)}, []any{"north", 200, `{"pieces":7}`})

	again := job(c.Retry(ctx, j.ID, client.RetryOptions{Targets: []string{"south"}, IdempotencyKey: "key-1"}))
	expect(t, "the same key", job(c.Retry(ctx, j.ID, client.RetryOptions{Targets: []string{"south"}, IdempotencyKey: "key-1"})).ID, again.ID)
	r = ok[client.FanoutResult](t)(client.FanoutResultOf(job(c.Wait(ctx, again.ID))))
	expect(t, "what stays", []any{r.Targets[1].Name, r.Targets[1].Status}, []any{"north", 200})
	if r, err := client.FanoutResultOf(client.Job{}); r.Total != 0 || err != nil {
		t.Errorf("of a job without a result: %v, %v", r, err)
	}
}

func TestRetries(t *testing.T) {
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	j := job(c.Submit(ctx, client.Submission{Kind: "echo", Input: 1}, ""))
	job(c.Wait(ctx, j.ID))
	other := job(c.Retry(ctx, j.ID, client.RetryOptions{Input: 2}))
	expect(t, "another input", []any{string(other.Input), other.RetryOf, other.Existing}, []any{"2", j.ID, false})
	one := job(c.Retry(ctx, j.ID, client.RetryOptions{Again: true}))
	expect(t, "again", []any{string(one.Input), one.ID != other.ID}, []any{"1", true})
	expect(t, "there is one", job(c.Retry(ctx, j.ID, client.RetryOptions{})).Existing, true)
}

func TestSchedules(t *testing.T) {
	c, ctx, schedule := realHub(t), t.Context(), ok[client.Schedule](t)
	s := schedule(c.PutSchedule(ctx, client.Schedule{Name: "nightly", Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Overlap: "skip",
		Job: client.Submission{Kind: "nobody", FairKey: "f", Input: jsontext.Value(`{"n":1.10}`), Timeout: time.Minute, Retry: client.Retry{Initial: time.Second}}}))
	if s.NextAt.IsZero() || s.Paused || s.LastError != nil {
		t.Errorf("stored: %+v", s)
	}
	s = schedule(c.Schedule(ctx, "nightly"))
	input, _ := s.Job.Input.(jsontext.Value)
	expect(t, "its job", []any{s.Job.Kind, s.Job.FairKey, string(input), s.Job.Timeout, s.Job.Retry.Initial, s.Overlap}, []any{"nobody", "f", `{"n":1.10}`, time.Minute, time.Second, "skip"})
	s.Paused = true
	schedule(c.PutSchedule(ctx, s))
	all := ok[[]client.Schedule](t)(c.Schedules(ctx))
	if len(all) != 1 || !all[0].Paused || !all[0].NextAt.IsZero() || all[0].Job.FairKey != "f" {
		t.Errorf("paused: %+v", all)
	}
	if err := c.DeleteSchedule(ctx, "nightly"); err != nil {
		t.Error(err)
	}
	if _, err := c.Schedule(ctx, "nightly"); !errors.Is(err, &client.Problem{Code: "not_found"}) {
		t.Errorf("a deleted one: %v", err)
	}
}

func TestListsAndBulk(t *testing.T) {
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	var ids []string
	for n := range 5 {
		ids = append([]string{job(c.Submit(ctx, client.Submission{Kind: "nobody", Queue: "q", Input: fmt.Sprint("text-", n)}, "")).ID}, ids...)
	}
	list := func(o client.ListOptions) (got []string) {
		t.Helper()
		for j, err := range c.AllJobs(ctx, o) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, j.ID)
		}
		return got
	}
	expect(t, "pages", list(client.ListOptions{Queue: "q", Limit: 2}), ids)
	expect(t, "by text", list(client.ListOptions{Text: "text-3"}), ids[1:2])
	expect(t, "by parent", list(client.ListOptions{Parent: ids[0]}), []string(nil))
	for range c.AllJobs(ctx, client.ListOptions{Limit: 1}) {
		break
	}
	b := client.Bulk{Action: "cancel", Queue: "q", IdempotencyKey: "key-1"}
	expect(t, "counted", ok[int64](t)(c.CountBulk(ctx, b)), int64(5))
	done := job(c.Bulk(ctx, b))
	expect(t, "the same key", job(c.Bulk(ctx, b)).ID, done.ID)
	job(c.Wait(ctx, done.ID))
	expect(t, "cancelled", list(client.ListOptions{Queue: "q", States: []string{"cancelled"}}), ids)
}

func TestQueuesAndTokens(t *testing.T) {
	c, ctx, queue := realHub(t), t.Context(), ok[client.Queue](t)
	if _, err := c.Queue(ctx, "q"); !errors.Is(err, &client.Problem{Code: "not_found"}) {
		t.Errorf("no queue: %v", err)
	}
	two, rate := 2, "10/s"
	queue(c.SetQueue(ctx, "q", client.QueueLimits{PerKey: &two, Rate: &rate}))
	queue(c.PauseQueue(ctx, "q", "to look"))
	q := queue(c.Queue(ctx, "q"))
	expect(t, "queue", []any{q.Paused, q.Pause.Reason, *q.Limits.PerKey, *q.Limits.Rate, q.Limits.Capacity == nil}, []any{true, "to look", 2, "10/s", true})
	expect(t, "resumed", queue(c.ResumeQueue(ctx, "q")).Paused, false)

	token := ok[client.Token](t)(c.CreateToken(ctx, client.Grant{Queues: []string{"q"}, Actions: []string{"watch", "cancel"}, TTL: time.Minute}))
	if !strings.HasPrefix(token.Token, "jht_") || time.Until(token.ExpiresAt) > time.Minute {
		t.Errorf("token %+v", token)
	}
	inside := ok[client.Job](t)(c.Submit(ctx, client.Submission{Kind: "nobody", Queue: "q"}, ""))
	page := client.Client{Base: c.Base, Token: token.Token}
	ok[client.Job](t)(page.Cancel(ctx, inside.ID))
}

func TestTypedWorker(t *testing.T) {
	c, ctx, job := realHub(t), t.Context(), ok[client.Job](t)
	type order struct {
		Pieces int `json:"pieces"`
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error)
	worker := client.Worker{Client: c, Name: "typed", Kinds: []string{"order"}, Handle: client.Typed(func(_ context.Context, run *client.Run, in order) (order, error) {
		half := 50.0
		run.Report(client.Progress{Percent: &half, Message: "half", Data: jsontext.Value(`{"of":2}`)})
		if in.Pieces == 0 {
			return in, client.Permanent(errors.New("sold out"))
		}
		return order{2 * in.Pieces}, nil
	})}
	go func() { ended <- worker.Run(working) }()
	run := func(input string) client.Job {
		return job(c.Wait(ctx, job(c.Submit(ctx, client.Submission{Kind: "order", Input: jsontext.Value(input)}, "")).ID))
	}
	j := run(`{"pieces":3}`)
	expect(t, "done", []any{j.State, string(j.Result), *j.Progress.Percent, string(j.Progress.Data)}, []any{"succeeded", `{"pieces":6}`, 50.0, `{"of":2}`})
	j = run(`{"pieces":0}`)
	expect(t, "failed", []any{j.Reason, j.Attempt, j.Error.Detail}, []any{"rejected", 1, "sold out"})
	for input, pointer := range map[string]string{`{"colour":"red"}`: "/input/colour", `{"pieces":"three"}`: "/input/pieces", `[]`: "/input"} {
		j := run(input)
		if j.Reason != "rejected" || j.Attempt != 1 || j.Error.Title != "Input does not fit" || len(j.Error.Errors) != 1 || j.Error.Errors[0].Pointer != pointer {
			t.Errorf("%s: %s %d %+v", input, j.Reason, j.Attempt, j.Error)
		}
	}

	list := ok[[]client.WorkerInfo](t)(c.Workers(ctx))
	if len(list) != 1 || list[0].Name != "typed" || !slices.Equal(list[0].Kinds, []string{"order"}) || list[0].Slots != 1 {
		t.Fatalf("workers: %+v", list)
	}
	if err := c.QuietWorker(ctx, list[0].ID); err != nil {
		t.Error(err)
	}
	expect(t, "told", ok[[]client.WorkerInfo](t)(c.Workers(ctx))[0].Directive, "quiet")
	if err := c.TerminateWorker(ctx, list[0].ID); err != nil {
		t.Error(err)
	}
	expect(t, "then told", ok[[]client.WorkerInfo](t)(c.Workers(ctx))[0].Directive, "terminate")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if client.Permanent(nil) != nil || client.After(time.Second, nil) != nil {
		t.Error("no error became one")
	}
}

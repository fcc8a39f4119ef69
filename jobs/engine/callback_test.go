package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// deliveriesOf are the deliveries of a job, in order of their acceptance.
func (w *world) deliveriesOf(id jobs.ID) (list []jobs.Job) {
	w.Helper()
	page, err := w.store.List(context.Background(), jobs.Filter{Tenant: jobs.DefaultTenant, Parent: id, Limit: 500})
	if err != nil {
		w.Fatal(err)
	}
	for _, j := range page.Jobs {
		list = append(list, w.get(j.ID))
	}
	slices.Reverse(list)
	return list
}

type callbackBody struct {
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Data      map[string]any `json:"data"`
}

func bodyOf(t *testing.T, j jobs.Job) (b callbackBody) {
	t.Helper()
	var in struct {
		Body json.RawMessage `json:"body"`
	}
	if err := errors.Join(json.Unmarshal(j.Input, &in), json.Unmarshal(in.Body, &b)); err != nil {
		t.Fatalf("%s: %v", j.Input, err)
	}
	return b
}

func (w *world) types(id jobs.ID) string {
	w.Helper()
	var types []string
	for _, j := range w.deliveriesOf(id) {
		types = append(types, bodyOf(w.T, j).Type)
	}
	return strings.Join(types, " ")
}

// deliver is a handler of deliveries that takes all.
func deliver(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }

// script runs a job as its input says.
func script(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	switch text := string(run.Job().Input); {
	case strings.Contains(text, "fail"):
		return jobs.Result{}, errors.New("no")
	case strings.Contains(text, "hang"):
		<-ctx.Done()
		return jobs.Result{}, ctx.Err()
	}
	percent := 50.0
	run.Report(jobs.Progress{Percent: &percent})
	return jobs.Result{Value: jobs.Value(`{"big":12345678901234567890.10}`)}, nil
}

var withCallbacks = handlers{"k": {Run: script}, jobs.KindWebhook: {Requests: true, Run: deliver}}

func callbacks(t *testing.T, text string) []jobs.Callback {
	t.Helper()
	list, err := jobs.DecodeCallbacks("/callbacks", jobs.Value(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDecodeCallbacks(t *testing.T) {
	for text, pointer := range map[string]string{
		`[]`: "",
		`[{"url":"https://a.example"},{"url":"https://b.example","events":["job.started","job.failed"],"secret":"` + secretA + `"}]`: "",
		`[{"url":"https://a.example","secret":["` + secretA + `","` + secretB + `"]}]`:                                               "",
		`null`:                    "/c",
		`{}`:                      "/c",
		`[null]`:                  "/c/0/url",
		`["https://a.example"]`:   "/c/0",
		`[{"events":[]}]`:         "/c/0/url",
		`[{"url":"a","what":1}]`:  "/c/0/what",
		`[{"url":"a","url2":""}]`: "/c/0/url2",
		`[{"url":"a"},{"url":"b","events":["job.succeeded"]},{"url":"a"}]`:               "/c/2/url",
		`[{"url":"a","events":[]}]`:                                                      "/c/0/events",
		`[{"url":"a","events":["job.progress"]}]`:                                        "/c/0/events/0",
		`[{"url":"a","events":["job.failed","job.failed"]}]`:                             "/c/0/events/1",
		`[{"url":"a","events":["queue.paused"]}]`:                                        "/c/0/events/0",
		`[{"url":"a","secret":""}]`:                                                      "/c/0/secret",
		`[{"url":"a","secret":5}]`:                                                       "/c/0/secret",
		`[{"url":"a","secret":[]}]`:                                                      "/c/0/secret",
		`[{"url":"a","secret":"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]`:                      "/c/0/secret",
		`[{"url":"a","secret":"whsec_c2hvcnQ="}]`:                                        "/c/0/secret",
		`[{"url":"a","secret":"whsec_` + strings.Repeat("A", 88) + `"}]`:                 "/c/0/secret",
		`[{"url":"a","secret":"` + secretA[:len(secretA)-1] + `"}]`:                      "/c/0/secret",
		`[{"url":"a","secret":["` + secretA + `","whsec_"]}]`:                            "/c/0/secret/1",
		`[{"url":"a","secret":["` + secretA + `","` + secretB + `","` + secretA + `"]}]`: "/c/0/secret",
		`[` + strings.Repeat(`{"url":"a"},`, 8) + `{"url":"b"}]`:                         "/c",
		`[{"url":"` + strings.Repeat("x", 2049) + `"}]`:                                  "/c/0/url",
	} {
		_, err := jobs.DecodeCallbacks("/c", jobs.Value(text))
		p, refused := errors.AsType[*jobs.Problem](err)
		if refused != (pointer != "") || refused && (p.Status != 422 || p.Errors[0].Pointer != pointer) {
			t.Errorf("%s: %v, want a problem at %q", text, err, pointer)
		}
		if refused && strings.Contains(p.Error(), "MfKQ9") {
			t.Errorf("%s: the problem tells the secret: %v", text, p)
		}
	}
}

// Each event that a callback names is sent once, with the job as it was then.
func TestCallbackEvents(t *testing.T) {
	all := `["job.scheduled","job.queued","job.started","job.retrying","job.waiting","job.cancel_requested","job.succeeded","job.failed","job.cancelled"]`
	for name, c := range map[string]struct {
		input, events, want string
		spec                jobs.Spec
		cancel              bool
	}{
		"by default the end":  {input: `"ok"`, want: "job.succeeded"},
		"failure":             {input: `"fail"`, want: "job.failed"},
		"cancelled":           {input: `"hang"`, cancel: true, want: "job.cancelled"},
		"chosen and matching": {input: `"ok"`, events: `["job.started","job.failed"]`, want: "job.started"},
		"all of a success":    {input: `"ok"`, events: all, spec: jobs.Spec{Delay: time.Hour}, want: "job.scheduled job.queued job.started job.succeeded"},
		"all of a failure":    {input: `"fail"`, events: all, spec: jobs.Spec{MaxAttempts: 2}, want: "job.queued job.started job.retrying job.queued job.started job.failed"},
		"all of a cancel":     {input: `"hang"`, events: all, cancel: true, want: "job.queued job.started job.cancel_requested job.cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.T
				w.open(withCallbacks, 4)
				defer w.close(time.Second)
				s := c.spec
				s.Kind, s.Input, s.MaxAttempts = "k", jobs.Value(c.input), max(1, s.MaxAttempts)
				events := ""
				if c.events != "" {
					events = `,"events":` + c.events
				}
				s.Callbacks = callbacks(t, `[{"url":"https://a.example/x","secret":"`+secretA+`"`+events+`}]`)
				j := w.submit(s)
				if c.cancel {
					time.Sleep(time.Second)
					if _, _, err := w.engine.Cancel(t.Context(), j.Tenant, j.ID); err != nil {
						t.Fatal(err)
					}
				}
				j = w.await(j.ID)
				w.expect("told", w.types(j.ID), c.want)
				log, err := w.store.Read(t.Context(), jobs.ReadQuery{Job: j.ID})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range w.deliveriesOf(j.ID) {
					d = w.await(d.ID)
					b := bodyOf(t, d)
					w.expect("delivery", words(d.Kind, d.Queue, d.FairKey, d.State, d.MaxAttempts), words("webhook", "callbacks", "a.example", "succeeded", 7))
					i := slices.IndexFunc(log, func(e *jobs.Event) bool { return float64(e.Seq) == b.Data["seq"] })
					if i < 0 || log[i].Type.String() != b.Type || !log[i].At.Equal(b.Timestamp) || float64(log[i].Version) != b.Data["version"] {
						t.Errorf("%s tells of seq %v, version %v at %v", b.Type, b.Data["seq"], b.Data["version"], b.Timestamp)
					}
				}
			})
		})
	}
}

// The body is the job document with its links, numbers to the digit; large members are
// left out and said to be.
func TestCallbackBody(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 4)
		defer w.close(time.Second)
		list := callbacks(t, `[{"url":"https://a.example/x","secret":"`+secretA+`"}]`)
		trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		j := w.await(w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`{"headers":{"Traceparent":"` + trace + `"}}`), Callbacks: list}).ID)
		d := w.deliveriesOf(j.ID)[0]
		doc := string(jobs.AppendLinks(append(j.AppendMembers(nil, jobs.Position{Epoch: w.store.Head().Epoch, Seq: j.Seq}), `,"links":`...), j.ID))
		want := fmt.Sprintf(`{"id":"msg_%s","url":"https://a.example/x","traceparent":%q,"body":{"type":"job.succeeded","timestamp":%q,"data":{%s}}}`,
			d.ID, trace, j.FinishedAt.UTC().Format("2006-01-02T15:04:05.000Z"), doc)
		w.expect("input of the delivery", string(d.Input), want)
		if !strings.Contains(want, "12345678901234567890.10") || !strings.Contains(want, `"percent":50`) {
			t.Errorf("%s", want)
		}
		for _, size := range []int{40 << 10, 70 << 10} {
			j = w.await(w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`"` + strings.Repeat("x", size) + `"`), Callbacks: list}).ID)
			data := bodyOf(t, w.deliveriesOf(j.ID)[0]).Data
			if cut := size > 64<<10; (data["input"] == nil) != cut || (data["truncated"] == true) != cut || data["result"] == nil {
				t.Errorf("of %d bytes of input: truncated %v", size, data["truncated"])
			}
		}
	})
}

// Secrets are nowhere but in the store's own columns.
func TestCallbackSecretsStayHidden(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		const token = "s3cret-of-the-url"
		var log strings.Builder
		w.open(withCallbacks, 4)
		w.close(0)
		var err error
		if w.store, err = sqlite.Open(context.Background(), w.dir, sqlite.Options{}); err != nil {
			t.Fatal(err)
		}
		if w.engine, err = engine.Open(context.Background(), engine.Options{Store: w.store, Handlers: withCallbacks, Logger: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
			t.Fatal(err)
		}
		defer w.close(time.Second)
		list := callbacks(t, `[{"url":"https://a.example/x?token=`+token+`","secret":["`+secretA+`","`+secretB+`"],"events":["job.queued","job.succeeded"]}]`)
		if err := w.engine.Queues.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", callbacks(t, `[{"url":"https://q.example","secret":"`+secretB+`"}]`)); err != nil {
			t.Fatal(err)
		}
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: list}).ID)
		delivery := w.await(w.deliveriesOf(j.ID)[0].ID)
		again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, delivery.ID, engine.RetryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.await(again.Job.ID)
		var seen strings.Builder
		pos := w.store.Head()
		shown := append(w.deliveriesOf(j.ID), j)
		w.expect("jobs", len(shown), 5)
		for _, one := range shown {
			document := string(one.AppendMembers(nil, pos))
			seen.WriteString(document)
			if strings.Contains(document, token) {
				t.Errorf("a credential of the URL is shown: %s", document)
			}
			fmt.Fprintf(&seen, "%v %+v %#v", one.Callbacks, one, one.Callbacks)
		}
		w.expect("found", w.count(jobs.Filter{Text: token}), 0)
		for _, e := range readLog(t, w.store) {
			seen.Write(e.AppendJSON(nil, pos.Epoch))
			if strings.Contains(string(e.Data), token) {
				t.Errorf("an event shows a credential: %s", e.Data)
			}
		}
		seen.WriteString(log.String())
		for _, secret := range []string{secretA, secretB} {
			if strings.Contains(seen.String(), strings.TrimPrefix(secret, "whsec_")) {
				t.Errorf("a secret is shown: %s", seen.String())
			}
		}
		if !strings.Contains(seen.String(), `"callbacks":[{"url":"https://a.example/x?token=***","events":["job.queued","job.succeeded"],"secret":"whsec_***"}]`) {
			t.Errorf("the callbacks are not shown: %s", seen.String())
		}
		w.expect("kept", string(w.get(j.ID).Callbacks[0].Secrets[1]), secretB)
	})
}

func readLog(t *testing.T, s jobs.Store) (all []*jobs.Event) {
	t.Helper()
	for after := uint64(0); ; {
		events, err := s.Read(t.Context(), jobs.ReadQuery{After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return all
		}
		all, after = append(all, events...), events[len(events)-1].Seq
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refusedAt(t *testing.T, err error, pointer string) {
	t.Helper()
	if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
		t.Errorf("%v, want a refusal at %s", err, pointer)
	}
}

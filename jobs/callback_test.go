package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/sqlite"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// told is what deliveries were made of, in order of their acceptance.
func (w *world) told(id jobs.ID) (list []jobs.Job) {
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
	for _, j := range w.told(id) {
		types = append(types, bodyOf(w.T, j).Type)
	}
	return strings.Join(types, " ")
}

// deliver is a handler of deliveries that takes all.
func deliver(context.Context, *jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }

// script runs a job as its input says.
func script(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
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

// Each event that a callback names is told once, with the job as it was then.
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
				for _, d := range w.told(j.ID) {
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
		d := w.told(j.ID)[0]
		doc := string(jobs.AppendLinks(append(j.AppendMembers(nil, jobs.Position{Epoch: w.store.Head().Epoch, Seq: j.Seq}), `,"links":`...), j.ID))
		want := fmt.Sprintf(`{"id":"msg_%s","url":"https://a.example/x","traceparent":%q,"body":{"type":"job.succeeded","timestamp":%q,"data":{%s}}}`,
			d.ID, trace, j.FinishedAt.UTC().Format("2006-01-02T15:04:05.000Z"), doc)
		w.expect("input of the delivery", string(d.Input), want)
		if !strings.Contains(want, "12345678901234567890.10") || !strings.Contains(want, `"percent":50`) {
			t.Errorf("%s", want)
		}
		for _, size := range []int{40 << 10, 70 << 10} {
			j = w.await(w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`"` + strings.Repeat("x", size) + `"`), Callbacks: list}).ID)
			data := bodyOf(t, w.told(j.ID)[0]).Data
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
		if w.engine, err = jobs.Open(context.Background(), jobs.Options{Store: w.store, Handlers: withCallbacks, Logger: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
			t.Fatal(err)
		}
		defer w.close(time.Second)
		list := callbacks(t, `[{"url":"https://a.example/x?token=`+token+`","secret":["`+secretA+`","`+secretB+`"],"events":["job.queued","job.succeeded"]}]`)
		if err := w.engine.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", callbacks(t, `[{"url":"https://q.example","secret":"`+secretB+`"}]`)); err != nil {
			t.Fatal(err)
		}
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: list}).ID)
		again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, w.told(j.ID)[0].ID, jobs.Again{})
		if err != nil {
			t.Fatal(err)
		}
		w.await(again.Job.ID)
		var seen strings.Builder
		pos := w.store.Head()
		shown := append(w.told(j.ID), j)
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

// A queue's callbacks are told besides the job's own, and once where both name a URL.
func TestCallbacksOfAQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		var mu sync.Mutex // protects signed
		var signed []string
		w.open(handlers{"k": {Run: script}, jobs.KindWebhook: {Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
			c, err := run.Callback(ctx)
			mu.Lock()
			defer mu.Unlock()
			signed = append(signed, fmt.Sprint(c.URL, " ", c.Disabled))
			for _, s := range c.Secrets {
				signed[len(signed)-1] += " " + string(s)
			}
			return jobs.Result{}, err
		}}}, 1)
		defer w.close(time.Second)
		set := func(text string) {
			t.Helper()
			if err := w.engine.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", callbacks(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		set(`[{"url":"https://a.example"},{"url":"https://b.example","secret":"` + secretA + `"}]`)
		pause := func() {
			t.Helper()
			must(t, w.engine.Pause(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue, "test", ""))
		}
		pause()
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example","secret":"`+secretB+`"}]`)}).ID)
		w.expect("deliveries", len(w.told(j.ID)), 2)
		set(`[{"url":"https://b.example","secret":["` + secretB + `","` + secretA + `"]}]`) // rotated before it is sent
		must(t, w.engine.Resume(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue))
		for _, d := range w.told(j.ID) {
			w.await(d.ID)
		}
		slices.Sort(signed)
		w.expect("signed", signed, []string{"https://a.example false " + secretB, "https://b.example false " + secretB + " " + secretA})

		signed = nil
		pause()
		j = w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		set(`[]`) // what is no longer there is not told of what was
		must(t, w.engine.Resume(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue))
		w.await(w.told(j.ID)[0].ID)
		w.expect("after removal", signed, []string{"https://b.example true"})
		w.expect("told then", w.types(w.await(w.submit(jobs.Spec{Kind: "k"}).ID).ID), "")
		w.expect("limits", words(w.engine.Settings(jobs.DefaultTenant, jobs.CallbackQueue).Concurrency, w.engine.Settings(jobs.DefaultTenant, jobs.CallbackQueue).PerKey), "32 8")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A receiver that is gone gets nothing further of that job, or of that queue, until a
// delivery that was retried is accepted.
func TestDisabledCallbacks(t *testing.T) {
	for _, of := range []string{"job", "queue"} {
		t.Run(of, func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.T
				accept := false
				var sent []string
				w.open(handlers{"k": {Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
					time.Sleep(time.Minute)
					return jobs.Result{}, nil
				}}, jobs.KindWebhook: {Run: func(ctx context.Context, run *jobs.Run) (jobs.Result, error) {
					c, err := run.Callback(ctx)
					if err != nil || c.Disabled {
						return jobs.Result{}, errors.Join(err, &jobs.Failure{Problem: jobs.NewProblem("disabled", "Disabled", ""), Never: true})
					}
					sent = append(sent, bodyOf(t, *run.Job()).Type)
					return jobs.Result{}, run.EnableCallback(ctx, accept)
				}}}, 8)
				defer w.close(time.Second)
				list := callbacks(t, `[{"url":"https://a.example","events":["job.queued","job.succeeded"]}]`)
				s := jobs.Spec{Kind: "k"}
				if s.Callbacks = list; of == "queue" {
					s.Callbacks = nil
					must(t, w.engine.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", list))
				}
				j := w.await(w.submit(s).ID)
				first := w.await(w.told(j.ID)[0].ID)
				w.expect("sent and made", words(sent, w.types(j.ID)), "[job.queued] job.queued")
				if of == "queue" {
					must(t, w.engine.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", list)) // as at a restart
					w.expect("made later", w.types(w.await(w.submit(s).ID).ID), "")
				}
				accept, sent = true, nil
				again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, first.ID, jobs.Again{})
				must(t, err)
				redelivered := w.await(again.Job.ID)
				w.expect("redelivered", words(redelivered.State, redelivered.Parent == j.ID, redelivered.RetryOf == first.ID, string(redelivered.Input) == string(first.Input), sent), "succeeded true true true [job.queued]")
				if of == "job" {
					w.expect("enabled", w.get(j.ID).Callbacks[0].Disabled, false)
					return
				}
				w.expect("made then", w.types(w.await(w.submit(s).ID).ID), "job.queued job.succeeded")
			})
		})
	}
}

// A delivery can't be made or altered from outside.
func TestDeliveriesAreTheHubs(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 4)
		defer w.close(time.Second)
		_, err := w.engine.Submit(t.Context(), jobs.Spec{Kind: jobs.KindWebhook, Input: jobs.Value(`{"url":"https://a.example"}`)})
		refusedAt(t, err, "/kind")
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example"}]`)}).ID)
		d := w.await(w.told(j.ID)[0].ID)
		_, err = w.engine.Retry(t.Context(), jobs.DefaultTenant, d.ID, jobs.Again{Input: jobs.Value(`{}`)})
		refusedAt(t, err, "/input")
		_, err = w.engine.Retry(t.Context(), jobs.DefaultTenant, j.ID, jobs.Again{Targets: []string{"a"}})
		refusedAt(t, err, "/targets")
		again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, j.ID, jobs.Again{})
		must(t, err)
		w.expect("a retried job is told of", w.types(w.await(again.Job.ID).ID), "job.succeeded")
	})
}

func refusedAt(t *testing.T, err error, pointer string) {
	t.Helper()
	if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
		t.Errorf("%v, want a refusal at %s", err, pointer)
	}
}

// crashing fails a commit that holds the end of a job: before it is stored, or after.
type crashing struct {
	jobs.Store
	after bool
	armed bool
}

func (c *crashing) Commit(ctx context.Context, b *jobs.Batch) error {
	if c.armed && slices.ContainsFunc(b.Changes, func(ch *jobs.Change) bool { return ch.Event.Type == jobs.JobSucceeded && ch.Job.Kind == "k" }) {
		if c.after {
			if err := c.Store.Commit(ctx, b); err != nil {
				return err
			}
		}
		return errors.New("killed")
	}
	return c.Store.Commit(ctx, b)
}

// Whenever the hub dies, the end of a job and its delivery are both there or both not;
// in the end there is one of each.
func TestCallbacksSurviveCrashes(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			inWorld(t, func(w *world) {
				t := w.T
				w.open(withCallbacks, 4)
				w.close(0)
				store, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
				must(t, err)
				engine, err := jobs.Open(context.Background(), jobs.Options{Store: &crashing{Store: store, after: after, armed: true}, Handlers: withCallbacks})
				must(t, err)
				a, err := engine.Submit(context.Background(), jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example"},{"url":"https://b.example"}]`)})
				must(t, err)
				<-engine.Failed()
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				engine.Close(ended)
				store.Close()

				w.open(handlers{jobs.KindWebhook: {Run: deliver}}, 4)
				j := w.get(a.Job.ID)
				w.expect("ended, deliveries", words(j.State.Final(), len(w.told(j.ID))), words(after, map[bool]int{true: 2}[after]))
				w.close(time.Second)
				w.open(withCallbacks, 4)
				defer w.close(time.Second)
				w.expect("end", w.await(j.ID).State, "succeeded")
				w.expect("told", w.types(j.ID), "job.succeeded job.succeeded")
				for _, d := range w.told(j.ID) {
					w.expect("delivered", w.await(d.ID).State, "succeeded")
				}
			})
		})
	}
}

// What a restart makes of a job is told as well.
func TestCallbackOfAnInterruptedJob(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 4)
		w.close(0)
		store, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
		must(t, err)
		engine, err := jobs.Open(context.Background(), jobs.Options{Store: &crashing{Store: store, armed: true}, Handlers: withCallbacks})
		must(t, err)
		a, err := engine.Submit(context.Background(), jobs.Spec{Kind: "k", NeverRerun: true, Callbacks: callbacks(t, `[{"url":"https://a.example"}]`)})
		must(t, err)
		<-engine.Failed()
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		engine.Close(ended)
		store.Close()
		w.open(withCallbacks, 4)
		defer w.close(time.Second)
		w.expect("end", w.get(a.Job.ID).Reason, jobs.WorkerLost)
		w.expect("told", w.types(a.Job.ID), "job.failed")
	})
}

// Slow jobs, though they have all slots, do not hold callbacks up.
func TestCallbacksHaveSlotsOfTheirOwn(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 1)
		defer w.close(time.Second)
		w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`"hang"`)})
		began := time.Now()
		j := w.submit(jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example","events":["job.queued"]}]`)})
		w.expect("delivered", w.await(w.told(j.ID)[0].ID).State, "succeeded")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

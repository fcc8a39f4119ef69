package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

// A queue's callbacks get events in addition to the job's own; a URL that both name gets each once.
func TestCallbacksOfAQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		var mu sync.Mutex // protects signed
		var signed []string
		w.open(handlers{"k": {Run: script}, jobs.KindWebhook: {Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
			c, err := run.(jobs.DeliveryRun).Callback(ctx)
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
			if err := w.engine.Queues.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", callbacks(t, text)); err != nil {
				t.Fatal(err)
			}
		}
		set(`[{"url":"https://a.example"},{"url":"https://b.example","secret":"` + secretA + `"}]`)
		pause := func() {
			t.Helper()
			must(t, w.engine.Queues.Pause(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue, "test", ""))
		}
		pause()
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example","secret":"`+secretB+`"}]`)}).ID)
		w.expect("deliveries", len(w.deliveriesOf(j.ID)), 2)
		set(`[{"url":"https://b.example","secret":["` + secretB + `","` + secretA + `"]}]`) // rotated before it is sent
		must(t, w.engine.Queues.Resume(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue))
		for _, d := range w.deliveriesOf(j.ID) {
			w.await(d.ID)
		}
		slices.Sort(signed)
		w.expect("signed", signed, []string{"https://a.example false " + secretB, "https://b.example false " + secretB + " " + secretA})

		signed = nil
		pause()
		j = w.await(w.submit(jobs.Spec{Kind: "k"}).ID)
		set(`[]`) // a removed callback does not get events from before its removal
		must(t, w.engine.Queues.Resume(t.Context(), jobs.DefaultTenant, jobs.CallbackQueue))
		w.await(w.deliveriesOf(j.ID)[0].ID)
		w.expect("after removal", signed, []string{"https://b.example true"})
		w.expect("told then", w.types(w.await(w.submit(jobs.Spec{Kind: "k"}).ID).ID), "")
		w.expect("limits", words(w.engine.Queues.Settings(jobs.DefaultTenant, jobs.CallbackQueue).Concurrency, w.engine.Queues.Settings(jobs.DefaultTenant, jobs.CallbackQueue).PerKey), "32 8")
	})
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
				w.open(handlers{"k": {Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
					time.Sleep(time.Minute)
					return jobs.Result{}, nil
				}}, jobs.KindWebhook: {Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
					c, err := run.(jobs.DeliveryRun).Callback(ctx)
					if err != nil || c.Disabled {
						return jobs.Result{}, errors.Join(err, &jobs.Failure{Problem: jobs.NewProblem("disabled", "Disabled", ""), Never: true})
					}
					sent = append(sent, bodyOf(t, *run.Job()).Type)
					return jobs.Result{}, run.(jobs.DeliveryRun).EnableCallback(ctx, accept)
				}}}, 8)
				defer w.close(time.Second)
				list := callbacks(t, `[{"url":"https://a.example","events":["job.queued","job.succeeded"]}]`)
				s := jobs.Spec{Kind: "k"}
				if s.Callbacks = list; of == "queue" {
					s.Callbacks = nil
					must(t, w.engine.Queues.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", list))
				}
				j := w.await(w.submit(s).ID)
				first := w.await(w.deliveriesOf(j.ID)[0].ID)
				w.expect("sent and made", words(sent, w.types(j.ID)), "[job.queued] job.queued")
				if of == "queue" {
					must(t, w.engine.Queues.SetCallbacks(t.Context(), jobs.DefaultTenant, "default", list)) // as at a restart
					w.expect("made later", w.types(w.await(w.submit(s).ID).ID), "")
				}
				accept, sent = true, nil
				again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, first.ID, engine.RetryOptions{})
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

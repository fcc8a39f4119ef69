package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

// A delivery can't be made or altered from outside.
func TestDeliveriesAreTheHubs(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 4)
		defer w.close(time.Second)
		_, err := w.engine.Submit(t.Context(), jobs.Spec{Kind: jobs.KindWebhook, Input: jobs.Value(`{"url":"https://a.example"}`)})
		refusedAt(t, err, "/kind")
		j := w.await(w.submit(jobs.Spec{Kind: "k", Callbacks: callbacks(t, `[{"url":"https://a.example"}]`)}).ID)
		d := w.await(w.deliveriesOf(j.ID)[0].ID)
		_, err = w.engine.Retry(t.Context(), jobs.DefaultTenant, d.ID, engine.RetryOptions{Input: jobs.Value(`{}`)})
		refusedAt(t, err, "/input")
		_, err = w.engine.Retry(t.Context(), jobs.DefaultTenant, j.ID, engine.RetryOptions{Targets: []string{"a"}})
		refusedAt(t, err, "/targets")
		again, err := w.engine.Retry(t.Context(), jobs.DefaultTenant, j.ID, engine.RetryOptions{})
		must(t, err)
		w.expect("a retried job is told of", w.types(w.await(again.Job.ID).ID), "job.succeeded")
	})
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
				engine, err := engine.Open(context.Background(), engine.Options{Store: &crashing{Store: store, after: after, armed: true}, Handlers: withCallbacks})
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
				w.expect("ended, deliveries", words(j.State.Final(), len(w.deliveriesOf(j.ID))), words(after, map[bool]int{true: 2}[after]))
				w.close(time.Second)
				w.open(withCallbacks, 4)
				defer w.close(time.Second)
				w.expect("end", w.await(j.ID).State, "succeeded")
				w.expect("told", w.types(j.ID), "job.succeeded job.succeeded")
				for _, d := range w.deliveriesOf(j.ID) {
					w.expect("delivered", w.await(d.ID).State, "succeeded")
				}
			})
		})
	}
}

// A change of a job by a restart is sent as well.
func TestCallbackOfAnInterruptedJob(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.T
		w.open(withCallbacks, 4)
		w.close(0)
		store, err := sqlite.Open(context.Background(), w.dir, sqlite.Options{})
		must(t, err)
		engine, err := engine.Open(context.Background(), engine.Options{Store: &crashing{Store: store, armed: true}, Handlers: withCallbacks})
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
		w.expect("delivered", w.await(w.deliveriesOf(j.ID)[0].ID).State, "succeeded")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

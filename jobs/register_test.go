package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

func names(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

func run(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }

func TestRegistrationIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"http": {Run: run}, jobs.KindWebhook: {Run: run}}, 1)
		defer w.close(time.Second)
		w.engine.Handle("late", jobs.Handler{Run: run})
		for name, test := range map[string]struct {
			spec    jobs.WorkerSpec
			pointer string
		}{
			"most":               {jobs.WorkerSpec{Kinds: names("k", jobs.MaxKinds), Queues: names("q", jobs.MaxQueues), Slots: jobs.MaxSlots, Name: strings.Repeat("n", jobs.MaxWorkerName)}, ""},
			"too many kinds":     {jobs.WorkerSpec{Kinds: names("k", jobs.MaxKinds+1), Slots: 1}, "/kinds"},
			"one kind too often": {jobs.WorkerSpec{Kinds: strings.Fields(strings.Repeat("k ", jobs.MaxKinds+1)), Slots: 1}, "/kinds"},
			"too many queues":    {jobs.WorkerSpec{Kinds: []string{"k"}, Queues: names("q", jobs.MaxQueues+1), Slots: 1}, "/queues"},
			"too many slots":     {jobs.WorkerSpec{Kinds: []string{"k"}, Slots: jobs.MaxSlots + 1}, "/slots"},
			"no slot":            {jobs.WorkerSpec{Kinds: []string{"k"}}, "/slots"},
			"no kind":            {jobs.WorkerSpec{Slots: 1}, "/kinds"},
			"long name":          {jobs.WorkerSpec{Kinds: []string{"k"}, Slots: 1, Name: strings.Repeat("n", jobs.MaxWorkerName+1)}, "/name"},
			"bad kind":           {jobs.WorkerSpec{Kinds: []string{"k", "K"}, Slots: 1}, "/kinds/1"},
			"bad queue":          {jobs.WorkerSpec{Kinds: []string{"k"}, Queues: []string{""}, Slots: 1}, "/queues/0"},
			"built-in":           {jobs.WorkerSpec{Kinds: []string{"k", "http"}, Slots: 1}, "/kinds/1"},
			"deliveries":         {jobs.WorkerSpec{Kinds: []string{jobs.KindWebhook}, Slots: 1}, "/kinds/0"},
			"bulk":               {jobs.WorkerSpec{Kinds: []string{"bulk"}, Slots: 1}, "/kinds/0"},
			"added later":        {jobs.WorkerSpec{Kinds: []string{"late"}, Slots: 1}, "/kinds/0"},
		} {
			_, err := w.engine.Register(jobs.DefaultTenant, test.spec)
			p, _ := errors.AsType[*jobs.Problem](err)
			switch {
			case test.pointer == "" && err == nil:
			case p == nil || p.Status != 422 || p.Errors[0].Pointer != test.pointer:
				t.Errorf("%s: %v", name, err)
			}
		}
		w.expect("workers", len(w.engine.Workers(jobs.DefaultTenant)), 1)
	})
}

func TestWorkersOfATenantAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		last := ""
		for range jobs.MaxWorkers {
			last = w.register(1, "k")
		}
		refused := func(tenant string, s jobs.WorkerSpec) {
			t.Helper()
			_, err := w.engine.Register(tenant, s)
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Code != jobs.LimitExceeded {
				t.Errorf("over the limit: %v", err)
			}
		}
		one := jobs.WorkerSpec{Kinds: []string{"k"}, Slots: 1}
		refused(jobs.DefaultTenant, one)
		registered(t, w.engine, "other", one) // whose limit it is not
		if err := w.engine.Unregister(jobs.DefaultTenant, last); err != nil {
			t.Error(err)
		}
		w.register(1, "k")
		refused(jobs.DefaultTenant, one)
		time.Sleep(5 * time.Minute) // silent ones are forgotten
		w.register(1, "k")

		many := jobs.WorkerSpec{Kinds: names("k", jobs.MaxKinds), Queues: names("q", jobs.MaxQueues), Slots: 1}
		for range jobs.MaxWorkerNames / (jobs.MaxKinds + jobs.MaxQueues) {
			registered(t, w.engine, "names", many)
		}
		refused("names", one)
		time.Sleep(5 * time.Minute)
		registered(t, w.engine, "names", many)
	})
}

func TestCallsOfAWorkerAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(2, "k")
		ctx, cancel := context.WithCancel(bg)
		for i := range 2 + jobs.MaxSpareCalls {
			go func() {
				if i%2 == 0 {
					w.engine.Lease(ctx, jobs.DefaultTenant, id, 1, time.Minute)
				} else {
					w.engine.Beat(ctx, jobs.DefaultTenant, id, nil, time.Minute)
				}
			}()
		}
		synctest.Wait()
		_, lease := w.engine.Lease(bg, jobs.DefaultTenant, id, 1, 0)
		_, beat := w.engine.Beat(bg, jobs.DefaultTenant, id, nil, 0)
		for _, err := range []error{lease, beat} {
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Code != jobs.LimitExceeded {
				t.Errorf("one more call: %v", err)
			}
		}
		cancel()
		synctest.Wait()
		w.beat(id, 0)
		w.submit(jobs.Spec{Kind: "k"})
		w.expect("leased", len(w.lease(id, 1, time.Minute).Jobs), 1)
	})
}

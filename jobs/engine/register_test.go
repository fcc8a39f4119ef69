package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
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
			spec    engine.WorkerSpec
			pointer string
		}{
			"most":               {engine.WorkerSpec{Kinds: names("k", engine.MaxKinds), Queues: names("q", engine.MaxQueues), Slots: engine.MaxSlots, Name: strings.Repeat("n", engine.MaxWorkerName)}, ""},
			"too many kinds":     {engine.WorkerSpec{Kinds: names("k", engine.MaxKinds+1), Slots: 1}, "/kinds"},
			"one kind too often": {engine.WorkerSpec{Kinds: strings.Fields(strings.Repeat("k ", engine.MaxKinds+1)), Slots: 1}, "/kinds"},
			"too many queues":    {engine.WorkerSpec{Kinds: []string{"k"}, Queues: names("q", engine.MaxQueues+1), Slots: 1}, "/queues"},
			"too many slots":     {engine.WorkerSpec{Kinds: []string{"k"}, Slots: engine.MaxSlots + 1}, "/slots"},
			"no slot":            {engine.WorkerSpec{Kinds: []string{"k"}}, "/slots"},
			"no kind":            {engine.WorkerSpec{Slots: 1}, "/kinds"},
			"long name":          {engine.WorkerSpec{Kinds: []string{"k"}, Slots: 1, Name: strings.Repeat("n", engine.MaxWorkerName+1)}, "/name"},
			"bad kind":           {engine.WorkerSpec{Kinds: []string{"k", "K"}, Slots: 1}, "/kinds/1"},
			"bad queue":          {engine.WorkerSpec{Kinds: []string{"k"}, Queues: []string{""}, Slots: 1}, "/queues/0"},
			"built-in":           {engine.WorkerSpec{Kinds: []string{"k", "http"}, Slots: 1}, "/kinds/1"},
			"deliveries":         {engine.WorkerSpec{Kinds: []string{jobs.KindWebhook}, Slots: 1}, "/kinds/0"},
			"bulk":               {engine.WorkerSpec{Kinds: []string{"bulk"}, Slots: 1}, "/kinds/0"},
			"added later":        {engine.WorkerSpec{Kinds: []string{"late"}, Slots: 1}, "/kinds/0"},
		} {
			_, err := w.engine.Workers.Register(jobs.DefaultTenant, test.spec)
			p, _ := errors.AsType[*jobs.Problem](err)
			switch {
			case test.pointer == "" && err == nil:
			case p == nil || p.Status != 422 || p.Errors[0].Pointer != test.pointer:
				t.Errorf("%s: %v", name, err)
			}
		}
		w.expect("workers", len(w.engine.Workers.List(jobs.DefaultTenant)), 1)
	})
}

func TestWorkersOfATenantAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		last := ""
		for range engine.MaxWorkers {
			last = w.register(1, "k")
		}
		refused := func(tenant string, s engine.WorkerSpec) {
			t.Helper()
			_, err := w.engine.Workers.Register(tenant, s)
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Code != jobs.LimitExceeded {
				t.Errorf("over the limit: %v", err)
			}
		}
		one := engine.WorkerSpec{Kinds: []string{"k"}, Slots: 1}
		refused(jobs.DefaultTenant, one)
		registered(t, w.engine, "other", one) // whose limit it is not
		if err := w.engine.Workers.Unregister(jobs.DefaultTenant, last); err != nil {
			t.Error(err)
		}
		w.register(1, "k")
		refused(jobs.DefaultTenant, one)
		time.Sleep(5 * time.Minute) // silent ones are forgotten
		w.register(1, "k")

		many := engine.WorkerSpec{Kinds: names("k", engine.MaxKinds), Queues: names("q", engine.MaxQueues), Slots: 1}
		for range engine.MaxWorkerNames / (engine.MaxKinds + engine.MaxQueues) {
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
		for i := range 2 + engine.MaxSpareCalls {
			go func() {
				if i%2 == 0 {
					w.engine.Workers.Lease(ctx, jobs.DefaultTenant, id, 1, time.Minute)
				} else {
					w.engine.Workers.Beat(ctx, jobs.DefaultTenant, id, nil, time.Minute)
				}
			}()
		}
		synctest.Wait()
		_, lease := w.engine.Workers.Lease(bg, jobs.DefaultTenant, id, 1, 0)
		_, beat := w.engine.Workers.Beat(bg, jobs.DefaultTenant, id, nil, 0)
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

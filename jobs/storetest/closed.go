package storetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"jobhub/jobs"
)

// checkClosed: after Close every method returns ErrClosed, also calls that wait.
func checkClosed(t T, h Harness) {
	s := h.Open()
	c := newJob()
	must(t, s, c)
	calls := map[string]func(ctx context.Context) error{
		"Job": func(ctx context.Context) error { _, _, err := s.Job(ctx, "default", c.Job.ID); return err },
		"List": func(ctx context.Context) error {
			_, err := s.List(ctx, jobs.Filter{})
			return err
		},
		"List of due jobs": func(ctx context.Context) error {
			_, err := s.List(ctx, jobs.Filter{Due: epochStart, Limit: 1})
			return err
		},
		"List by text": func(ctx context.Context) error {
			_, err := s.List(ctx, jobs.Filter{Text: "n"})
			return err
		},
		"Documents":   func(ctx context.Context) error { _, err := s.Documents(ctx, "", "schedule"); return err },
		"Queues":      func(ctx context.Context) error { _, _, err := s.Queues(ctx, ""); return err },
		"Read":        func(ctx context.Context) error { _, err := s.Read(ctx, jobs.ReadQuery{}); return err },
		"Read of one": func(ctx context.Context) error { _, err := s.Read(ctx, jobs.ReadQuery{Job: c.Job.ID}); return err },
		"Wait":        func(ctx context.Context) error { return s.Wait(ctx, s.Head().Seq) },
		"Commit":      func(ctx context.Context) error { return s.Commit(ctx, &jobs.Batch{Now: epochStart}) },
		"Trim": func(ctx context.Context) error {
			_, err := s.Trim(ctx, jobs.Trim{Retained: epochStart, Limit: 1})
			return err
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	head := s.Head().Seq
	all.Go(func() {
		if err := s.Wait(ctx, head); !errors.Is(err, jobs.ErrClosed) {
			t.Errorf("Wait while the store is closed: %v", err)
		}
	})
	for range 4 { // calls during Close may succeed or fail, and must not panic
		for name, call := range calls {
			if name != "Commit" && name != "Trim" { // the engine does not call these during Close
				all.Go(func() { call(ctx) })
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	all.Wait()
	for name, call := range calls {
		if err := call(ctx); !errors.Is(err, jobs.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

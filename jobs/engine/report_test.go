package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
)

// written is the output of a job as the log has it.
func (w *world) written(id jobs.ID) string {
	w.Helper()
	events, err := w.store.Read(bg, jobs.ReadQuery{Job: id})
	if err != nil {
		w.Fatal(err)
	}
	var text strings.Builder
	for _, e := range events {
		if e.Type == jobs.JobOutput {
			o := decodeOutput(w.T, e.Data)
			if o.Off != text.Len() {
				w.Errorf("output at %d follows on %d bytes", o.Off, text.Len())
			}
			text.WriteString(o.Text)
		}
	}
	return text.String()
}

func outputReport(n uint64, text string) attempt.Report {
	return attempt.Report{N: n, Stream: "out", Output: []byte(text)}
}

// A report that is repeated while its first delivery is on its way is answered when that is
// durable, and not before.
func TestRepeatedReportWaitsForTheFirst(t *testing.T) {
	percent := 50.0
	for name, report := range map[string]attempt.Report{
		"output":     outputReport(1, "x"),
		"progress":   {N: 1, Progress: &jobs.Progress{Percent: &percent}},
		"checkpoint": {N: 1, Checkpoint: jobs.Value(`{"at":1}`)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				g := w.openGated(handlers{})
				defer w.close(time.Second)
				w.submit(jobs.Spec{Kind: "k"})
				j := w.leaseOne(w.register(1, "k"))
				synctest.Wait()
				_, open := g.shut()
				left, leave := context.WithCancel(bg)
				first, second, third := make(chan error, 1), make(chan error, 1), make(chan error, 1)
				send := func(ctx context.Context, done chan<- error) {
					accepted, _, err := w.engine.Workers.Report(ctx, jobs.DefaultTenant, engine.Token(j), []attempt.Report{report})
					if err == nil && (accepted != 1 || w.get(j.ID).Reported != 1) {
						err = errors.New(words("accepted", accepted, "and stored", w.get(j.ID).Reported))
					}
					done <- err
				}
				go send(left, first)
				time.Sleep(time.Second)
				leave()
				go send(bg, second)
				go send(left, third)
				synctest.Wait()
				if len(second) > 0 {
					t.Errorf("repeated: %v before it was durable", <-second)
				}
				if err := <-third; !errors.Is(err, context.Canceled) || !known(err) {
					t.Errorf("repeated by somebody who has left: %v", err)
				}
				open()
				for _, done := range []chan error{first, second} {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// What a full disk refused is not taken for known: repeated, it is stored, once and in
// its place.
func TestReportRefusedByAFullDisk(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.openGated(handlers{})
		defer w.close(time.Second)
		w.submit(jobs.Spec{Kind: "k"})
		j := w.leaseOne(w.register(1, "k"))
		report := func(list ...attempt.Report) (uint64, error) {
			accepted, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, engine.Token(j), list)
			return accepted, err
		}
		if n, err := report(outputReport(1, "one ")); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		synctest.Wait()
		step, open := g.shut()
		go func() { step <- jobs.ErrNoSpace }()
		if n, err := report(outputReport(2, "two "), outputReport(3, "three ")); !errors.Is(err, jobs.ErrNoSpace) || !known(err) {
			t.Errorf("on a full disk: %d, %v", n, err)
		}
		w.expect("stored", w.get(j.ID).Reported, 1)
		open()
		time.Sleep(2 * time.Second) // until it is looked for space again
		if n, err := report(outputReport(2, "two "), outputReport(3, "three "), outputReport(4, "four")); n != 4 || err != nil {
			t.Errorf("with space again: %d, %v", n, err)
		}
		w.expect("output", w.written(j.ID), "one two three four")

		// More than goes into one commit: what was stored of it is answered.
		var many []attempt.Report
		for i := range 2000 {
			many = append(many, attempt.Report{N: uint64(5 + i), Stream: []string{"out", "err"}[i%2], Output: []byte("x")})
		}
		synctest.Wait()
		step, open = g.shut()
		go func() { step <- nil; step <- jobs.ErrNoSpace }()
		n, err := report(many...)
		if err != nil || n <= 4 || n >= 2004 || w.get(j.ID).Reported != n {
			t.Errorf("half of it: %d, %v, and stored is %d", n, err, w.get(j.ID).Reported)
		}
		open()
		time.Sleep(2 * time.Second)
		if n, err := report(many...); n != 2004 || err != nil {
			t.Errorf("repeated: %d, %v", n, err)
		}
		w.expect("bytes", len(w.written(j.ID)), len("one two three four")+2000)
	})
}

// A report is stored whole or not at all, whatever ends the process: else a worker that
// repeats it would get the answer that it is known.
func TestReportIsStoredWhole(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.openGated(handlers{})
		w.submit(jobs.Spec{Kind: "k"})
		j := w.leaseOne(w.register(1, "k"))
		synctest.Wait()
		long := strings.Repeat("0123456789", 20_000) // several events
		step, open := g.shut()
		go func() { step <- nil; step <- errors.New("the power went") }()
		if n, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, engine.Token(j), []attempt.Report{outputReport(1, long)}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.expect("one commit", len(w.written(j.ID)), len(long))
		if _, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, engine.Token(j), []attempt.Report{outputReport(2, long)}); err == nil || known(err) {
			t.Errorf("of unknown outcome: %v", err)
		}
		open()
		w.engine.Close(bg)
		w.store.Close()
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		if n, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, engine.Token(j), []attempt.Report{outputReport(1, long), outputReport(2, long)}); n != 2 || err != nil {
			t.Error(n, err)
		}
		w.expect("after a restart", len(w.written(j.ID)), 2*len(long))
	})
}

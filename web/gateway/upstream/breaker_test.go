package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreaker walks a breaker of 3 failures in 10 s, 5 s open, through its states. A step is
// an outcome, time that passes, or the state that is then expected.
func TestBreaker(t *testing.T) {
	type wait = time.Duration
	for name, steps := range map[string][]any{
		"failures in a row":           {Failure, Failure, Closed, Failure, Open},
		"success between":             {Failure, Failure, Success, Failure, Open},
		"unknown does not count":      {Failure, Unknown, Unknown, Unknown, Failure, Closed, Failure, Open},
		"out of the window":           {Failure, Failure, wait(11 * time.Second), Failure, Closed, Failure, Closed, Failure, Open},
		"probe after the open time":   {Failure, Failure, Failure, wait(5*time.Second - 1), Open, wait(1), HalfOpen},
		"probe succeeds":              {Failure, Failure, Failure, wait(5 * time.Second), Success, Closed, Failure, Failure, Closed},
		"probe fails":                 {Failure, Failure, Failure, wait(5 * time.Second), Failure, Open, wait(5 * time.Second), Success, Closed},
		"probe tells nothing":         {Failure, Failure, Failure, wait(5 * time.Second), Unknown, HalfOpen, Success, Closed},
		"old failures are forgotten":  {Failure, Failure, Failure, wait(5 * time.Second), Success, Failure, Failure, Closed},
		"one failure after long time": {Failure, wait(time.Hour), Failure, wait(time.Hour), Failure, Closed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMember(weighted(t, 1)[0], Breaker{Failures: 3})
				for i, step := range steps {
					switch step := step.(type) {
					case Outcome:
						p, ok := m.acquire(time.Now())
						if !ok {
							t.Fatalf("step %d: no request may pass", i)
						}
						m.report(p, step, "", time.Now())
					case wait:
						time.Sleep(step)
					case BreakerState:
						if got := m.snapshot(time.Now()).Breaker; got != step {
							t.Fatalf("step %d: the breaker is %v, want %v", i, got, step)
						}
						if step == Open && m.ready(time.Now()) {
							t.Fatalf("step %d: a request may pass", i)
						}
					}
				}
			})
		})
	}
}

// TestBusyMember: a few failures among many requests do not open the breaker; a tenth does.
func TestBusyMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(weighted(t, 1)[0], Breaker{Failures: 5})
		send := func(o Outcome) {
			p, ok := m.acquire(time.Now())
			if !ok {
				t.Fatal("no request may pass")
			}
			m.report(p, o, "", time.Now())
		}
		for range 40 {
			for range 10 {
				send(Success)
			}
			send(Failure)
			time.Sleep(100 * time.Millisecond)
		}
		if got := m.snapshot(time.Now()).Breaker; got != Closed {
			t.Fatalf("9 %% of failures: %v", got)
		}
		for range 4 { // the fifth came last before
			send(Failure)
		}
		if got := m.snapshot(time.Now()).Breaker; got != Open {
			t.Fatalf("5 failures in a row: %v", got)
		}
	})
}

// TestLateOutcomes: what was sent before a change of state does not change it again.
func TestLateOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(weighted(t, 1)[0], Breaker{Failures: 1})
		late1, _ := m.acquire(time.Now())
		late2, _ := m.acquire(time.Now())
		first, _ := m.acquire(time.Now())
		m.report(first, Failure, "", time.Now())
		time.Sleep(DefaultOpen)
		probe, ok := m.acquire(time.Now())
		if !ok {
			t.Fatal("no probe may pass")
		}
		m.report(late1, Success, "", time.Now())
		if m.ready(time.Now()) {
			t.Error("a late success ended the probe")
		}
		m.report(probe, Success, "", time.Now())
		m.report(late2, Failure, "", time.Now())
		if got := m.snapshot(time.Now()).Breaker; got != Closed {
			t.Errorf("a late failure: %v", got)
		}
	})
}

// TestHerd: of a thousand requests that wait for the breaker to half-open, one passes; the
// others get 503 with the soonest time.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(Options{Members: weighted(t, 1), Breaker: Breaker{Failures: 1, Open: 2500 * time.Millisecond}})
		_, done, err := p.Pick("")
		if err != nil {
			t.Fatal(err)
		}
		done(Failure)
		if _, _, err := p.Pick(""); unavailable(t, err) != 3*time.Second {
			t.Errorf("Retry-After is not the open time, rounded up: %v", err)
		}
		time.Sleep(2500 * time.Millisecond)
		var passed, refused atomic.Int64
		var group sync.WaitGroup
		finish, cancel := context.WithCancel(context.Background())
		for range 1000 {
			group.Go(func() {
				_, done, err := p.Pick("")
				if err != nil {
					refused.Add(1)
					return
				}
				passed.Add(1)
				<-finish.Done()
				done(Success)
				done(Failure) // does nothing
			})
		}
		synctest.Wait()
		if passed.Load() != 1 || refused.Load() != 999 {
			t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
		}
		cancel()
		group.Wait()
		if s := p.Members()[0]; s.Breaker != Closed || s.InFlight != 0 || s.Requests != 2 || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestBudget: at most 20 % more requests in 10 s, and 10.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(budget)
		take := func() (n int) {
			for b.take(time.Now()) {
				n++
			}
			return n
		}
		if n := take(); n != 10 {
			t.Errorf("%d without requests", n)
		}
		for range 100 {
			b.count(time.Now())
		}
		if n := take(); n != 20 {
			t.Errorf("%d more for 100 requests", n)
		}
		time.Sleep(budgetTime * time.Second)
		if n := take(); n != 10 {
			t.Errorf("%d after 10 s", n)
		}
	})
}

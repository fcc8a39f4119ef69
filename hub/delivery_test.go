package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// ringSizes make cursors read from the ring, around its end, and before it.
var ringSizes = []int{1, 4 << 10, 0}

// owner drives a cursor and compares what it gives with the log.
type owner struct {
	hub    *hub.Hub
	log    *memLog
	cursor *cursor
	subs   map[string]hub.Subscription
	got    int
	newest map[jobs.ID]uint64 // progress that was given
	since  uint64             // where the subscriptions changed last
}

func (o *owner) wants(e *jobs.Event) (wanted, all bool) {
	for _, s := range o.subs {
		if s.Match(e) && (e.Type != jobs.JobProgress || s.Progress != hub.ProgressNone) {
			wanted = true
			all = all || s.Progress == hub.ProgressAll
		}
	}
	return wanted, all
}

// check compares a chunk with what the subscriptions select of the passed part of the
// log. Progress may be left out if there is newer progress of its job.
func (o *owner) check(before uint64, events []*hub.Event) error {
	after := o.cursor.Seq()
	if after < before {
		return fmt.Errorf("the cursor went back from %d to %d", before, after)
	}
	o.got += len(events)
	for _, e := range o.log.span(before, after) {
		wanted, all := o.wants(e)
		switch {
		case len(events) > 0 && events[0].Seq == e.Seq && wanted:
			if events = events[1:]; e.Type == jobs.JobProgress {
				o.newest[e.Job] = e.Seq
			}
		case wanted && (e.Type != jobs.JobProgress || all || !o.replaced(e)):
			return fmt.Errorf("from %d to %d: %s %d is missing, next is %v", before, after, e.Type, e.Seq, events)
		}
	}
	if len(events) > 0 {
		return fmt.Errorf("from %d to %d: %s %d was not selected", before, after, events[0].Type, events[0].Seq)
	}
	return nil
}

func (o *owner) replaced(old *jobs.Event) bool {
	for _, e := range o.log.span(old.Seq, o.hub.Position().Seq) {
		if e.Type == jobs.JobProgress && e.Job == old.Job {
			return true
		}
	}
	return false
}

// step calls Next once.
func (o *owner) step(ctx context.Context) (more bool, err error) {
	before := o.cursor.Seq()
	chunk, err := o.cursor.Next(ctx)
	if err != nil {
		return false, err
	}
	if chunk == nil {
		return false, o.check(before, nil)
	}
	return true, o.check(before, chunk.Events)
}

// bring calls Until once.
func (o *owner) bring(ctx context.Context, seq uint64) error {
	at := o.cursor.Seq()
	err := o.cursor.ReadUntil(ctx, seq, func(chunk *hub.Chunk) error {
		for _, e := range chunk.Events {
			if e.Seq <= at || e.Seq > chunk.To {
				return fmt.Errorf("%d lies outside of (%d, %d]", e.Seq, at, chunk.To)
			}
		}
		before := at
		at = chunk.To
		o.got += len(chunk.Events)
		given := chunk.Events
		for _, e := range o.log.span(before, at) {
			wanted, all := o.wants(e)
			if len(given) > 0 && given[0].Seq == e.Seq && wanted {
				if given = given[1:]; e.Type == jobs.JobProgress {
					o.newest[e.Job] = e.Seq
				}
			} else if wanted && (e.Type != jobs.JobProgress || all || !o.replaced(e)) {
				return fmt.Errorf("until %d: %d is missing", seq, e.Seq)
			}
		}
		if len(given) > 0 {
			return fmt.Errorf("until %d: %d was not selected", seq, given[0].Seq)
		}
		return nil
	})
	if err == nil && o.cursor.Seq() < seq {
		err = fmt.Errorf("until %d came to %d", seq, o.cursor.Seq())
	}
	return err
}

// finish reads on until all up to head was given.
func (o *owner) finish(ctx context.Context, head uint64) error {
	for o.cursor.Seq() < head {
		more, err := o.step(ctx)
		if err != nil {
			return err
		}
		if before := o.cursor.Seq(); !more && o.cursor.SkipUnmatched() < head {
			select {
			case <-o.cursor.woken:
			case <-ctx.Done():
				return fmt.Errorf("the cursor sleeps at %d of %d", before, head)
			}
		} else if err := o.check(before, nil); err != nil {
			return fmt.Errorf("settled: %w", err)
		}
	}
	for _, e := range o.log.span(o.since, head) {
		if wanted, _ := o.wants(e); wanted && e.Type == jobs.JobProgress && !o.replaced(e) && o.newest[e.Job] != e.Seq {
			return fmt.Errorf("the latest progress %d was not given", e.Seq)
		}
	}
	return nil
}

func TestCursorGivesEachSelectedEventOnceAndInOrder(t *testing.T) {
	for _, ring := range ringSizes {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("ring=%d/seed=%d", ring, seed), func(t *testing.T) {
				t.Parallel()
				log := newLog()
				h := open(t, log, ring)
				over := make(chan struct{})
				var writer, wanderers, owners sync.WaitGroup
				writer.Go(func() {
					r := rand.New(rand.NewPCG(seed, 0))
					for {
						batch := make([]jobs.Event, 1+r.IntN(20))
						for i := range batch {
							batch[i] = someEvent(r)
						}
						head := log.commit(batch...)
						select {
						case <-over:
							return
						default:
							runtime.Gosched()
						}
						if head > 20_000 { // the rest is for those who lag
							<-over
							return
						}
					}
				})
				got := make([]int, 6)
				wanderers.Add(len(got))
				for i := range got {
					owners.Go(func() {
						r := rand.New(rand.NewPCG(seed, uint64(i)+1))
						o := &owner{hub: h, log: log, cursor: newCursor(h), subs: map[string]hub.Subscription{}, newest: map[jobs.ID]uint64{}}
						defer o.cursor.Close()
						err := o.wander(t.Context(), r, 300)
						wanderers.Done()
						if err != nil {
							t.Error(err)
							return
						}
						<-over
						writer.Wait()
						head := log.Head().Seq
						if err := h.WaitFor(t.Context(), head); err != nil {
							t.Error(err)
							return
						}
						if err := o.finish(t.Context(), head); err != nil {
							t.Error(err)
						}
						got[i] = o.got
					})
				}
				wanderers.Wait()
				close(over)
				owners.Wait()
				sum := 0
				for _, n := range got {
					sum += n
				}
				if sum < 1000 {
					t.Errorf("the cursors got only %d events: this proves little", sum)
				}
			})
		}
	}
}

// wander subscribes, unsubscribes and reads at random.
func (o *owner) wander(ctx context.Context, r *rand.Rand, steps int) error {
	for next := range steps {
		switch n := r.IntN(20); {
		case len(o.subs) == 0 || (n < 2 && len(o.subs) < 5):
			if err := o.bring(ctx, o.hub.Position().Seq); err != nil {
				return err
			}
			id, s := fmt.Sprint(next), someSubscription(r)
			o.subs[id], o.since = s, o.cursor.Seq()
			o.cursor.Subscribe(id, s)
		case n < 4:
			o.since = o.cursor.Seq()
			for id := range o.subs {
				delete(o.subs, id)
				if !o.cursor.Unsubscribe(id) {
					return fmt.Errorf("subscription %s was lost", id)
				}
				break
			}
		case n < 8: // sleep as a connection does
			select {
			case <-o.cursor.woken:
			case <-time.After(10 * time.Millisecond):
			}
		case n < 10:
			if err := o.bring(ctx, min(o.hub.Position().Seq, o.cursor.Seq()+uint64(r.IntN(30)))); err != nil {
				return err
			}
		case n == 10:
			o.cursor.Suspend()
		case n == 11:
			before := o.cursor.Seq()
			o.cursor.SkipUnmatched()
			if err := o.check(before, nil); err != nil {
				return fmt.Errorf("settled: %w", err)
			}
		default:
			for more, err := true, error(nil); more; {
				if more, err = o.step(ctx); err != nil {
					return err
				}
				more = more && r.IntN(4) > 0
			}
		}
	}
	return nil
}

// An owner that only ever acts when it is woken gets everything: no wake-up is lost.
func TestWakeIsNeverLost(t *testing.T) {
	for _, ring := range ringSizes {
		t.Run(fmt.Sprint("ring=", ring), func(t *testing.T) {
			t.Parallel()
			log := newLog()
			h := open(t, log, ring)
			var owners sync.WaitGroup
			const total = 3000
			for i := range 10 {
				c := newCursor(h)
				c.Subscribe("", toJob(i))
				owners.Go(func() {
					defer c.Close()
					for got := 0; got < total/10; {
						select {
						case <-c.woken:
						case <-t.Context().Done():
							t.Errorf("job %d: no wake-up after %d of %d events", i, got, total/10)
							return
						}
						for {
							chunk, err := c.Next(t.Context())
							if err != nil {
								t.Error(err)
								return
							}
							if chunk == nil {
								break
							}
							got += len(chunk.Events)
						}
					}
				})
			}
			for n := range total {
				log.commit(event(n%10, jobs.JobOutput))
			}
			owners.Wait()
		})
	}
}

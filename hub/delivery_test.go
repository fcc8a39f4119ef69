package hub_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
)

// ringSizes make cursors read from the ring, around its end, and behind it.
var ringSizes = []int{1, 4 << 10, 0}

// owner drives a cursor and compares each step with the log.
type owner struct {
	log    *memLog
	cursor *hub.Cursor
	subs   map[string]hub.Subscription
	got    int
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

// step calls Next once and checks that exactly what the subscriptions select of the
// passed part of the log was given, less progress that newer progress replaces.
func (o *owner) step(ctx context.Context, limit uint64, most int) (more bool, err error) {
	before := o.cursor.Seq()
	events, more, err := o.cursor.Next(ctx, limit, most)
	if err != nil {
		return false, err
	}
	o.got += len(events)
	after := o.cursor.Seq()
	if after < before || (after > limit && after != before) {
		return false, fmt.Errorf("the cursor went from %d to %d, the limit was %d", before, after, limit)
	}
	newest := map[jobs.ID]uint64{}
	passed := o.log.span(before, after)
	for _, e := range passed {
		if wanted, _ := o.wants(e); wanted && e.Type == jobs.JobProgress {
			newest[e.Job] = e.Seq
		}
	}
	for _, e := range passed {
		wanted, all := o.wants(e)
		if !wanted || (e.Type == jobs.JobProgress && !all && newest[e.Job] != e.Seq) {
			continue
		}
		if len(events) == 0 || events[0].Seq != e.Seq {
			return false, fmt.Errorf("from %d to %d: %s %d is missing, next is %v", before, after, e.Type, e.Seq, events)
		}
		events = events[1:]
	}
	if len(events) > 0 {
		return false, fmt.Errorf("from %d to %d: %s %d was not selected", before, after, events[0].Type, events[0].Seq)
	}
	return more, nil
}

func (o *owner) finish(ctx context.Context, head uint64) error {
	for {
		more, err := o.step(ctx, math.MaxUint64, 100)
		if err != nil {
			return err
		}
		if !more && o.cursor.Seq() == head {
			return nil
		}
		if !more {
			return fmt.Errorf("the cursor rests at %d of %d and says that there is no more", o.cursor.Seq(), head)
		}
	}
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
						log.commit(batch...)
						select {
						case <-over:
							return
						default:
							runtime.Gosched()
						}
					}
				})
				got := make([]int, 6)
				wanderers.Add(len(got))
				for i := range got {
					owners.Go(func() {
						r := rand.New(rand.NewPCG(seed, uint64(i)+1))
						o := &owner{log: log, cursor: h.Cursor(), subs: map[string]hub.Subscription{}}
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
						if err := h.Reach(t.Context(), head); err != nil {
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
		switch {
		case len(o.subs) == 0 || (r.IntN(8) == 0 && len(o.subs) < 5):
			id, s := fmt.Sprint(next), someSubscription(r)
			o.subs[id] = s
			o.cursor.Subscribe(id, s)
		case r.IntN(10) == 0:
			for id := range o.subs {
				delete(o.subs, id)
				if !o.cursor.Unsubscribe(id) {
					return fmt.Errorf("subscription %s was lost", id)
				}
				break
			}
		case r.IntN(4) == 0: // sleep as a connection does
			select {
			case <-o.cursor.Wake():
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		limit := uint64(math.MaxUint64)
		if r.IntN(3) == 0 {
			limit = o.cursor.Seq() + uint64(r.IntN(30))
		}
		if _, err := o.step(ctx, limit, 1+r.IntN(60)); err != nil {
			return err
		}
	}
	return nil
}

// An owner that only ever acts on Wake gets everything: no wake-up is lost.
func TestWakeIsNeverLost(t *testing.T) {
	for _, ring := range ringSizes {
		t.Run(fmt.Sprint("ring=", ring), func(t *testing.T) {
			t.Parallel()
			log := newLog()
			h := open(t, log, ring)
			var owners sync.WaitGroup
			const total = 3000
			for i := range 10 {
				c := h.Cursor()
				c.Subscribe("", toJob(i))
				owners.Go(func() {
					defer c.Close()
					for got := 0; got < total/10; {
						select {
						case <-c.Wake():
						case <-t.Context().Done():
							t.Errorf("job %d: no wake-up after %d of %d events", i, got, total/10)
							return
						}
						for more := true; more; {
							var events []*hub.Event
							var err error
							if events, more, err = c.Next(t.Context(), math.MaxUint64, 7); err != nil {
								t.Error(err)
								return
							}
							got += len(events)
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

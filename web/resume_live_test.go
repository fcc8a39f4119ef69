package web_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// history is the whole log, also what was trimmed of it.
type history struct {
	w *world

	mu      sync.Mutex // protects the fields below
	events  []*jobs.Event
	trimmed uint64 // positions before may have been forgotten
}

func (h *history) catchUp() []*jobs.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.catchUpLocked()
}

func (h *history) catchUpLocked() []*jobs.Event {
	h.w.t.Helper()
	for {
		more, err := h.w.store.Read(h.w.t.Context(), jobs.ReadQuery{After: uint64(len(h.events))})
		if err != nil {
			h.w.t.Fatal(err)
		}
		if len(more) == 0 {
			return h.events
		}
		h.events = append(h.events, more...)
	}
}

// trim forgets all but the newest events.
func (h *history) trim(keep uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	head := uint64(len(h.catchUpLocked()))
	if head <= keep {
		return
	}
	h.trimmed = max(h.trimmed, head-keep)
	if _, err := h.w.store.Trim(h.w.t.Context(), jobs.Trim{Seq: h.trimmed}); err != nil {
		h.w.t.Fatal(err)
	}
}

func (h *history) mayHaveForgotten(since uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return since < h.trimmed
}

// TestCutWhileJobsRun cuts connections at random moments, again and again, while jobs
// run and, in every other run, while the log is trimmed under them.
func TestCutWhileJobsRun(t *testing.T) {
	for name, sse := range transports {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
					t.Parallel()
					w := startIn(t, t.TempDir(), func(p *parts) { p.hub.RingBytes = []int{0, 1, 8 << 10, 64 << 10}[seed] })
					cutWhileJobsRun(t, w, sse, seed, seed%2 == 1)
				})
			}
		})
	}
}

const (
	fewCuts  = 8    // of each client at least, while there is load
	mostJobs = 5000 // of each of the three who submit; a few hundred are enough where the hub is fast
)

func cutWhileJobsRun(t *testing.T, w *world, sse bool, seed uint64, trims bool) {
	first := w.submit(`{"kind":"busy","input":true,"queue":"q0","tags":["t1"]}`)
	log := &history{w: w}
	var load, following sync.WaitGroup
	over := make(chan struct{})
	var all []*resumer
	for n, f := range []filter{
		{`"all":true`, hub.Filter{All: true}}, {`"all":true`, hub.Filter{All: true}}, {`"queue":"q1"`, hub.Filter{Queue: "q1"}},
		{`"tag":"t1"`, hub.Filter{Tag: "t1"}}, {`"kind":"busy"`, hub.Filter{Kind: "busy"}}, {`"job":"` + first + `"`, hub.Filter{Job: jobID(first)}},
	} {
		f.Tenant = jobs.DefaultTenant
		r := &resumer{filter: f, w: w, t: t, sse: sse, snapshot: n == 1 || n == 5, progress: []string{"all", "", "latest", "none"}[n%4]}
		all = append(all, r)
	}
	var enough atomic.Int64 // clients that were not cut often enough yet
	enough.Store(int64(len(all)))
	for n := range 3 {
		load.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			for i := 0; i < mostJobs && !t.Failed() && enough.Load() > 0; i++ {
				id := w.submit(fmt.Sprintf(`{"kind":"busy","input":%v,"queue":"q%d","tags":["t%d"]}`, r.IntN(2) == 0, r.IntN(3), r.IntN(3)))
				if i%4 == 3 { // the clients get some air
					settle(w, []string{id})
				}
			}
		})
	}
	var head uint64 // set before over is closed
	cuts := make([]int, len(all))
	for n, r := range all {
		following.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(100+n)))
			for {
				select {
				case <-over:
					r.connect(func() bool { return r.replayed && r.live >= head })
					return
				default:
				}
				if cuts[n] == 3*fewCuts {
					<-over
					continue
				}
				// Cut by its bytes, or after some objects, or after a while.
				conn := r.dial(time.Duration(10+random.IntN(200)) * time.Millisecond)
				stop := random.IntN(40)
				r.cut = true
				r.hear(conn, random.IntN(1+1<<random.IntN(15)), func() bool { stop--; return stop < 0 })
				r.cut = false
				conn.Close()
				if cuts[n]++; cuts[n] == fewCuts {
					enough.Add(-1)
				}
			}
		})
	}
	trimming, stop := context.WithCancel(t.Context())
	defer stop()
	if trims {
		following.Go(func() {
			r := rand.New(rand.NewPCG(seed, 99))
			for w.store.Wait(trimming, w.store.Head().Seq+uint64(r.IntN(20))) == nil {
				log.trim(uint64(1 + r.IntN(30)))
			}
		})
	}
	load.Wait()
	stop()
	settle(w, log.ids())
	w.submit(`{"kind":"nobody","queue":"q1","tags":["t1"]}`)
	head = uint64(len(log.catchUp()))
	if err := w.hub.WaitFor(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	close(over)
	following.Wait()
	for n, r := range all {
		r.check(log.catchUp())
		for _, reset := range r.resets {
			if reset.reason != "expired" || reset.since.Epoch != w.hub.Epoch() || !log.mayHaveForgotten(reset.since.Seq) {
				t.Errorf("%s was reset at %v (%s), which the log still had", r.member, reset.since, reset.reason)
			}
		}
		if cuts[n] < fewCuts {
			t.Errorf("%s was cut %d times: this proves little", r.member, cuts[n])
		}
	}
}

// ids are the jobs of the log.
func (h *history) ids() (ids []string) {
	seen := map[jobs.ID]bool{}
	for _, e := range h.catchUp() {
		if e.Job != (jobs.ID{}) && !seen[e.Job] {
			seen[e.Job] = true
			ids = append(ids, e.Job.String())
		}
	}
	return ids
}

// TestResumeBehindATrim resumes from every position of a log that was trimmed, of
// another log, and of none.
func TestResumeBehindATrim(t *testing.T) {
	for name, sse := range transports {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			ids := []string{w.submit(`{"kind":"busy","input":true,"queue":"q0"}`), w.submit(`{"kind":"busy","input":false,"queue":"q1"}`)}
			settle(w, ids)
			w.submit(`{"kind":"nobody","queue":"q0"}`)
			log := w.log()
			head := uint64(len(log))
			epoch := w.hub.Epoch()
			var floor uint64
			for _, floor = range []uint64{1, head / 2} {
				if _, err := w.store.Trim(t.Context(), jobs.Trim{Seq: floor}); err != nil {
					t.Fatal(err)
				}
				for _, f := range []filter{
					{`"all":true`, hub.Filter{All: true}}, {`"queue":"q0"`, hub.Filter{Queue: "q0"}}, {`"kind":"busy"`, hub.Filter{Kind: "busy"}},
					{`"job":"` + ids[1] + `"`, hub.Filter{Job: jobID(ids[1])}},
				} {
					f.Tenant = jobs.DefaultTenant
					for _, since := range append([]uint64{head + 1, head + 1e6, 1 << 53, 1<<64 - 1}, upTo(head)...) {
						for _, of := range []string{epoch, "elsewhere"} {
							if of != epoch && since%8 != 0 { // a few tell it all
								continue
							}
							r := &resumer{filter: f, w: w, t: t, sse: sse, progress: "all", pos: &jobs.Position{Epoch: of, Seq: since}, spans: []*span{{from: since, to: since}}}
							want := ""
							switch {
							case of != epoch:
								want = "epoch"
							case since < floor:
								want = "expired"
							case since > head:
								want = "future"
							}
							r.connect(func() bool { return r.replayed })
							if want != "" {
								if r.spans = slices.DeleteFunc(r.spans, func(s *span) bool { return s.states == nil }); len(r.spans) != 1 {
									t.Fatalf("%s since %s:%d: %d snapshots", f.member, of, since, len(r.spans))
								}
							}
							if want == "" && len(r.resets) > 0 || want != "" && (len(r.resets) != 1 || r.resets[0].reason != want) {
								t.Fatalf("%s since %s:%d, where the log begins at %d: %+v, want %q", f.member, of, since, floor, r.resets, want)
							}
							if r.check(log); r.live != head || t.Failed() {
								t.Fatalf("%s since %s:%d, where the log begins at %d: %d was reached", f.member, of, since, floor, r.live)
							}
						}
					}
				}
			}
		})
	}
}

func upTo(head uint64) (all []uint64) {
	for seq := range head + 1 {
		all = append(all, seq)
	}
	return all
}

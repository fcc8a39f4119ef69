package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
)

func replayed(h *hub.Hub, s hub.Subscription, after, upTo uint64) (seqs []uint64, err error) {
	err = h.Replay(context.Background(), s, after, upTo, func(chunk *hub.Chunk) error {
		seqs = append(seqs, seqsOf(chunk)...)
		return nil
	})
	return seqs, err
}

func TestReplayFromEveryPosition(t *testing.T) {
	const head = 120
	for _, ring := range ringSizes {
		log := newLog()
		h := open(t, log, ring)
		r := rand.New(rand.NewPCG(7, 7))
		for range head {
			log.commit(someEvent(r))
		}
		reach(t, h, head)
		for n := range 12 {
			s := someSubscription(r)
			s.Progress = []hub.ProgressMode{hub.ProgressNone, hub.ProgressAll}[n%2]
			for after := range uint64(head + 1) {
				upTo := after + uint64(r.IntN(int(head-after)+1))
				var want []uint64
				for _, e := range log.span(after, upTo) {
					if s.Match(e) && (e.Type != jobs.JobProgress || s.Progress == hub.ProgressAll) {
						want = append(want, e.Seq)
					}
				}
				if got, err := replayed(h, s, after, upTo); err != nil || !slices.Equal(got, want) {
					t.Fatalf("ring %d, %+v in (%d, %d]: got %v and %v, want %v", ring, s, after, upTo, got, err, want)
				}
			}
		}
	}
}

func TestReplayOfAPositionThatIsNotThere(t *testing.T) {
	for _, ring := range ringSizes {
		log := newLog()
		for range 10 {
			log.commit(event(1, jobs.JobOutput))
		}
		log.trim(5)
		h := open(t, log, 1)
		for _, s := range []hub.Subscription{toAll(hub.ProgressAll), toJob(1)} {
			for _, test := range []struct {
				after uint64
				want  error
			}{{0, jobs.ErrTrimmed}, {4, jobs.ErrTrimmed}, {5, nil}, {10, nil}, {11, jobs.ErrAhead}, {1 << 63, jobs.ErrAhead}} {
				t.Run(fmt.Sprintf("ring=%d/all=%v/after=%d", ring, s.All, test.after), func(t *testing.T) {
					got, err := replayed(h, s, test.after, max(test.after, 10))
					if !errors.Is(err, test.want) || (test.want != nil && got != nil) {
						t.Errorf("got %v and %v, want %v", got, err, test.want)
					}
				})
			}
		}
	}
}

func TestReplayMergesProgress(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	for _, typ := range []jobs.EventType{jobs.JobStarted, jobs.JobProgress, jobs.JobProgress, jobs.JobOutput} {
		log.commit(event(1, typ))
	}
	reach(t, h, 4)
	s := toAll(hub.ProgressLatest)
	if got, err := replayed(h, s, 0, 4); err != nil || !slices.Equal(got, []uint64{1, 3, 4}) {
		t.Errorf("got %v and %v, want 1 3 4", got, err)
	}
	if got, err := replayed(h, s, 0, 2); err != nil || !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("up to 2: got %v and %v; events after the end may not replace others", got, err)
	}
}

func TestReplayEndsWithItsReader(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	for range 5000 {
		log.commit(event(1, jobs.JobOutput))
	}
	reach(t, h, 5000)
	enough := errors.New("enough")
	calls := 0
	err := h.Replay(t.Context(), toAll(hub.ProgressAll), 0, 5000, func(*hub.Chunk) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("got %v after %d calls, want the reader's error after the first", err, calls)
	}
}

func TestReach(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	reach(t, h, 0)
	done := make(chan error)
	go func() { done <- h.WaitFor(t.Context(), 3) }()
	log.commit(event(1, jobs.JobOutput))
	log.commit(event(1, jobs.JobOutput), event(1, jobs.JobOutput))
	if err := <-done; err != nil || h.Position() != (jobs.Position{Epoch: "e1", Seq: 3}) {
		t.Errorf("got %v at %v", err, h.Position())
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- h.WaitFor(ctx, 4) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

func TestHubBeginsAtTheHead(t *testing.T) {
	log := newLog()
	for range 10 {
		log.commit(event(1, jobs.JobOutput))
	}
	log.trim(8)
	for _, ring := range ringSizes {
		h := open(t, log, ring)
		if h.Position().Seq != 10 {
			t.Errorf("ring %d: a new hub is at %v", ring, h.Position())
		}
		c := newCursor(h)
		if c.Seq() != 10 {
			t.Errorf("ring %d: a new cursor is at %d", ring, c.Seq())
		}
		c.Close()
	}
}

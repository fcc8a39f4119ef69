package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	sceneQueues = 200                 // with a job each that no worker takes
	sceneRuns   = 1 + writers*writers // jobs of queue watch that run as long as the scene
	writers     = 7                   // goroutines that report for all jobs but the first
)

// scene is a hub with data for the pages, and a client that records when its events were
// committed. The first of the running jobs is the canary: its progress has numbers
// ("mark 17") that the measurement looks for in pages.
type scene struct {
	*stage
	runs []*running
	ears *audience

	mu    sync.Mutex        // protects the fields below
	marks map[int]time.Time // when each mark of the canary was committed
	ended []time.Time       // when jobs succeeded, in order
	mark  int               // the last one
}

func openScene(ctx context.Context, p *place) (_ *scene, err error) {
	stage, err := openStage(ctx, p, "")
	if err != nil {
		return nil, err
	}
	s := &scene{stage: stage, marks: map[int]time.Time{}}
	defer func() {
		if err != nil {
			s.kill()
		}
	}()
	for i := range sceneQueues {
		if _, err := s.wires[0].submit(fmt.Appendf(nil, `{"kind":"nobody","queue":"queue-%03d"}`, i)); err != nil {
			return nil, err
		}
	}
	// One after the other, so that the canary is the newest.
	for range sceneRuns {
		ids, err := s.submit(ctx, "watch", 1)
		if err != nil {
			return nil, err
		}
		runs, err := s.take(s.wires[0], "watch", 1)
		if err != nil {
			return nil, err
		}
		if runs[0].id != ids[0] {
			return nil, fmt.Errorf("job %s was leased, not %s", runs[0].id, ids[0])
		}
		s.runs = append(runs, s.runs...)
	}
	s.ears, err = gather(ctx, guests{addr: s.addr, n: 1, path: func(int) string { return "/v1/ws?all=1&progress=all" }, watch: func(int) watcher { return s.hear }})
	return s, err
}

func (s *scene) kill() {
	if s.ears != nil {
		s.ears.leave()
	}
	s.stage.kill()
}

func (s *scene) stop() error {
	err := s.ears.failed()
	s.ears.leave()
	return errors.Join(err, s.stage.stop())
}

func (s *scene) canary() *running { return s.runs[0] }

// hear records the times of commits.
func (s *scene) hear(event []byte, _ time.Time) error {
	succeeded := bytes.HasPrefix(event, []byte(`{"type":"job.succeeded"`))
	mark := memberOf(event, `"message":"mark `, `!`)
	if !succeeded && len(mark) == 0 {
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(memberOf(event, `"at":"`, `"`)))
	if err != nil {
		return fmt.Errorf("an event without its time: %s", event)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if succeeded {
		s.ended = append(s.ended, at)
		return nil
	}
	n, err := strconv.Atoi(string(mark))
	s.marks[n] = at
	return err
}

// committed returns when the event that a page shows as n was committed. The page may have it
// before this client.
func (s *scene) committed(ctx context.Context, by marker, n int) (time.Time, error) {
	for range 100 {
		if at, known := s.heard(by, n); known {
			return at, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, fmt.Errorf("a page shows %d, but there is no such event", n)
}

func (s *scene) heard(by marker, n int) (at time.Time, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if by == endings {
		if n < 1 || n > len(s.ended) {
			return time.Time{}, false
		}
		return s.ended[n-1], true
	}
	at, known = s.marks[n]
	return at, known
}

// once sends something over a new connection, because the hub closes idle ones.
func (s *scene) once(do func(w *wire) error) error {
	w, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer w.close()
	return do(w)
}

// seq returns the seq of the newest event.
func (s *scene) seq() (seq uint64, err error) {
	err = s.once(func(w *wire) error {
		seq, err = seqIn(w)
		return err
	})
	return seq, err
}

func seqIn(w *wire) (uint64, error) {
	answer, err := w.call("GET", "/v1/jobs?limit=1", nil, http.StatusOK)
	if err != nil {
		return 0, err
	}
	return seqOf(answer[max(bytes.LastIndex(answer, []byte(`"seq":`)), 0):])
}

// tell makes the canary report the next mark, after some lines of output.
func (s *scene) tell(w *wire, lines int) error {
	s.mu.Lock()
	s.mark++
	mark := s.mark
	s.mu.Unlock()
	if lines > 0 {
		if err := s.canary().report(w, lines); err != nil {
			return err
		}
	}
	return s.canary().progress(w, "mark "+strconv.Itoa(mark)+"!")
}

// progress reports the progress of a job.
func (r *running) progress(w *wire, message string) error {
	r.n++
	_, err := w.call("POST", "/v1/leases/"+r.lease+"/events", fmt.Appendf(nil, `{"n":%d,"type":"progress","percent":%d,"message":%q}`, r.n, r.n%100, message), http.StatusOK)
	return err
}

// traffic says how many events are made per second.
type traffic struct {
	lives int // jobs that start and end, with three events each
	rows  int // reports of progress by the running jobs
	marks int // marks of the canary
	lines int // lines of output of the canary with each mark
}

var (
	hushed = traffic{marks: 6}                                                       // the time between marks is longer than the hub's pause between two renderings
	lively = traffic{lives: 133, rows: 490, marks: 10, lines: 10}                    // 1,000 events
	steady = traffic{lives: 20, rows: 80, marks: 5, lines: 11}                       // 200 events
	spread = []time.Duration{0, 7, 13, 29, 3, 41, 17, 37, 11, 23, 31, 5, 19, 43, 47} // ms added to the times of marks, so that they are not in step with anything
)

// play makes traffic until ctx ends.
func (s *scene) play(ctx context.Context, t traffic) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var team sync.WaitGroup
	every := func(rate int, do func(w *wire, i int) error) {
		pace := pacer{start: time.Now(), every: time.Second / time.Duration(rate)}
		team.Go(func() {
			err := s.once(func(w *wire) error {
				for i := 0; ; i++ {
					if err := pace.wait(ctx, i); err != nil {
						return err
					}
					if err := do(w, i); err != nil {
						return err
					}
				}
			})
			if ctx.Err() == nil {
				cancel(failure{err})
			}
		})
	}
	if t.lives > 0 {
		var runs atomic.Int64
		staff, err := workHub(ctx, s.addr, &runs)
		if err != nil {
			return err
		}
		defer staff.stop()
		const size = 4
		body := batchOf(size)
		every(max(t.lives/size, 1), func(w *wire, _ int) error { return w.batch(body, size) })
		every(5, func(*wire, int) error { _, err := staff.finished(); return err })
	}
	if t.rows > 0 {
		for k := range writers {
			every(t.rows/writers, func(w *wire, i int) error {
				at := 1 + k + writers*(i%writers) // one of its own jobs
				return s.runs[at].progress(w, "step "+strconv.Itoa(i))
			})
		}
	}
	every(t.marks, func(w *wire, i int) error {
		if err := pause(ctx, spread[i%len(spread)]*time.Millisecond); err != nil {
			return err
		}
		return s.tell(w, t.lines)
	})
	team.Wait()
	if f, ok := context.Cause(ctx).(failure); ok {
		return f.error
	}
	return nil
}

// failure ends the traffic with an error.
type failure struct{ error }

// during plays traffic while do runs, and returns how many events a second there were.
func (s *scene) during(ctx context.Context, t traffic, do func(context.Context) error) (rate float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	played := make(chan error, 1)
	go func() {
		err := s.play(ctx, t)
		cancel(err)
		played <- err
	}()
	before, err := s.seq()
	began := time.Now()
	if err == nil {
		err = do(ctx)
	}
	took := time.Since(began)
	var after uint64
	if err == nil {
		after, err = s.seq()
	}
	cancel(nil)
	return float64(after-before) / took.Seconds(), errors.Join(<-played, err)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// stage is a hub with jobs that run on workers in this process, so that events can be made at
// any rate. The workers use HTTP, like any other worker.
type stage struct {
	*process
	wires []*wire // stageWires; each is used by one goroutine at a time
}

const stageWires = 64

func openStage(ctx context.Context, p *place, data string) (_ *stage, err error) {
	program, err := p.program(ctx)
	if err != nil {
		return nil, err
	}
	if data == "" {
		if data, err = p.sub(); err != nil {
			return nil, err
		}
	}
	hub, err := serve(ctx, program, data, "--lease", "1h") // no beats during the measurement
	if err != nil {
		return nil, err
	}
	s := &stage{process: hub}
	for range stageWires {
		w, err := dial(hub.addr)
		if err != nil {
			s.kill()
			return nil, err
		}
		s.wires = append(s.wires, w)
	}
	return s, nil
}

// kill ends the hub if it still runs.
func (s *stage) kill() {
	s.hangUp()
	s.process.kill()
}

// stop ends the hub in an orderly way.
func (s *stage) stop() error {
	s.hangUp()
	return s.process.stop()
}

func (s *stage) hangUp() {
	for _, w := range s.wires {
		w.close()
	}
	s.wires = nil
}

// each calls do for 0 to n-1, in one goroutine for each wire. One wire gets every
// stageWires-th number, in order.
func (s *stage) each(ctx context.Context, n int, do func(w *wire, i int) error) error {
	failed := make([]error, len(s.wires))
	var wg sync.WaitGroup
	for k, w := range s.wires {
		wg.Go(func() {
			for i := k; i < n && failed[k] == nil; i += len(s.wires) {
				if failed[k] = ctx.Err(); failed[k] == nil {
					failed[k] = do(w, i)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// submit submits n jobs to a queue.
func (s *stage) submit(ctx context.Context, queue string, n int) (ids []string, err error) {
	ids = make([]string, n)
	body := []byte(`{"kind":"` + kind + `","queue":"` + queue + `","timeout":"1h"}`)
	return ids, s.each(ctx, n, func(w *wire, i int) (err error) {
		ids[i], err = w.submit(body)
		return err
	})
}

// take registers a worker for n jobs of a queue and leases that many.
func (s *stage) take(w *wire, queue string, n int) (runs []*running, err error) {
	var registered struct {
		ID string `json:"worker_id"`
	}
	answer, err := w.call("POST", "/v1/workers", fmt.Appendf(nil, `{"name":"bench","kinds":[%q],"queues":[%q],"slots":%d}`, kind, queue, n), http.StatusOK)
	if err == nil {
		err = json.Unmarshal(answer, &registered)
	}
	for err == nil && len(runs) < n {
		var leased struct {
			Jobs []struct{ Lease, ID string }
		}
		answer, err = w.call("POST", "/v1/workers/"+registered.ID+"/lease", fmt.Appendf(nil, `{"max":%d,"wait":"5s"}`, n-len(runs)), http.StatusOK)
		if err == nil {
			err = json.Unmarshal(answer, &leased)
		}
		if err == nil && len(leased.Jobs) == 0 {
			err = fmt.Errorf("a worker waited 5 s for %d jobs of queue %s and has %d", n, queue, len(runs))
		}
		for _, j := range leased.Jobs {
			runs = append(runs, &running{id: j.ID, lease: j.Lease})
		}
	}
	return runs, err
}

// running is a leased job.
type running struct {
	id, lease string
	n         uint64 // reports sent
	body      []byte
}

// report makes n output events. Output may be joined with the output before it if both are of
// the same stream. So two streams take turns, and every line is an event of its own.
func (r *running) report(w *wire, n int) error {
	r.body = r.body[:0]
	for range n {
		r.n++
		r.body = strconv.AppendUint(append(r.body, `{"n":`...), r.n, 10)
		r.body = append(append(append(r.body, `,"type":"output","stream":"`...), "ab"[r.n&1]), `","text":"x"}`+"\n"...)
	}
	answer, err := w.call("POST", "/v1/leases/"+r.lease+"/events", r.body, http.StatusOK)
	if err != nil {
		return err
	}
	var accepted struct {
		To uint64 `json:"accepted_to"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil || accepted.To != r.n {
		return fmt.Errorf("%d reports were sent, and the answer is %s", r.n, answer)
	}
	return nil
}

// pacer says when each of many equal pieces of work is due, at a fixed rate.
type pacer struct {
	start time.Time
	every time.Duration
}

// wait returns when piece i is due.
func (p *pacer) wait(ctx context.Context, i int) error {
	due := time.Until(p.start.Add(time.Duration(i) * p.every))
	if due <= 0 {
		return ctx.Err()
	}
	return pause(ctx, due)
}

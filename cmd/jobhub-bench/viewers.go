package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// watched measures the cost of an update of the overview for the hub with many viewers: the
// commit, one rendering, one encoding, and a write to each viewer.
func (p *pagesOptions) watched(ctx context.Context, o *output) ([]figure, error) {
	cost := figure{Key: "pages.viewers.cpu", What: "CPU time of the hub for an update of the overview, by viewers", Unit: "ms"}
	renders := figure{Key: "pages.viewers.renders", What: "Renderings for an update of the overview, by viewers", Goal: "1"}
	encodings := figure{Key: "pages.viewers.encodings", What: "Encodings for an update of the overview, by viewers", Goal: "1"}
	for _, n := range p.viewers {
		cpu, rendered, encoded, err := p.watchedBy(ctx, n, o)
		if err != nil {
			return nil, fmt.Errorf("%d viewers: %w", n, err)
		}
		name := short(float64(n)) + ":"
		cost.Values = append(cost.Values, value{name, cpu})
		renders.Values, encodings.Values = append(renders.Values, value{name, rendered}), append(encodings.Values, value{name, encoded})
	}
	return []figure{cost, renders, encodings}, nil
}

func (p *pagesOptions) watchedBy(ctx context.Context, n int, o *output) (cpu, rendered, encoded float64, err error) {
	o.say("pages viewers: %d", n)
	s, err := openScene(ctx, &p.place)
	if err != nil {
		return 0, 0, 0, err
	}
	defer s.kill()
	shown := make([]atomic.Int64, n) // the newest mark on the page of each
	a, err := gather(ctx, guests{addr: s.addr, n: n, path: func(int) string { return "/v1/ws" }, say: `{"type":"subscribe","id":"v","view":"overview"}`,
		begin: `{"type":"patch"`, watch: func(i int) watcher {
			return func(patch []byte, _ time.Time) error {
				if mark, err := strconv.ParseInt(string(memberOf(patch, ">mark ", "!")), 10, 64); err == nil {
					shown[i].Store(mark)
				}
				return nil
			}
		}})
	if err != nil {
		return 0, 0, 0, err
	}
	defer a.leave()
	if err := pause(ctx, 2*time.Second); err != nil { // until all have the page
		return 0, 0, 0, err
	}
	w, err := dial(s.addr)
	if err != nil {
		return 0, 0, 0, err
	}
	defer w.close()
	renderings, encodings, err := s.drawn(w)
	if err != nil {
		return 0, 0, 0, err
	}
	before, err := usageOf(s.cmd.Process.Pid)
	if err != nil {
		return 0, 0, 0, err
	}
	// Slower than the hub renders, so that each mark is an update of its own.
	updates := max(int(p.length.Seconds()*4), 2)
	pace := pacer{start: time.Now(), every: time.Second / 4}
	for i := range updates {
		if err := pace.wait(ctx, i); err != nil {
			return 0, 0, 0, err
		}
		if err := s.tell(w, 0); err != nil {
			return 0, 0, 0, err
		}
	}
	if err := pause(ctx, time.Second/4); err != nil {
		return 0, 0, 0, err
	}
	after, err := usageOf(s.cmd.Process.Pid)
	if err != nil {
		return 0, 0, 0, err
	}
	renderingsAfter, encodingsAfter, err := s.drawn(w)
	if err != nil {
		return 0, 0, 0, err
	}
	if err := caughtUp(ctx, a, shown, int64(s.mark)); err != nil {
		return 0, 0, 0, err
	}
	each := func(n float64) float64 { return n / float64(updates) }
	return each(float64(after.onCPU-before.onCPU) / 1e6), each(renderingsAfter - renderings), each(encodingsAfter - encodings), s.stop()
}

// caughtUp waits until all viewers have the newest mark.
func caughtUp(ctx context.Context, a *audience, shown []atomic.Int64, newest int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range shown {
		for shown[i].Load() != newest {
			if err := errors.Join(a.failed(), pause(ctx, 5*time.Millisecond)); err != nil {
				return fmt.Errorf("viewer %d has mark %d, and the newest is %d: %w", i, shown[i].Load(), newest, err)
			}
		}
	}
	return a.failed()
}

// drawn returns how many renderings and encodings of views the hub has done.
func (s *scene) drawn(w *wire) (renderings, encodings float64, err error) {
	text, err := w.call("GET", "/metrics", nil, http.StatusOK)
	if err != nil {
		return 0, 0, err
	}
	read := func(name string) (v float64) {
		_, rest, found := bytes.Cut(text, []byte("\n"+name+" "))
		number, _, _ := bytes.Cut(rest, newline)
		v, failed := strconv.ParseFloat(string(number), 64)
		if err == nil && (!found || failed != nil) {
			err = fmt.Errorf("/metrics has no %s", name)
		}
		return v
	}
	renderings, encodings = read("jobhub_hub_renders_total"), read("jobhub_hub_patches_total")
	return renderings, encodings, err
}

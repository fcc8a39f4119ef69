package main

import (
	"context"
	"fmt"
	"time"
)

// soaked keeps pages open at 200 events/s and compares their memory at the end with the time
// when all lists of limited length were full.
func (p *pagesOptions) soaked(ctx context.Context, o *output) ([]figure, error) {
	s, err := openScene(ctx, &p.place)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	b, err := openBrowser(ctx)
	if err != nil {
		return nil, err
	}
	defer b.close()
	names, paths := []string{"overview", "jobs", "job"}, []string{"/", "/jobs", "/jobs/" + s.canary().id}
	tabs := make([]*tab, len(paths))
	for i, path := range paths {
		if tabs[i], err = b.open(s.addr); err != nil {
			return nil, err
		}
		defer tabs[i].close()
		if _, err := tabs[i].show(path); err != nil {
			return nil, err
		}
	}
	for range 15 { // more lines than a page keeps
		if err := s.once(func(w *wire) error { return s.tell(w, 100) }); err != nil {
			return nil, err
		}
	}
	weigh := func() (all []weight, err error) {
		for i, t := range tabs {
			w, err := t.weigh()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", paths[i], err)
			}
			all = append(all, w)
		}
		return all, nil
	}
	warmup := 35 * time.Second // by then the alerts about jobs that no worker takes are shown, too
	if p.soak < warmup {
		warmup = p.soak / 4
	}
	o.say("pages soak: three pages for %s, after %s, at 200 events/s", p.soak, warmup)
	var before, after []weight
	rate, err := s.during(ctx, steady, func(ctx context.Context) (err error) {
		if err := pause(ctx, warmup); err != nil {
			return err
		}
		if before, err = weigh(); err != nil {
			return err
		}
		if err := pause(ctx, p.soak); err != nil {
			return err
		}
		after, err = weigh()
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, t := range tabs {
		live, err := evaluate[string](t, `document.getElementById("live").dataset.state`)
		if err == nil && live != "live" {
			err = fmt.Errorf("in the end a page is %s", live)
		}
		if err == nil {
			err = t.fine()
		}
		if err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("A page open for %s at %.0f events/s: ", p.soak, rate)
	heap := figure{Key: "pages.soak.heap", What: what + "growth of the JavaScript heap", Unit: "MiB", Goal: "≤ 5"}
	nodes := figure{Key: "pages.soak.nodes", What: what + "DOM nodes more or less", Unit: "%", Goal: "± 2"}
	listeners := figure{Key: "pages.soak.listeners", What: what + "listeners more or less", Goal: "0"}
	for i, name := range names {
		heap.Values = append(heap.Values, value{name, (after[i].heap - before[i].heap) / (1 << 20)})
		nodes.Values = append(nodes.Values, value{name, 100 * (after[i].nodes/before[i].nodes - 1)})
		listeners.Values = append(listeners.Values, value{name, after[i].listeners - before[i].listeners})
	}
	return []figure{heap, nodes, listeners}, s.stop()
}

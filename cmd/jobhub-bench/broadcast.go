package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
)

// crowd measures the largest number of events per second that reach subscribers of one queue,
// for the hub and for the peers with the same messages.
func (f *fanoutOptions) crowd(ctx context.Context, o *output) (figures []figure, err error) {
	for _, n := range []int{f.conns / 10, f.conns} {
		o.say("fanout crowd: %d subscribers of one queue, the hub and %d peers", n, len(peers))
		hub, err := f.crowdOfHub(ctx, n)
		if err != nil {
			return nil, err
		}
		key, what := "fanout.crowd."+strconv.Itoa(n), fmt.Sprintf("Events of %.0f bytes to %d subscribers of one queue", hub.size, n)
		others := figure{Key: key + ".peers", What: what + ": the peers, and the ceiling (`bare`)", Unit: "/s"}
		ratio := figure{Key: key + ".ratio", What: what + ": jobhub, in those", Unit: "×", Goal: f.goal("≥ 30 gorilla")}
		server := figure{Key: key + ".server", What: what + ": processors busy, server", Values: []value{{"jobhub", hub.server}}}
		client := figure{Key: key + ".client", What: what + ": processors busy, client", Values: []value{{"jobhub", hub.client}}}
		for _, p := range peers {
			s, err := f.crowdOfPeer(ctx, p.name, n, int(math.Round(hub.size)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			others.Values = append(others.Values, value{p.name, math.Round(s.delivered)})
			ratio.Values = append(ratio.Values, value{p.name, hub.delivered / s.delivered})
			server.Values = append(server.Values, value{p.name, s.server})
			client.Values = append(client.Values, value{p.name, s.client})
		}
		figures = append(figures, single(key, what+", delivered", math.Round(hub.delivered), "/s", f.goal("≥ 4,000,000")), others, ratio,
			single(key+".frame", what+": events in a frame", hub.perFrame, "", ""), server, client)
	}
	return figures, nil
}

// crowdOfHub has eight workers report output over HTTP.
func (f *fanoutOptions) crowdOfHub(ctx context.Context, n int) (s speed, err error) {
	stage, err := openStage(ctx, &f.place, "")
	if err != nil {
		return s, err
	}
	defer stage.kill()
	const talkers = 8
	if _, err := stage.submit(ctx, "q", talkers); err != nil {
		return s, err
	}
	runs, err := stage.take(stage.wires[0], "q", talkers)
	if err != nil {
		return s, err
	}
	a, err := gather(ctx, f.sampled(stage.addr, n, "/v1/ws?queue=q"))
	if err != nil {
		return s, err
	}
	defer a.leave()
	l := newLoop(a)
	s, err = l.measure(ctx, stage.cmd.Process.Pid, f.length/2, f.length, func() error {
		failed := make([]error, talkers)
		var wg sync.WaitGroup
		for i, r := range runs {
			wg.Go(func() {
				for failed[i] == nil {
					n := l.grant(100)
					if n == 0 {
						return
					}
					if failed[i] = r.report(stage.wires[i], n); failed[i] != nil {
						l.end()
					}
				}
			})
		}
		wg.Wait()
		return errors.Join(failed...)
	})
	if err != nil {
		return s, err
	}
	a.leave()
	return s, stage.stop()
}

func (f *fanoutOptions) crowdOfPeer(ctx context.Context, name string, n, size int) (s speed, err error) {
	p, err := startPeer(ctx, name, size)
	if err != nil {
		return s, err
	}
	defer p.kill()
	a, err := gather(ctx, f.sampled(p.addr, n, "/ws"))
	if err != nil {
		return s, err
	}
	defer a.leave()
	if err := seated(ctx, p.addr, n); err != nil {
		return s, err
	}
	w, err := dial(p.addr)
	if err != nil {
		return s, err
	}
	defer w.close()
	l := newLoop(a)
	length := f.length / 2
	return l.measure(ctx, p.cmd.Process.Pid, length/2, length, func() error {
		for sent := 0; ; {
			n := l.grant(1000)
			if n == 0 {
				return nil
			}
			sent += n
			if _, err := w.call("POST", "/publish?upto="+strconv.Itoa(sent), nil, http.StatusOK); err != nil {
				return err
			}
		}
	})
}

// sampled is an audience in which every tenth client, at most 16, checks that its events are
// consecutive.
func (f *fanoutOptions) sampled(addr string, n int, path string) guests {
	every := max(n/16, 10)
	return guests{addr: addr, n: n, path: func(int) string { return path }, watch: func(i int) watcher {
		if i%every == 0 {
			return inRow()
		}
		return nil
	}}
}

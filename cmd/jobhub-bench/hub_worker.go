package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"jobhub/web/client"
)

const workerSlots = 1000

// workHub is a worker that uses HTTP over plain connections: one leases jobs for the free
// slots, the others complete finished jobs in batches.
func workHub(ctx context.Context, addr string, runs *atomic.Int64) (*staff, error) {
	const finishers, most = 8, 128
	ctx, cancel := context.WithCancel(ctx)
	leases, slots := make(chan string, workerSlots), make(chan struct{}, workerSlots)
	var done atomic.Int64
	var team sync.WaitGroup
	failed := make(chan error, finishers+1)
	work := func(do func(w *wire) error) error {
		w, err := dial(addr)
		if err != nil {
			return err
		}
		team.Go(func() {
			defer w.close()
			if err := do(w); err != nil && ctx.Err() == nil {
				failed <- err
				cancel()
			}
		})
		return nil
	}
	errs := []error{work(func(w *wire) error {
		defer close(leases)
		return takeLeases(ctx, w, leases, slots)
	})}
	for range finishers {
		errs = append(errs, work(func(w *wire) error {
			for lease := range leases {
				list := []string{lease}
				for more := true; more && len(list) < most; {
					select {
					case lease, more = <-leases:
						if more {
							list = append(list, lease)
						}
					default:
						more = false
					}
				}
				runs.Add(int64(len(list)))
				if err := w.complete(list); err != nil {
					return err
				}
				done.Add(int64(len(list)))
				for range list {
					<-slots
				}
			}
			return nil
		}))
	}
	s := &staff{
		finished: func() (int, error) {
			select {
			case err := <-failed:
				return 0, err
			default:
				return int(done.Load()), nil
			}
		},
		stop: func() error {
			cancel()
			team.Wait()
			return nil
		},
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// takeLeases leases jobs for free slots until ctx ends.
func takeLeases(ctx context.Context, w *wire, leases chan<- string, slots chan struct{}) error {
	var registered struct {
		ID string `json:"worker_id"`
	}
	answer, err := w.call("POST", "/v1/workers", fmt.Appendf(nil, `{"name":"bench","kinds":[%q],"slots":%d}`, kind, workerSlots), http.StatusOK)
	if err == nil {
		err = json.Unmarshal(answer, &registered)
	}
	for err == nil && ctx.Err() == nil {
		select {
		case slots <- struct{}{}: // wait for one
			<-slots
		case <-ctx.Done():
			return nil
		}
		var leased struct {
			Jobs []struct{ Lease string }
		}
		answer, err = w.call("POST", "/v1/workers/"+registered.ID+"/lease", fmt.Appendf(nil, `{"max":%d,"wait":"100ms"}`, workerSlots-len(slots)), http.StatusOK)
		if err == nil {
			err = json.Unmarshal(answer, &leased)
		}
		for _, j := range leased.Jobs {
			slots <- struct{}{}
			leases <- j.Lease
		}
	}
	return err
}

// complete ends attempts. The hub must accept all of them.
func (w *wire) complete(leases []string) error {
	const result = `{"result":1}`
	if len(leases) == 1 {
		_, err := w.call("POST", "/v1/leases/"+leases[0]+"/complete", []byte(result), http.StatusOK)
		return err
	}
	body := []byte(`{"requests":[`)
	for i, lease := range leases {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, `{"method":"POST","path":"/v1/leases/`...), lease...), `/complete","body":`+result+`}`...)
	}
	answer, err := w.call("POST", "/batch", append(body, "]}"...), http.StatusOK)
	if err != nil {
		return err
	}
	if taken := bytes.Count(answer, []byte(`"status":200,`)); taken != len(leases) {
		return fmt.Errorf("of %d jobs only %d were completed: %.300s", len(leases), taken, answer)
	}
	return nil
}

// workHubClient is a worker of the Go client: each job is finished by a call of its own.
func workHubClient(ctx context.Context, addr string, runs *atomic.Int64) (*staff, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = clientSlots+4, clientSlots+4
	counter := &completions{RoundTripper: transport, leasing: make(chan struct{})}
	w := client.Worker{
		Client: &client.Client{Base: "http://" + addr, HTTP: &http.Client{Transport: counter}},
		Name:   "bench", Kinds: []string{kind}, Slots: clientSlots,
		Handle: func(context.Context, *client.Run) (any, error) {
			runs.Add(1)
			return 1, nil
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	select {
	case <-counter.leasing:
	case err := <-ended:
		cancel()
		return nil, fmt.Errorf("the worker ended: %w", err)
	}
	return &staff{
		finished: func() (int, error) { return int(counter.n.Load()), nil },
		stop: func() error {
			cancel()
			return <-ended
		},
	}, nil
}

// clientSlots are fewer, because each attempt that ends uses a connection.
const clientSlots = 128

// completions counts the jobs that the hub says are finished.
type completions struct {
	http.RoundTripper
	n       atomic.Int64
	asked   atomic.Bool
	leasing chan struct{} // closed when it asks for jobs
}

func (c *completions) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/lease") && !c.asked.Swap(true) {
		close(c.leasing)
	}
	res, err := c.RoundTripper.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusOK && strings.HasSuffix(r.URL.Path, "/complete") {
		c.n.Add(1)
	}
	return res, err
}

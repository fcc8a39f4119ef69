package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

type routesOptions struct {
	place
	n, warmup int // requests by one client, each way
	conns     int
	length    time.Duration // of each of the rounds of many clients
	bytes     int64         // that stream through
}

func runRoutes(ctx context.Context, args []string, o *output) ([]figure, error) {
	var r routesOptions
	fs := r.flags("routes", o)
	r.programFlag(fs)
	fs.IntVar(&r.n, "n", 3000, "requests by one client")
	fs.IntVar(&r.warmup, "warmup", 300, "requests of warm-up, which are not measured")
	fs.IntVar(&r.conns, "conns", 32, "`connections` at once")
	fs.DurationVar(&r.length, "for", 2*time.Second, "how `long` each of six rounds of many clients takes")
	fs.Int64Var(&r.bytes, "bytes", 1<<30, "bytes that stream through")
	if err := r.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer r.leave()
	return r.run(ctx, o)
}

const answerText = `{"id":4711,"state":"made","note":"what a small API answers to a small request"}`

func (r *routesOptions) run(ctx context.Context, o *output) (_ []figure, err error) {
	program, err := r.program(ctx)
	if err != nil {
		return nil, err
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/stream" {
			io.CopyN(w, zero{}, r.bytes)
			return
		}
		io.Copy(io.Discard, req.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answerText)
	}))
	defer upstream.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	plain, err := start(exec.CommandContext(ctx, self, "proxy", "--upstream", upstream.URL))
	if err != nil {
		return nil, err
	}
	defer plain.kill()
	data, err := r.sub()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(data, "jobhub.yaml")
	text := "queues: {bench: {capacity: 1000000}}\nroutes: [{path: /api/, upstream: '" + upstream.URL + "', queue: bench, queue_timeout: 24h}]\n"
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		return nil, err
	}
	p, err := serve(ctx, program, data, "--config", config)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	o.say("routes: %d requests by one client, through the hub and through httputil.ReverseProxy", r.n)
	figures, err := r.alone(plain, p)
	if err != nil {
		return nil, err
	}
	o.say("routes: %d clients, six rounds of %s", r.conns, r.length)
	rate, err := r.crowd(ctx, plain, p)
	if err != nil {
		return nil, err
	}
	o.say("routes: %d MiB stream through", r.bytes>>20)
	memory, err := r.stream(ctx, p)
	if err != nil {
		return nil, err
	}
	return append(append(figures, rate...), memory...), errors.Join(plain.stop(), p.stop())
}

// alone measures one client: what the hub adds to a request, and what a job by a route
// costs beside one by the API.
func (r *routesOptions) alone(plain, p *process) ([]figure, error) {
	direct, err := dial(plain.addr)
	if err != nil {
		return nil, err
	}
	defer direct.close()
	hub, err := dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer hub.close()
	if _, err := hub.call("POST", "/v1/queues/bench/pause", []byte(`{}`), http.StatusOK); err != nil {
		return nil, err
	}
	// The same job both ways: of kind http, with the same body.
	job := []byte(`{"kind":"http","queue":"bench","queue_timeout":"24h","input":{"method":"POST","url":"https://example.com/api/x","headers":{"content-type":"application/json"},"body":` + strconv.Quote(input) + `}}`)
	pass := func(w *wire) func() error {
		return func() error {
			answer, err := w.call("POST", "/api/x", []byte(input), http.StatusOK)
			if err == nil && string(answer) != answerText {
				err = fmt.Errorf("another answer: %s", answer)
			}
			return err
		}
	}
	rungs := []*rung{
		{key: "plain", what: "through Go's `httputil.ReverseProxy`", do: pass(direct)},
		{key: "pass", what: "through a route", do: pass(hub)},
		{key: "submit", what: "`POST /v1/jobs` of kind http, durable", do: func() error { _, err := hub.submit(job); return err }},
		{key: "async", what: "the same job by a route with `?async=true`, durable", do: func() error {
			_, err := hub.call("POST", "/api/x?async=true", []byte(input), http.StatusAccepted)
			return err
		}},
	}
	const row = 20
	if err := errors.Join(
		climb(rungs, r.warmup/row, row, func(*rung, time.Duration) {}),
		climb(rungs, (r.n+row-1)/row, row, func(r *rung, t time.Duration) { r.took = append(r.took, t) }),
	); err != nil {
		return nil, err
	}
	if err := hub.expectQueued("bench", rungs[2].done+rungs[3].done); err != nil {
		return nil, err
	}
	var figures []figure
	for _, r := range rungs {
		figures = append(figures, r.took.latency("routes."+r.key, "A request "+r.what, "µs", "", 0.5, 0.9, 0.99))
	}
	return append(figures,
		single("routes.added", "A synchronous request: what a route adds to a plain proxy, p50", rungs[1].took.micros(0.5)-rungs[0].took.micros(0.5), "µs", "≤ 150"),
		single("routes.async.ratio", "An asynchronous request by a route: p50, in `POST /v1/jobs`", rungs[3].took.micros(0.5)/rungs[2].took.micros(0.5), "×", "≤ 1.2")), nil
}

// crowd has many clients pass requests through both, by turns.
func (r *routesOptions) crowd(ctx context.Context, plain, p *process) ([]figure, error) {
	var done [2]int
	for round := range 6 {
		n, err := r.load(ctx, []*process{plain, p}[round%2].addr)
		if err != nil {
			return nil, err
		}
		done[round%2] += n
	}
	seconds := 3 * r.length.Seconds()
	a, b := float64(done[0])/seconds, float64(done[1])/seconds
	return []figure{
		{Key: "routes.rate", What: fmt.Sprintf("Synchronous requests, %d clients: a plain proxy · a route", r.conns), Values: []value{{"", a}, {"", b}}, Unit: "/s"},
		single("routes.rate.ratio", "Synchronous requests by a route, as a share of those through a plain proxy", 100*b/a, "%", "≥ 70"),
	}, nil
}

func (r *routesOptions) load(ctx context.Context, addr string) (total int, err error) {
	end := time.Now().Add(r.length)
	counts, failed := make([]int, r.conns), make([]error, r.conns)
	var clients sync.WaitGroup
	for i := range r.conns {
		w, err := dial(addr)
		if err != nil {
			return 0, err
		}
		defer w.close()
		clients.Go(func() {
			for ctx.Err() == nil && failed[i] == nil {
				_, failed[i] = w.call("POST", "/api/x", []byte(input), http.StatusOK)
				if !time.Now().Before(end) {
					return
				}
				counts[i]++
			}
		})
	}
	clients.Wait()
	for _, n := range counts {
		total += n
	}
	return total, errors.Join(append(failed, ctx.Err())...)
}

// stream reads a long answer through the hub and checks the hub's peak memory.
func (r *routesOptions) stream(ctx context.Context, p *process) ([]figure, error) {
	pid := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	before, err := statusOf(pid, "VmHWM")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.addr+"/api/stream", nil)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != r.bytes {
		return nil, fmt.Errorf("%d of %d bytes came through: %w", n, r.bytes, err)
	}
	took := time.Since(began)
	after, err := statusOf(pid, "VmHWM")
	if err != nil {
		return nil, err
	}
	return []figure{
		single("routes.stream.memory", fmt.Sprintf("Memory that the hub's peak grows by while %d MiB stream through", r.bytes>>20), float64(after-before)/(1<<10), "MiB", "flat"),
		single("routes.stream.rate", "Bytes through a route", float64(n)/(1<<20)/took.Seconds(), "MiB/s", ""),
	}, nil
}

// zero is an endless stream of zeros.
type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// runPlainProxy is Go's own reverse proxy, as a user would write it.
func runPlainProxy(ctx context.Context, args []string, o *output) ([]figure, error) {
	fs := flag.NewFlagSet("jobhub-bench proxy", flag.ContinueOnError)
	upstream := fs.String("upstream", "", "`URL` to pass requests to")
	if err := fs.Parse(args); err != nil {
		return nil, errFlags
	}
	to, err := url.Parse(*upstream)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = 256, 256 // with the default of 2 it would open new connections all the time
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		p.SetXForwarded()
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	fmt.Fprintf(o.stdout, "proxy is ready at http://%s\n", listener.Addr())
	<-ctx.Done()
	return nil, nil
}

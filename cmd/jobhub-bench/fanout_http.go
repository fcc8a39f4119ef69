package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

type fanoutHTTPOptions struct {
	place
	n, warmup int           // fan-outs, one at a time
	targets   int           // of each
	each      time.Duration // how long each target takes
}

func runFanoutHTTP(ctx context.Context, args []string, o *output) ([]figure, error) {
	var f fanoutHTTPOptions
	fs := f.flags("fanout-http", o)
	f.programFlag(fs)
	fs.IntVar(&f.n, "n", 30, "fan-outs, one at a time")
	fs.IntVar(&f.warmup, "warmup", 3, "fan-outs of warm-up, which are not measured")
	fs.IntVar(&f.targets, "targets", 2, "targets of each")
	fs.DurationVar(&f.each, "each", 300*time.Millisecond, "`time` that each target takes")
	if err := f.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer f.leave()
	return f.run(ctx, o)
}

// run measures from a submit to the end of its fan-out, as a client with Prefer: wait sees it.
func (f *fanoutHTTPOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := f.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("fanout-http: %d fan-outs to %d targets of %s", f.n, f.targets, f.each)
	var calls atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		time.Sleep(f.each)
		io.WriteString(w, "ok")
	})}
	go up.Serve(l)
	defer up.Close()
	data, err := f.sub()
	if err != nil {
		return nil, err
	}
	p, err := serve(ctx, program, data, "--egress-allow", "127.0.0.1/32")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	var targets []string
	for i := range f.targets {
		targets = append(targets, fmt.Sprintf(`{"name":"t%d","url":"http://%s/"}`, i, l.Addr()))
	}
	body := `{"kind":"fanout","input":{"targets":[` + strings.Join(targets, ",") + `]}}`
	var took sample
	for n := range f.warmup + f.n {
		began := time.Now()
		if err := f.once(ctx, p.addr, body); err != nil {
			return nil, err
		}
		if n >= f.warmup {
			took = append(took, time.Since(began))
		}
	}
	if want := int64((f.warmup + f.n) * f.targets); calls.Load() != want {
		return nil, fmt.Errorf("the targets were called %d times, not %d", calls.Load(), want)
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	return []figure{took.latency("fanout-http", fmt.Sprintf("Submit of a fan-out to %d targets of %s → its result (`Prefer: wait`)", f.targets, f.each), "ms", "p99 < 330", 0.5, 0.9, 0.99, 1)}, nil
}

// once runs one fan-out. All of its targets have to succeed.
func (f *fanoutHTTPOptions) once(ctx context.Context, addr, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/jobs", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=30")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var result struct{ Completed, Total int }
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &result)
	}
	if err != nil || res.StatusCode != http.StatusOK || result.Completed != f.targets || result.Total != f.targets {
		return fmt.Errorf("a fan-out: %v, %d %s", err, res.StatusCode, text)
	}
	return nil
}

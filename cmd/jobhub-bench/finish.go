package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

type finishOptions struct {
	place
	n, warmup int           // jobs, one at a time
	pause     time.Duration // between them, so that the hub is idle
}

func runFinish(ctx context.Context, args []string, o *output) ([]figure, error) {
	var f finishOptions
	fs := f.flags("finish", o)
	f.programFlag(fs)
	fs.IntVar(&f.n, "n", 500, "jobs, one at a time")
	fs.IntVar(&f.warmup, "warmup", 50, "jobs of warm-up, which are not measured")
	fs.DurationVar(&f.pause, "pause", 5*time.Millisecond, "`time` between the end of a job and the next")
	if err := f.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer f.leave()
	return f.run(ctx, o)
}

func (f *finishOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := f.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("finish: %d jobs, one at a time", f.n)
	up, err := newUpstream()
	if err != nil {
		return nil, err
	}
	defer up.close()
	reference, err := newDisk(f.folder)
	if err != nil {
		return nil, err
	}
	defer reference.close()
	data, err := f.sub()
	if err != nil {
		return nil, err
	}
	p, err := serve(ctx, program, data, "--egress-allow", "127.0.0.1/32")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	ear, err := listen(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	defer ear.conn.CloseNow()
	client, err := dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer client.close()

	var accepted, pickedUp, finished, whole, flush sample
	for n := range f.warmup + f.n {
		time.Sleep(f.pause)
		start := time.Now()
		if err := reference.write(); err != nil {
			return nil, err
		}
		sync := time.Since(start)
		time.Sleep(f.pause)
		body := []byte(`{"kind":"http","input":{"url":"` + up.url + strconv.Itoa(n) + `"}}`)
		submitted := time.Now()
		id, err := client.submit(body)
		if err != nil {
			return nil, err
		}
		answered := time.Now()
		visit, err := up.visited(ctx, n)
		if err != nil {
			return nil, err
		}
		end, err := ear.succeeded(ctx, id, n)
		if err != nil {
			return nil, err
		}
		if n < f.warmup {
			continue
		}
		flush = append(flush, sync)
		accepted = append(accepted, answered.Sub(submitted))
		pickedUp = append(pickedUp, visit.called.Sub(submitted))
		finished = append(finished, end.Sub(visit.answering))
		whole = append(whole, end.Sub(submitted))
	}
	states, err := client.queue("default")
	if err != nil {
		return nil, err
	}
	if total := f.warmup + f.n; states["succeeded"] != total || up.extra() > 0 {
		return nil, fmt.Errorf("%d jobs were accepted, but the hub counts %v, and the upstream had %d calls more", total, states, up.extra())
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	return []figure{
		finished.latency("finish", "End of a job (the upstream writes its answer) → `job.succeeded` at a WebSocket client, hub idle", "ms", "p99 < 5", 0.5, 0.9, 0.99, 1),
		pickedUp.latency("finish.pickup", "Submit sent → the upstream is called, hub idle", "ms", "", 0.5, 0.9, 0.99, 1),
		accepted.latency("finish.submit", "Submit sent → `202`, hub idle", "ms", "", 0.5, 0.9, 0.99, 1),
		whole.latency("finish.whole", "Submit sent → `job.succeeded` at the client (two flushes in it), hub idle", "ms", "", 0.5, 0.9, 0.99, 1),
		flush.latency("finish.disk", "4 KiB append + fdatasync between these jobs", "ms", "", 0.5, 0.9, 0.99, 1),
	}, nil
}

// upstream is the API that the jobs call.
type upstream struct {
	url    string // to which the number of the job is added
	server *http.Server
	visits chan visit
}

// visit is one call to the upstream.
type visit struct {
	n         int
	called    time.Time // the request was read
	answering time.Time // just before its last byte was written, so that all time of the hub is included
}

func newUpstream() (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{url: "http://" + l.Addr().String() + "/", visits: make(chan visit, 16)}
	u.server = &http.Server{Handler: http.HandlerFunc(u.answer)}
	go u.server.Serve(l)
	return u, nil
}

func (u *upstream) answer(w http.ResponseWriter, r *http.Request) {
	v := visit{called: time.Now()}
	n, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		http.NotFound(w, r)
		return
	}
	v.n = n
	text := fmt.Appendf(nil, `{"n":%d}`, n)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text) // into a buffer
	v.answering = time.Now()
	if http.NewResponseController(w).Flush() == nil { // to the socket, all of it at once
		u.visits <- v
	}
}

// visited waits for the call of job n.
func (u *upstream) visited(ctx context.Context, n int) (visit, error) {
	select {
	case v := <-u.visits:
		if v.n != n {
			return v, fmt.Errorf("the upstream was called for job %d instead of %d", v.n, n)
		}
		return v, nil
	case <-time.After(10 * time.Second):
		return visit{}, fmt.Errorf("the upstream was not called for job %d within 10 s", n)
	case <-ctx.Done():
		return visit{}, ctx.Err()
	}
}

// extra is the number of unexpected calls.
func (u *upstream) extra() int { return len(u.visits) }

func (u *upstream) close() { u.server.Close() }

// ear is one WebSocket client that is subscribed to all jobs.
type ear struct {
	conn   *websocket.Conn
	events chan heard
	failed chan error
}

// heard is an event, and when its frame arrived.
type heard struct {
	Type string
	Job  string
	Seq  uint64
	Data struct {
		Result *struct {
			Status int
			Body   struct{ N *int }
		}
	}
	at time.Time
}

func listen(ctx context.Context, addr string) (*ear, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+addr+"/v1/ws", &websocket.DialOptions{Subprotocols: []string{"jobhub.v1"}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(16 << 20)
	e := &ear{conn, make(chan heard, 64), make(chan error, 1)}
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"subscribe","id":"all","all":true,"progress":"all"}`)); err != nil {
		return nil, err
	}
	go func() { e.failed <- e.read(ctx) }()
	for {
		h, err := e.next(ctx)
		if err != nil || h.Type == "live" {
			return e, err
		}
	}
}

// read takes the time of each frame before it parses it.
func (e *ear) read(ctx context.Context) error {
	for {
		_, frame, err := e.conn.Read(ctx)
		at := time.Now()
		if err != nil {
			return err
		}
		for line := range bytes.SplitSeq(frame, []byte{'\n'}) {
			h := heard{at: at}
			if err := json.Unmarshal(line, &h); err != nil {
				return fmt.Errorf("a frame of the hub: %w: %s", err, line)
			}
			if h.Type != "ping" {
				e.events <- h
			}
		}
	}
}

func (e *ear) next(ctx context.Context) (heard, error) {
	select {
	case h := <-e.events:
		return h, nil
	case err := <-e.failed:
		return heard{}, errors.Join(errors.New("the WebSocket connection ended"), err)
	case <-time.After(10 * time.Second):
		return heard{}, errors.New("nothing came over the WebSocket connection for 10 s")
	case <-ctx.Done():
		return heard{}, ctx.Err()
	}
}

// succeeded waits for the events of job n, which must be exactly those of one successful call,
// and returns when the last one arrived.
func (e *ear) succeeded(ctx context.Context, id string, n int) (time.Time, error) {
	for _, want := range []string{"job.queued", "job.started", "job.succeeded"} {
		h, err := e.next(ctx)
		if err != nil {
			return h.at, err
		}
		if h.Type != want || h.Job != id {
			return h.at, fmt.Errorf("event %d is %s of job %s; expected %s of %s", h.Seq, h.Type, h.Job, want, id)
		}
		if want != "job.succeeded" {
			continue
		}
		if r := h.Data.Result; r == nil || r.Status != http.StatusOK || r.Body.N == nil || *r.Body.N != n {
			return h.at, fmt.Errorf("job %s succeeded without the upstream's answer", id)
		}
		return h.at, nil
	}
	return time.Time{}, errors.New("no event")
}

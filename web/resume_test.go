package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// resumer is a client that loses its connection and resumes as the contract says: over
// WebSocket from the position it keeps, over SSE from the id it got last, as a browser
// does. What it got is compared with the log by check.
type resumer struct {
	filter
	w        *world
	t        testing.TB
	sse      bool
	snapshot bool
	progress string

	pos      *jobs.Position // where to resume; nil until there is one
	asked    *jobs.Position // where this connection asked to resume
	spans    []*span        // what was got between two resets
	pending  *span          // of a block whose position is not kept yet
	inBlock  bool
	live     uint64                    // the newest position known to be reached
	replayed bool                      // a block was got whole on this connection
	known    map[string]map[string]any // messages that were decoded before, if not nil
	resets   []reset
	cut      bool // connections may end by themselves
}

// span is the events after one position, without a reset.
type span struct {
	from   uint64
	to     uint64
	got    []uint64          // seqs of events
	states map[string]uint64 // versions in the snapshot, nil if there was none
}

// reset is a notice that the log could not be resumed.
type reset struct {
	since  jobs.Position
	reason string
}

// connect lives through one connection, until enough says so after an object. It
// returns what the server sent.
func (r *resumer) connect(enough func() bool) (stream []byte) {
	r.t.Helper()
	conn := r.dial(r.w.patience)
	defer conn.Close()
	return r.hear(conn, uncut, enough)
}

// dial opens a connection that is cut after a while.
func (r *resumer) dial(while time.Duration) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.w.address())
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, r.request()); err != nil {
		r.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(while)); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// hear takes in what a server says: so many bytes, or until it is enough.
func (r *resumer) hear(server io.Reader, bytes int, enough func() bool) (stream []byte) {
	r.t.Helper()
	r.inBlock, r.replayed, r.pending, r.asked = false, false, nil, r.pos
	objects := r.overSocket
	if r.sse {
		objects = r.overSSE
	}
	done := false
	var sent recorder
	err := objects(bufio.NewReaderSize(io.TeeReader(io.LimitReader(server, int64(bytes)), &sent), 512), func(m map[string]any) bool {
		r.take(m)
		done = enough()
		return !done
	})
	if !done && len(sent) < bytes && !(r.cut && errors.Is(err, os.ErrDeadlineExceeded)) {
		r.t.Fatalf("the connection ended by itself or stood still: %v, at %v, live %d", err, r.pos, r.live)
	}
	return sent
}

type recorder []byte

func (r *recorder) Write(b []byte) (int, error) { *r = append(*r, b...); return len(b), nil }

const uncut = 1 << 40

// request is what opens a connection that resumes.
func (r *resumer) request() string {
	if !r.sse {
		query := "?" + r.query()
		if r.pos != nil {
			query += fmt.Sprintf("&epoch=%s&seq=%d", r.pos.Epoch, r.pos.Seq)
		}
		return handshake(r.w.address(), query)
	}
	last := ""
	if r.pos != nil {
		last = fmt.Sprintf("Last-Event-ID: %s:%d\r\n", r.pos.Epoch, r.pos.Seq)
	}
	return "GET /v1/events?" + r.query() + " HTTP/1.1\r\nHost: " + r.w.address() + "\r\nAccept: text/event-stream\r\n" + last + "\r\n"
}

func (r *resumer) query() string {
	q := strings.NewReplacer(`"all":true`, "all=1", `"`, "", ":", "=").Replace(r.member)
	if r.snapshot {
		q += "&snapshot=1"
	}
	if r.progress != "" {
		q += "&progress=" + r.progress
	}
	return q
}

// decoded is a message. Nobody changes what it returns.
func (r *resumer) decoded(text string) map[string]any {
	r.t.Helper()
	if m, ok := r.known[text]; ok {
		return m
	}
	m := decoded(r.t, text)
	if r.known != nil {
		r.known[text] = m
	}
	return m
}

func (r *resumer) overSocket(server *bufio.Reader, take func(map[string]any) bool) error {
	res, err := http.ReadResponse(server, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("%s: %s", r.request(), res.Status)
	}
	for {
		op, frame, err := readFrame(server)
		if err != nil || op != opText {
			return errors.Join(err, fmt.Errorf("opcode %x with %q", op, frame))
		}
		for line := range strings.SplitSeq(frame, "\n") {
			if !take(r.decoded(line)) {
				return nil
			}
		}
	}
}

// overSSE reads server-sent events as https://html.spec.whatwg.org/#event-stream-interpretation says.
func (r *resumer) overSSE(server *bufio.Reader, take func(map[string]any) bool) error {
	res, err := http.ReadResponse(server, nil)
	if err != nil {
		return err
	}
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		r.t.Fatalf("GET /v1/events: %s, %s", res.Status, kind)
	}
	var id string
	var data []string
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err // an event that is not whole counts for nothing
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" || line == "\r\n":
			if id != "" {
				r.keep(id)
			}
			if len(data) > 0 {
				m := r.decoded(strings.Join(data, "\n"))
				if event(m) && id != fmt.Sprintf("%v:%v", m["epoch"], m["seq"]) {
					r.t.Fatalf("the message %[2]v has the id %[1]q", id, m)
				}
				if !take(m) {
					return nil
				}
				if m["type"] == "live" && (r.pos == nil || r.pos.Seq != number(r.t, m, "seq")) {
					r.t.Fatalf("after %v the last id is %v", m, r.pos)
				}
			}
			id, data = "", nil
		case name == "id":
			id = value
		case name == "data":
			data = append(data, value)
		case name == "event":
			r.t.Fatalf("an event field: %q", line)
		}
	}
}

// keep stores the id of a server-sent event.
func (r *resumer) keep(id string) {
	epoch, digits, ok := strings.Cut(id, ":")
	var seq uint64
	if _, err := fmt.Sscan(digits, &seq); !ok || err != nil || strings.Trim(epoch, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		r.t.Fatalf("the id %q is not a position", id)
	}
	anew := r.pending != nil && r.pending.states != nil // the requested events are no longer kept
	if r.pos != nil && r.pos.Epoch == epoch && seq < r.pos.Seq && !anew {
		r.t.Fatalf("the id went back from %v to %s", r.pos, id)
	}
	r.at(epoch, seq)
}

// at is reached, and what was got up to here stays.
func (r *resumer) at(epoch string, seq uint64) {
	r.pos = &jobs.Position{Epoch: epoch, Seq: seq}
	if r.pending != nil && seq >= r.pending.from {
		r.spans, r.pending = append(r.spans, r.pending), nil
	}
	if len(r.spans) > 0 {
		last := r.spans[len(r.spans)-1]
		last.to = max(last.to, seq)
	}
}

func event(m map[string]any) bool {
	kind, _ := m["type"].(string)
	return strings.HasPrefix(kind, "job.") || strings.HasPrefix(kind, "queue.")
}

// current is the span that what comes now belongs to.
func (r *resumer) current() *span {
	if r.pending != nil {
		return r.pending
	}
	if len(r.spans) == 0 {
		r.t.Fatal("something came before subscribed")
	}
	return r.spans[len(r.spans)-1]
}

func (r *resumer) take(m map[string]any) {
	switch m["type"] {
	case "subscribed":
		seq, epoch := number(r.t, m, "seq"), m["epoch"].(string)
		if r.inBlock || r.replayed || m["id"] != "q" || (m["recovered"] != nil) != (r.asked != nil) {
			r.t.Fatalf("asked to resume from %v, got %v", r.asked, m)
		}
		r.inBlock = true
		switch {
		case m["recovered"] == true:
			if seq != r.asked.Seq || epoch != r.asked.Epoch {
				r.t.Fatalf("asked to resume from %v, got %v", r.asked, m)
			}
		case m["recovered"] == false:
			r.resets = append(r.resets, reset{*r.asked, m["reason"].(string)})
			r.pending = &span{from: seq, to: seq, states: map[string]uint64{}}
		default:
			r.pending = &span{from: seq, to: seq}
			if r.snapshot {
				r.pending.states = map[string]uint64{}
			} else if r.sse && (r.pos == nil || *r.pos != jobs.Position{Epoch: epoch, Seq: seq}) {
				r.t.Fatalf("after %v the last id is %v", m, r.pos)
			} else {
				r.at(epoch, seq) // safe to store at once
			}
		}
	case "gap":
		if r.pos == nil || m["reason"] != "expired" {
			r.t.Fatalf("got %v at %v", m, r.pos)
		}
		r.resets = append(r.resets, reset{*r.pos, m["reason"].(string)})
		r.pending = &span{from: number(r.t, m, "to"), to: number(r.t, m, "to"), states: map[string]uint64{}}
		r.inBlock = true
	case "state":
		s := r.current()
		if !r.inBlock || s.states == nil || number(r.t, m, "seq") != s.from {
			r.t.Fatalf("got %v in the block at %+v", m, s)
		}
		s.states[m["job"].(string)] = number(r.t, m, "version")
	case "live":
		seq := number(r.t, m, "seq")
		if !r.inBlock || seq < r.current().to {
			r.t.Fatalf("got %v in %+v", m, r.current())
		}
		r.inBlock, r.replayed = false, true
		r.reached(seq)
	case "ping":
		r.reached(number(r.t, m, "seq"))
	case "error":
		r.t.Fatalf("got %v", m)
	default:
		if event(m) {
			seq, s := number(r.t, m, "seq"), r.current()
			if last := max(s.from, append(s.got, 0)[max(0, len(s.got)-1)]); seq <= last || r.inBlock && s.states != nil && r.pending != nil {
				r.t.Fatalf("after %d came %v", last, m)
			}
			s.got = append(s.got, seq)
			r.reached(seq)
		}
	}
}

// reached keeps a position over WebSocket; over SSE the ids do.
func (r *resumer) reached(seq uint64) {
	r.live = max(r.live, seq)
	if !r.sse {
		r.at(r.w.hub.Epoch(), max(seq, r.current().to))
	}
}

// check compares what was got with the log.
func (r *resumer) check(log []*jobs.Event) {
	r.t.Helper()
	for i, s := range r.spans {
		var want []uint64
		newest := map[string]uint64{}
		for _, seq := range selected(log, r.Filter, s.from, s.to) {
			if e := log[seq-1]; e.Type == jobs.JobProgress {
				newest[e.Job.String()] = seq
			} else {
				want = append(want, seq)
			}
		}
		var got, progress []uint64
		for _, seq := range s.got {
			if e := log[seq-1]; !r.Match(e) {
				r.t.Errorf("%s got event %d, %s of %s", r.member, seq, e.Type, e.Job)
			} else if e.Type == jobs.JobProgress {
				progress = append(progress, seq)
			} else {
				got = append(got, seq)
			}
		}
		if !slices.Equal(got, want) {
			r.t.Errorf("%s in (%d, %d]: got\n%v, want\n%v", r.member, s.from, s.to, got, want)
		}
		for job, seq := range newest {
			if r.progress != "none" && !slices.Contains(progress, seq) && i == len(r.spans)-1 {
				r.t.Errorf("%s in (%d, %d]: the latest progress of %s, %d, never came", r.member, s.from, s.to, job, seq)
			}
		}
		if r.progress == "none" && len(progress) > 0 {
			r.t.Errorf("%s got progress %v", r.member, progress)
		}
		if s.states != nil {
			want := unfinished(log, r.Filter, s.from)
			if r.Job != (jobs.ID{}) {
				want = map[string]uint64{r.Job.String(): versionAt(log, r.Job, s.from)}
			}
			if !maps.Equal(s.states, want) {
				r.t.Errorf("%s: the snapshot at %d has %v, want %v", r.member, s.from, s.states, want)
			}
		}
	}
}

func versionAt(log []*jobs.Event, id jobs.ID, seq uint64) (version uint64) {
	for _, e := range log[:seq] {
		if e.Job == id {
			version = max(version, e.Version)
		}
	}
	return version
}

// transports are the ways by which a client may follow the log.
var transports = map[string]bool{"WebSocket": false, "SSE": true}

// TestCutAtEveryByte cuts the first connection after each byte of the server's stream,
// and expects of the second whatever is missing then.
func TestCutAtEveryByte(t *testing.T) {
	for name, sse := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			ids := []string{w.submit(`{"kind":"busy","input":true,"queue":"q0"}`), w.submit(`{"kind":"busy","input":false,"queue":"q1"}`)}
			settle(w, ids)
			for range 3 {
				w.submit(`{"kind":"nobody","queue":"q0"}`)
			}
			log := w.log()
			head := uint64(len(log))
			if err := w.hub.WaitFor(t.Context(), head); err != nil {
				t.Fatal(err)
			}
			begin := &jobs.Position{Epoch: w.hub.Epoch()}
			all := filter{`"all":true`, hub.Filter{Tenant: jobs.DefaultTenant, All: true}}
			for _, model := range []resumer{
				{filter: all, pos: begin},
				{filter: all, snapshot: true},
				{filter: all},
				{filter: all, pos: &jobs.Position{Epoch: "elsewhere", Seq: 3}},
				{filter: filter{`"queue":"q0"`, hub.Filter{Tenant: jobs.DefaultTenant, Queue: "q0"}}, pos: begin, progress: "none"},
				{filter: filter{`"job":"` + ids[0] + `"`, hub.Filter{Tenant: jobs.DefaultTenant, Job: jobID(ids[0])}}, pos: begin, progress: "all"},
			} {
				model.w, model.t, model.sse, model.known = w, t, sse, map[string]map[string]any{}
				foreign := model.pos != nil && model.pos != begin
				if model.pos == begin {
					model.spans = []*span{{}}
				}
				// The log stays as it is, so the answer to a request does too.
				answers := map[string][]byte{}
				connect := func(r *resumer, bytes int) {
					done := func() bool { return r.replayed && r.live >= head }
					if answer, ok := answers[r.request()]; ok {
						r.hear(strings.NewReader(string(answer)), bytes, done)
						return
					}
					request := r.request()
					answers[request] = r.connect(done)
				}
				fresh := func() *resumer {
					r := model
					for i, s := range r.spans {
						r.spans = slices.Clone(r.spans)
						r.spans[i] = &span{from: s.from, to: s.to}
					}
					return &r
				}
				r := fresh()
				request := r.request()
				connect(r, uncut)
				r.check(log)
				for n := range answers[request] {
					r = fresh()
					connect(r, n)
					connect(r, uncut)
					if r.check(log); !foreign && len(r.resets) > 0 {
						t.Errorf("reset %+v", r.resets)
					}
					if t.Failed() {
						t.Fatalf("this was after a cut at byte %d of %d", n, len(answers[request]))
					}
				}
				if len(answers) < 2 && !foreign && model.pos != nil {
					t.Errorf("%s from %v: wherever it is cut, the client begins anew: this proves little; %d bytes", model.member, model.pos, len(answers[request]))
				}
			}
		})
	}
}

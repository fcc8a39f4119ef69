package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// storm is many subscribers whose connections are cut over and over, while jobs run and
// the hub is killed under them.
type storm struct {
	*trial.Hub // the first one: those after it have its address
	upstream   string
	from       client.Position // where all begin
	resumed    atomic.Int64    // connections that resumed
	wanted     int64
	over       chan struct{} // closed when all events of the test are in the log
	head       uint64        // then

	mu    sync.Mutex // protects the fields below
	jobs  []client.Job
	wrong []string
}

// Three kills, whatever the size.
const stormKills = 3

// TestReconnectStorm: each subscriber gets every state change and every output that its
// filter selects exactly once and in order, and no position is refused that the log holds.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	reconnectStorm(t, false)
}

func TestReconnectStormOverSSE(t *testing.T) {
	t.Parallel()
	reconnectStorm(t, true)
}

func reconnectStorm(t *testing.T, sse bool) {
	subscribers, resumes := 50, 500
	if trial.Long() {
		subscribers, resumes = 500, 10_000
	}
	n := trial.Seed(t)
	s := &storm{Hub: trial.StartHub(t), wanted: int64(resumes), over: make(chan struct{})}
	s.upstream = trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 2 {
			fmt.Fprintf(w, "line %d of %s\n", i, r.URL.Path)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Duration(len(r.URL.Path)%7) * 10 * time.Millisecond): // the work
			case <-r.Context().Done():
			}
		}
	})).URL
	page, err := s.Client.Jobs(t.Context(), client.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.from = client.Position{Epoch: page.Epoch, Seq: page.Seq}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	working, rest := context.WithCancel(ctx)
	defer rest()
	var submitting, following sync.WaitGroup
	for i := range 3 {
		submitting.Go(func() { s.work(working, rand.New(rand.NewPCG(n, uint64(i)))) })
	}
	followers := make([]*follower, subscribers)
	for i := range followers {
		f := &follower{storm: s, sse: sse, random: rand.New(rand.NewPCG(n, 100+uint64(i)))}
		f.filter = []client.Filter{{All: true}, {Queue: fmt.Sprint("storm", i%3)}, {Tag: fmt.Sprint("t", i%4)}, {Kind: []string{"http", "idle"}[i/5%2]}, {}}[i%5]
		followers[i] = f
		following.Go(func() { f.run(ctx) })
	}
	began, running := time.Now(), s.Hub
	for kill := range stormKills {
		s.until(ctx, int64(resumes*(kill+1)/(stormKills+1)))
		running.Signal(syscall.SIGKILL)
		running = running.Restart()
	}
	s.until(ctx, int64(resumes))
	took := time.Since(began)
	rest()
	submitting.Wait()
	s.settle(ctx)
	close(s.over)
	following.Wait()
	log := s.Whole(ctx, s.from.Epoch)
	checkLog(t, log)
	delivered := 0
	for _, f := range followers {
		for _, p := range f.parts {
			delivered += len(p.got)
			p.check(s, log)
		}
	}
	report(t, s.wrong)
	t.Logf("%d subscribers resumed %d times in %s over %d kills; %d events, %d delivered", subscribers, s.resumed.Load(), took.Round(time.Millisecond), stormKills, len(log), delivered)
	if delivered < 10*subscribers || len(log) < 100 {
		t.Errorf("only %d events, %d delivered: this proves too little", len(log), delivered)
	}
}

func (s *storm) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) < 1000 {
		s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
	}
}

func (s *storm) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wrong) > 20
}

// until waits until so many connections have resumed.
func (s *storm) until(ctx context.Context, resumed int64) {
	s.T.Helper()
	for look := time.NewTicker(5 * time.Millisecond); s.resumed.Load() < resumed; {
		select {
		case <-look.C:
			if s.broken() {
				return
			}
		case <-ctx.Done():
			s.T.Fatalf("only %d connections have resumed: %q", s.resumed.Load(), s.wrong)
		}
	}
}

// work submits jobs until ctx ends. Those of kind idle stay, or are cancelled.
func (s *storm) work(ctx context.Context, random *rand.Rand) {
	c := newHTTP(s.T)
	for pace := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		more := fmt.Sprintf(`,"queue":"storm%d","tags":["t%d"]`, random.IntN(3), random.IntN(4))
		body := trial.HTTPJob(fmt.Sprintf("%s/%x", s.upstream, random.Uint64()), more)
		idle := random.IntN(4) == 0
		if idle {
			body = `{"kind":"idle"` + more + `}`
		}
		a, err := s.SendBy(context.WithoutCancel(ctx), c, "POST", "/v1/jobs", body, trial.IsJSON)
		var j client.Job
		switch {
		case err != nil || a.Status == http.StatusServiceUnavailable: // it was killed
			continue
		case a.Status != http.StatusAccepted || json.Unmarshal(a.Body, &j) != nil:
			s.say("submitting %s: %d %s", body, a.Status, a.Body)
			return
		case idle:
			s.SendBy(ctx, c, "POST", "/v1/jobs/"+j.ID+"/cancel", "") // it may have been killed
		default:
			s.mu.Lock()
			s.jobs = append(s.jobs, j)
			s.mu.Unlock()
		}
	}
}

// settle waits until nothing more will happen, and takes down how far the log goes.
func (s *storm) settle(ctx context.Context) {
	s.T.Helper()
	for look := time.NewTicker(50 * time.Millisecond); ; {
		var page struct {
			Jobs []client.Job `json:"jobs"`
			Seq  uint64       `json:"seq"`
		}
		s.Decode(s.Call("GET", "/v1/jobs?kind=http&state=queued,running,retrying,scheduled&limit=1", "").Body, &page)
		if s.head = page.Seq; len(page.Jobs) == 0 {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			s.T.Fatalf("not final: %s", page.Jobs[0].Raw)
		}
	}
}

// follower is one subscriber.
type follower struct {
	*storm
	sse    bool
	random *rand.Rand
	filter client.Filter // none: one job after the other

	at    client.Position
	live  uint64
	parts []*part
}

// part is what a follower got by one filter.
type part struct {
	client.Filter
	from, to uint64
	ended    bool
	got      []uint64
}

// next begins with a filter; false if there is nothing to follow yet.
func (f *follower) next() bool {
	p := &part{Filter: f.filter, from: f.from.Seq}
	f.at = f.from
	if f.filter == (client.Filter{}) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.jobs) == 0 {
			return false
		}
		j := f.jobs[max(0, len(f.jobs)-1-f.random.IntN(5))]
		p.Job, p.from, f.at = j.ID, j.Seq, j.Position()
	}
	f.parts = append(f.parts, p)
	return true
}

func (f *follower) run(ctx context.Context) {
	connected := false
	for ctx.Err() == nil && !f.broken() {
		select {
		case <-time.After(time.Duration(f.random.IntN(30)) * time.Millisecond): // spread, as clients do
		case <-ctx.Done():
			return
		}
		if len(f.parts) == 0 || f.parts[len(f.parts)-1].ended && !isClosed(f.over) {
			if connected = false; !f.next() {
				continue
			}
		}
		last := isClosed(f.over)
		hearing, hangUp := context.WithTimeout(ctx, time.Duration(1+f.random.IntN(200))*time.Millisecond)
		left := f.random.IntN(1 + 1<<f.random.IntN(16))
		if last {
			hangUp()
			hearing, hangUp = context.WithTimeout(ctx, trial.Patience)
			left = 1 << 40
		}
		f.live = 0
		told := f.connect(hearing, &left)
		hangUp()
		if told && connected {
			f.resumed.Add(1)
		}
		connected = connected || told
		if p := f.parts[len(f.parts)-1]; last && (f.live >= f.head || p.ended) {
			p.to = max(p.to, f.live)
			return
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// connect lives through one connection; it reports whether the subscription was in force.
func (f *follower) connect(ctx context.Context, left *int) (told bool) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return cutConn{conn, left}, err
	}}
	c := &http.Client{Transport: transport}
	take := func(line []byte) bool {
		told = true
		return f.take(line)
	}
	path := "?progress=all&" + strings.Join(slices.DeleteFunc([]string{param("job", f.part().Job), param("queue", f.part().Queue), param("tag", f.part().Tag), param("kind", f.part().Kind)},
		func(s string) bool { return s == "" }), "&")
	if f.part().All {
		path += "all=1"
	}
	if f.sse {
		f.overSSE(ctx, c, path, take)
		return told
	}
	conn, res, err := websocket.Dial(ctx, f.URL+"/v1/ws"+path+fmt.Sprintf("&epoch=%s&seq=%d", f.at.Epoch, f.at.Seq), &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		if res != nil && res.StatusCode/100 == 4 {
			f.say("%s at %s is refused with %s", path, f.at, res.Status)
		}
		return false
	}
	defer conn.CloseNow()
	conn.SetReadLimit(64 << 20)
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return told
		}
		for line := range bytes.SplitSeq(frame, []byte("\n")) {
			if !take(line) {
				return told
			}
		}
	}
}

func param(name, value string) string {
	if value == "" {
		return ""
	}
	return name + "=" + value
}

func (f *follower) overSSE(ctx context.Context, c *http.Client, path string, take func([]byte) bool) {
	req, err := http.NewRequestWithContext(ctx, "GET", f.URL+"/v1/events"+path, nil)
	if err != nil {
		f.say("%v", err)
		return
	}
	req.Header.Set("Last-Event-ID", f.at.String())
	res, err := c.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		if res.StatusCode/100 == 4 {
			f.say("%s at %s is refused with %s", path, f.at, res.Status)
		}
		return
	}
	var data, id string
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
		case "data":
			data = value
		case "id":
			id = value
		case "":
			if id != "" { // first, as browsers do: a client that stops at an event has received it
				at, err := client.ParsePosition(id)
				if err != nil || at.Epoch != f.at.Epoch || at.Seq < f.at.Seq {
					f.say("at %s came the id %q", f.at, id)
				}
				f.at = at
			}
			if data != "" && !take([]byte(data)) {
				return
			}
			data, id = "", ""
		}
	}
}

func (f *follower) part() *part { return f.parts[len(f.parts)-1] }

// take takes one message; false when the part is at its end.
func (f *follower) take(line []byte) bool {
	var m client.Message
	if err := json.Unmarshal(line, &m); err != nil {
		f.say("%v in %q", err, line)
		return false
	}
	p := f.part()
	switch {
	case m.Type == client.Subscribed && (m.Recovered == nil || !*m.Recovered || m.Seq != f.at.Seq), m.Type == client.Gap:
		f.say("%+v could not be resumed at %s: %s", p.Filter, f.at, line)
		return false
	case m.Type == "error":
		f.say("%+v at %s: %s", p.Filter, f.at, line)
		return false
	case m.Event():
		if m.Seq <= f.at.Seq && !f.sse || len(p.got) > 0 && m.Seq <= p.got[len(p.got)-1] {
			f.say("%+v at %s got %d, again or out of order", p.Filter, f.at, m.Seq)
		}
		p.got = append(p.got, m.Seq)
		p.to = m.Seq
		if !f.sse {
			f.at.Seq = m.Seq
		}
		if p.Job != "" && m.Final() {
			p.ended = true
			return false
		}
		f.live = max(f.live, m.Seq)
	case m.Type == client.Live || m.Type == "ping":
		f.live = max(f.live, m.Seq)
		if !f.sse {
			f.at.Seq = max(f.at.Seq, m.Seq)
		}
	}
	return !isClosed(f.over) || f.live < f.head
}

// check compares what was got with the log.
func (p *part) check(s *storm, log []trial.Said) {
	var want []uint64
	for _, m := range log {
		matches := p.All || p.Job != "" && m.Job == p.Job || p.Queue != "" && m.Queue == p.Queue || p.Kind != "" && m.Kind == p.Kind || p.Tag != "" && slices.Contains(m.Tags, p.Tag)
		if matches && m.Seq > p.from && m.Seq <= p.to {
			want = append(want, m.Seq)
		}
	}
	if !slices.Equal(p.got, want) {
		missing := slices.DeleteFunc(slices.Clone(want), func(seq uint64) bool { return slices.Contains(p.got, seq) })
		s.say("%+v in (%d, %d]: got %d events of %d, without %v", p.Filter, p.from, p.to, len(p.got), len(want), missing)
	}
}

// cutConn is cut after a number of bytes read.
type cutConn struct {
	net.Conn
	left *int
}

var errCut = errors.New("cut")

func (c cutConn) Read(b []byte) (int, error) {
	if *c.left <= 0 {
		c.Close()
		return 0, errCut
	}
	n, err := c.Conn.Read(b[:min(len(b), *c.left)])
	*c.left -= n
	return n, err
}

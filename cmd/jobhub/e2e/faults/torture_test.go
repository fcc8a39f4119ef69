package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

const (
	submitters   = 12
	outsideSlots = 16
	handlerSlots = 64 // of the hub
	tortureLease = 3 * time.Second
	settling     = 60 * time.Second // within which all is final after the last fault

	// Below these the test proves too little.
	leastJobs = 10 // accepted jobs for each kill
	leastBusy = 80 // percent of the kills with work in flight
	lastOnes  = 3  // submissions of each submitter accepted after the last kill
)

// TestTorture kills the hub over and over while others submit, work and watch, and
// checks what they saw against a ledger that the hub does not know of.
func TestTorture(t *testing.T) {
	t.Parallel()
	out := torture(t, trial.Program, trial.Kills(), trial.Seed(t))
	report(t, append(out.wrong, out.floors...))
}

type outcome struct {
	wrong  []string // broken promises
	floors []string // why the test proves too little
}

// torment is one run of the torture.
type torment struct {
	*witness
	addr     string
	upstream string
	http     *http.Client
	stop     context.Context // ends submissions

	lives sync.Mutex // protects the fields below
	life  int        // how often the hub was up
	last  bool       // no kill follows
	turn  chan struct{}
}

// await waits for a later life of the hub; 0 if ctx ends before.
func (m *torment) await(ctx context.Context, after int) int {
	for {
		m.lives.Lock()
		life, turn := m.life, m.turn
		m.lives.Unlock()
		if life > after {
			return life
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return 0
		}
	}
}

func (m *torment) risen(last bool) {
	m.lives.Lock()
	defer m.lives.Unlock()
	m.life, m.last = m.life+1, last
	close(m.turn)
	m.turn = make(chan struct{})
}

// safe reports that no kill follows.
func (m *torment) safe() bool {
	m.lives.Lock()
	defer m.lives.Unlock()
	return m.last
}

// final reports that this is the last life.
func (m *torment) final(life int) bool {
	m.lives.Lock()
	defer m.lives.Unlock()
	return m.last && m.life == life
}

// hub is the hub as this life's clients see it.
func (m *torment) hub() *trial.Hub {
	h := &trial.Hub{Addr: m.addr, URL: "http://" + m.addr}
	h.Client = client.Client{Base: h.URL, HTTP: m.http}
	return h
}

func torture(t *testing.T, binary string, kills int, seed uint64) (out outcome) {
	random := rand.New(rand.NewPCG(seed, 3))
	work, cancel := context.WithCancel(t.Context())
	var submitting, others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	stop, halt := context.WithCancel(work)
	defer halt()
	m := &torment{witness: newWitness(t), addr: trial.FreeAddr(t), http: newHTTP(t), stop: stop, turn: make(chan struct{})}
	m.upstream = trial.Serve(t, m.witness).URL
	data := t.TempDir()
	rise := func() *trial.Hub { return launch(t, binary, m.addr, data, "--lease", tortureLease.String()) }
	hub := rise()
	awaitReady(hub)
	m.risen(false)
	watchers := []*watcher{newWatcher(m), newWatcher(m)}
	for _, w := range watchers {
		others.Go(func() { w.run(work) })
		trial.Soon(t, w.subscribed)
	}
	for i := range submitters {
		submitting.Go(func() { m.submit(rand.New(rand.NewPCG(seed, 100+uint64(i)))) })
	}
	for i := range 2 {
		others.Go(func() { m.poll(work, rand.New(rand.NewPCG(seed, 200+uint64(i)))) })
	}
	others.Go(func() { m.workOutside(work) })
	others.Go(func() { m.race(work) })

	var up time.Duration
	busy, early := 0, 0
	risenAt := time.Now()
	for k := range kills {
		<-time.After(time.Duration(50+random.IntN(1450)) * time.Millisecond)
		for late := time.After(2 * time.Second); m.inFlight.Load() == 0; {
			select {
			case <-m.busy:
				continue
			case <-late:
			}
			break
		}
		if m.inFlight.Load() > 0 {
			busy++
		}
		up += time.Since(risenAt)
		hub.Signal(syscall.SIGKILL)
		for _, w := range alarms(hub) {
			m.say("%s", w)
		}
		if k%8 == 5 { // once more, while it starts
			hub = rise()
			<-time.After(time.Duration(random.IntN(80)) * time.Millisecond)
			hub.Signal(syscall.SIGKILL)
			early++
		}
		hub = rise()
		awaitReady(hub)
		risenAt = time.Now()
		m.checkReadable(hub)
		m.risen(k == kills-1)
	}
	m.mu.Lock()
	accepted := len(m.acked)
	m.mu.Unlock()
	rate := float64(accepted) / up.Seconds()
	submitting.Wait() // each ends when the last of its submissions were accepted, or it gives up
	settled := m.settle(hub)
	for _, w := range watchers {
		m.follow(hub, w)
	}
	cancel()
	others.Wait()
	m.judge(t, hub)
	for _, w := range append(stopped(hub), alarms(hub)...) {
		m.say("%s", w)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	runs := 0
	for _, d := range m.deeds {
		runs += d.runs
	}
	t.Logf("%d kills, %d of them with work in flight, and %d while it started; %d submissions, %d accepted (%.0f/s), %d without an answer, %d executions; %d events; %s until all was final",
		kills, busy, early, len(m.deeds), len(m.acked), rate, m.unknown, runs, len(m.events), settled.Round(time.Millisecond))
	out.wrong = m.wrong
	floor := func(ok bool, format string, args ...any) {
		if !ok {
			out.floors = append(out.floors, fmt.Sprintf(format, args...)+", so this proves too little")
		}
	}
	floor(len(m.acked) >= leastJobs*kills, "only %d jobs were accepted", len(m.acked))
	floor(busy*100 >= leastBusy*kills, "only %d of %d kills met work in flight", busy, kills)
	floor(m.unknown*10 >= kills, "only %d submissions were interrupted by %d kills", m.unknown, kills)
	floor(m.finals >= submitters*lastOnes, "only %d submissions succeeded after the last kill", m.finals)
	return out
}

// submit submits jobs until the faults have ended and the last jobs were accepted.
func (m *torment) submit(random *rand.Rand) {
	last := 0
	for deadline := (<-chan time.Time)(nil); last < lastOnes; {
		d := m.plan(random)
		<-m.enter("intent %s %s", d.key, d.hash)
		safe := m.safe()
		if safe && deadline == nil {
			deadline = time.After(trial.Patience)
		}
		if random.IntN(20) == 0 { // a twin at the same time
			var twin sync.WaitGroup
			twin.Go(func() { m.insist(d) })
			m.insist(d)
			twin.Wait()
		} else {
			m.insist(d)
		}
		if safe && !d.invalid && d.id() != "" {
			last++
			m.mu.Lock()
			m.finals++
			m.mu.Unlock()
		}
		select {
		case <-m.stop.Done():
			return
		case <-deadline:
			return
		case <-time.After(time.Duration(random.IntN(30)) * time.Millisecond): // the pace
		}
	}
}

// plan makes up a submission.
func (m *torment) plan(random *rand.Rand) *deed {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := &deed{n: len(m.deeds), ids: map[string]bool{}, ran: map[string]bool{}}
	m.deeds = append(m.deeds, d)
	d.key = fmt.Sprintf("deed-%d", d.n)
	payload := strings.Repeat(fmt.Sprintf("%x ", random.Uint64()), 1+random.IntN(100))
	d.hash = hashOf([]byte(payload))
	quotedPayload, _ := jsontext.AppendQuote(nil, payload)
	more := ""
	switch p := random.IntN(100); {
	case p < 12:
		more = fmt.Sprintf(`,"delay":"%dms"`, 20+random.IntN(300))
	case p < 24:
		d.ordering = fmt.Sprintf("o%d", random.IntN(5))
		more = fmt.Sprintf(`,"ordering_key":%q`, d.ordering)
	case p < 27:
		d.invalid = true
		more = `,"priority":1000`
	}
	// A lease whose worker never learned of it is held until the hub is left alone for as
	// long, so the run timeout of such jobs has to outlast the torture.
	switch p := random.IntN(100); {
	case p < 70:
		d.kind = "http"
		d.body = fmt.Sprintf(`{"kind":"http","input":{"method":"POST","url":"%s/step/%d","body":%s}%s}`, m.upstream, d.n, quotedPayload, more)
	case p < 95 || d.ordering != "":
		d.kind = "outside"
		d.body = fmt.Sprintf(`{"kind":"outside","timeout":"1h","input":{"n":%d,"payload":%s}%s}`, d.n, quotedPayload, more)
	default:
		d.kind = "raced"
		d.body = fmt.Sprintf(`{"kind":"raced","timeout":"1h","input":{"n":%d,"payload":%s}%s}`, d.n, quotedPayload, more)
	}
	return d
}

// insist submits until there is an answer; where there was none, again after the restart.
func (m *torment) insist(d *deed) {
	h := m.hub()
	for life := 0; ; {
		if life = m.await(m.stop, life); life == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(m.stop, trial.Patience)
		a, err := h.SendBy(ctx, m.http, "POST", "/v1/jobs", d.body, trial.IsJSON, "Idempotency-Key: "+d.key)
		cancel()
		var j client.Job
		switch {
		case err != nil || a.Status == http.StatusInternalServerError:
			m.enter("unknown %s", d.key)
			m.mu.Lock()
			m.unknown++
			m.mu.Unlock()
			if m.final(life) {
				m.say("%s got no answer, and nobody had killed the hub: %v %s", d.key, err, a.Body)
				return
			}
			continue
		case a.Status == http.StatusAccepted && json.Unmarshal(a.Body, &j) == nil:
			m.enter("ack %s %s", d.key, j.ID)
			m.mu.Lock()
			if len(d.ids) == 0 {
				m.acked = append(m.acked, d)
			}
			if d.ids[j.ID] = true; len(d.ids) > 1 {
				m.sayLocked("%s stands for several jobs: %v", d.key, d.ids)
			}
			if d.invalid || d.refused {
				m.sayLocked("%s was accepted as %s and should be refused", d.key, j.ID)
			}
			m.mu.Unlock()
		case a.Status >= 400 && a.Status < 500 || a.Status == http.StatusServiceUnavailable:
			m.enter("refused %s %d", d.key, a.Status)
			m.mu.Lock()
			if d.refused = true; !d.invalid {
				m.sayLocked("%s was refused with %d %s", d.key, a.Status, a.Body)
			}
			m.mu.Unlock()
		default:
			m.say("%s was answered with %d %s", d.key, a.Status, a.Body)
		}
		return
	}
}

// poll reads accepted jobs all the time.
func (m *torment) poll(ctx context.Context, random *rand.Rand) {
	for pace := time.NewTicker(3 * time.Millisecond); ; {
		select {
		case <-pace.C:
		case <-ctx.Done():
			pace.Stop()
			return
		}
		m.mu.Lock()
		var d *deed
		var id string
		if n := len(m.acked); n > 0 {
			d = m.acked[max(0, n-1-random.IntN(1000))]
			id = d.id()
		}
		m.mu.Unlock()
		if d != nil {
			m.read(ctx, d, id)
		}
	}
}

// read reads an accepted job; it reports false if the hub did not answer.
func (m *torment) read(ctx context.Context, d *deed, id string) bool {
	m.mu.Lock()
	before := d.seen
	m.mu.Unlock()
	a, err := m.hub().SendBy(ctx, m.http, "GET", "/v1/jobs/"+id, "")
	if err != nil {
		return false
	}
	var j client.Job
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &j) != nil {
		m.say("%s was accepted as %s, and reading it gives %d %s", d.key, id, a.Status, a.Body)
		return true
	}
	m.look(d, before, j)
	return true
}

// checkReadable reads, after a restart, the jobs accepted last and some others.
func (m *torment) checkReadable(h *trial.Hub) {
	m.mu.Lock()
	list := slices.Clone(m.acked[max(0, len(m.acked)-40):])
	for i := 0; i < len(m.acked); i += max(1, len(m.acked)/20) {
		list = append(list, m.acked[i])
	}
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = d.id()
	}
	m.mu.Unlock()
	for i, d := range list {
		if !m.read(h.T.Context(), d, ids[i]) {
			m.say("%s was accepted as %s, and after a restart the hub does not answer", d.key, ids[i])
		}
	}
}

// workOutside is a worker as users write them.
func (m *torment) workOutside(ctx context.Context) {
	m.await(ctx, 0)
	c := m.hub().Client
	w := client.Worker{Client: &c, Name: "outside", Kinds: []string{"outside"}, Slots: outsideSlots, Handle: func(ctx context.Context, r *client.Run) (any, error) {
		n, hash := inputOf(r.Job.Input)
		m.begin(n, r.Job.ID, r.Job.Attempt, hash)
		defer m.end()
		select {
		case <-time.After(time.Duration(n%20) * time.Millisecond): // the work
			return hash, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}}
	for ctx.Err() == nil {
		if err := w.Run(ctx); err != nil && ctx.Err() == nil {
			m.say("the worker was refused: %v", err)
			return
		}
	}
}

func inputOf(text jsontext.Value) (n int, hash string) {
	var in struct {
		N       int    `json:"n"`
		Payload string `json:"payload"`
	}
	in.N = -1
	json.Unmarshal(text, &in)
	return in.N, hashOf([]byte(in.Payload))
}

// race is a worker that ends its attempts by two verbs at once. One of them wins.
func (m *torment) race(ctx context.Context) {
	w := &rawWorker{hub: m.hub(), http: m.http}
	var k *task // in hand, perhaps since an earlier life of the hub
	for life := m.await(ctx, 0); life != 0; life = m.await(ctx, life) {
		err := w.register(ctx, "raced")
		for err == nil {
			if k == nil {
				k, err = w.lease(ctx, 2*time.Second)
			} else if err = m.raceOnce(ctx, w, k); err == nil {
				k = nil
			}
		}
		if m.final(life) && ctx.Err() == nil {
			m.say("the hub hung up on a worker, and nobody had killed it: %v", err)
		}
	}
}

func (m *torment) raceOnce(ctx context.Context, w *rawWorker, k *task) error {
	n, hash := inputOf(k.Input)
	m.begin(n, k.ID, k.Attempt, hash)
	defer m.end()
	complete, release, err := w.both(ctx, k, fmt.Sprintf("%q", hash))
	if err != nil {
		return err
	}
	for _, wrong := range wrongEnds(k, complete, release) {
		m.say("%s", wrong)
	}
	if release.status != http.StatusOK {
		return nil
	}
	late, err := w.end(ctx, k.Lease, "complete", `{"result":"too late"}`)
	if err == nil && late.status != http.StatusConflict {
		m.say("%s was released, and completing it under the same lease gives %d %s", k.ID, late.status, late.body)
	}
	return err
}

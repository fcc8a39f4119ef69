package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/client"
)

var tortureKills = flag.Int("torture", 0, "how often the torture test kills the hub; also TORTURE_KILLS")

const fewKills = 8

func kills() int {
	n := *tortureKills
	if n == 0 {
		n, _ = strconv.Atoi(os.Getenv("TORTURE_KILLS"))
	}
	if n == 0 {
		n = fewKills
	}
	return n
}

// long says that the fault tests may take minutes.
func long() bool { return kills() > fewKills }

const (
	submitters   = 12
	outsideSlots = 16
	handlerSlots = 64 // of the hub
	tortureLease = 3 * time.Second
	settling     = 60 * time.Second // within which all is final after the last fault

	// Below these the test proves too little.
	leastRate = 20 // accepted jobs a second while the hub is up
	leastBusy = 80 // percent of the kills with work in flight
	lastOnes  = 3  // submissions of each submitter accepted after the last kill
)

// TestTorture kills the hub over and over while others submit, work and watch, and
// checks what they saw against a ledger that the hub does not know of.
func TestTorture(t *testing.T) {
	t.Parallel()
	out := torture(t, program, kills(), seed(t))
	report(t, append(out.wrong, out.floors...))
}

type outcome struct {
	wrong  []string // broken promises
	floors []string // why the test proves too little
}

// deed is one submission and what became of it, as seen from outside.
type deed struct {
	n        int
	kind     string
	key      string // idempotency key
	body     string
	hash     string // of what its execution is to see
	ordering string
	invalid  bool // must be refused

	// Protected by witness.mu.
	ids     map[string]bool // in its 202s
	refused bool
	runs    int
	ran     map[string]bool // ids under which it was executed
	seen    sight
}

func (d *deed) id() string {
	for id := range d.ids {
		return id
	}
	return ""
}

// witness is the ledger: what was meant, what was answered, what was done and seen.
type witness struct {
	file    *os.File
	entries chan entry

	inFlight atomic.Int64
	busy     chan struct{} // has an element after work began

	mu       sync.Mutex // protects the fields below
	deeds    []*deed
	acked    []*deed // in the order of their first 202
	unknown  int     // answers that did not come
	finals   int     // submissions accepted since the last kill
	wrong    []string
	events   map[uint64]uint64 // hash by seq, of all who watch
	accepted map[string]uint64 // seq by job
	ended    map[string]uint64
}

// entry is a line of the ledger; done is closed when it is on the disk.
type entry struct {
	text string
	done chan struct{}
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{file: f, entries: make(chan entry, 1000), busy: make(chan struct{}, 1), events: map[uint64]uint64{},
		accepted: map[string]uint64{}, ended: map[string]uint64{}}
	var writing sync.WaitGroup
	writing.Go(w.write)
	t.Cleanup(func() { close(w.entries); writing.Wait(); f.Close() })
	return w
}

// write writes entries, and flushes all that came together at once.
func (w *witness) write() {
	for e := range w.entries {
		waiting := []entry{e}
		for len(w.entries) > 0 {
			waiting = append(waiting, <-w.entries)
		}
		for _, e := range waiting {
			io.WriteString(w.file, e.text)
		}
		if err := syscall.Fdatasync(int(w.file.Fd())); err != nil {
			w.say("the ledger itself failed: %v", err)
		}
		for _, e := range waiting {
			close(e.done)
		}
	}
}

// enter writes an entry; a caller that needs it on the disk waits for what it returns.
func (w *witness) enter(format string, args ...any) <-chan struct{} {
	e := entry{fmt.Sprintf(format+"\n", args...), make(chan struct{})}
	w.entries <- e
	return e.done
}

func (w *witness) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sayLocked(format, args...)
}

func (w *witness) sayLocked(format string, args ...any) {
	if len(w.wrong) < 1000 {
		w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
	}
}

// begin notes that a job is executed.
func (w *witness) begin(n int, id string, attempt int, hash string) {
	w.inFlight.Add(1)
	select {
	case w.busy <- struct{}{}:
	default:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 0 || n >= len(w.deeds) {
		w.sayLocked("%s was executed and nobody submitted it", id)
		return
	}
	d := w.deeds[n]
	d.runs++
	d.ran[id] = true
	if hash != d.hash {
		w.sayLocked("%s of %s was executed with another body than was submitted", id, d.key)
	}
	if attempt != 1 {
		w.sayLocked("%s of %s (%s): attempt %d, though only kills interrupted it", id, d.key, d.kind, attempt)
	}
	if d.refused {
		w.sayLocked("%s of %s was refused and is executed", id, d.key)
	}
}

func (w *witness) end() { w.inFlight.Add(-1) }

// ServeHTTP is the upstream of the jobs of kind http.
func (w *witness) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // it did not arrive whole, so it is not the body that was submitted
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/step/"))
	attempt, _ := strconv.Atoi(req.Header.Get("Jobhub-Attempt"))
	w.begin(n, req.Header.Get("Idempotency-Key"), attempt, hashOf(body))
	defer w.end()
	select {
	case <-time.After(time.Duration(n%20) * time.Millisecond): // the work
	case <-req.Context().Done():
	}
	fmt.Fprintf(res, "%q\n", hashOf(body))
}

func hashOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// sight is how a job was seen last.
type sight struct {
	version uint64
	final   string // how it ended
}

// look notes how a job is seen by somebody who asked when it had been seen as before:
// its version only rises, and once final it stays as it is.
func (w *witness) look(d *deed, before sight, j client.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := sight{version: j.Version}
	if j.Final() {
		now.final = fmt.Sprint(j.State, j.Reason, j.FinishedAt, j.Attempt)
	}
	if now.version < before.version {
		w.sayLocked("%s went back from version %d to %d", j.ID, before.version, now.version)
	}
	if before.final != "" && now != before {
		w.sayLocked("%s had ended (%s, version %d) and is now %s", j.ID, before.final, before.version, j.Raw)
	}
	if now.version > d.seen.version {
		d.seen = now
	}
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
func (m *torment) hub() *hub {
	h := &hub{addr: m.addr, url: "http://" + m.addr}
	h.client = client.Client{Base: h.url, HTTP: m.http}
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
	m := &torment{witness: newWitness(t), addr: freeAddr(t), http: newHTTP(t), stop: stop, turn: make(chan struct{})}
	m.upstream = serve(t, m.witness).URL
	data := t.TempDir()
	rise := func() *hub { return launch(t, binary, m.addr, data, "--lease", tortureLease.String()) }
	hub := rise()
	hub.awaitReady()
	m.risen(false)
	watchers := []*watcher{newWatcher(m), newWatcher(m)}
	for _, w := range watchers {
		others.Go(func() { w.run(work) })
		soon(t, w.subscribed)
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
		hub.signal(syscall.SIGKILL)
		for _, w := range hub.alarms() {
			m.say("%s", w)
		}
		if k%8 == 5 { // once more, while it starts
			hub = rise()
			<-time.After(time.Duration(random.IntN(80)) * time.Millisecond)
			hub.signal(syscall.SIGKILL)
			early++
		}
		hub = rise()
		hub.awaitReady()
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
	for _, w := range append(hub.stopped(), hub.alarms()...) {
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
	floor(rate >= leastRate, "only %.0f jobs were accepted a second", rate)
	floor(busy*100 >= leastBusy*kills, "only %d of %d kills met work in flight", busy, kills)
	floor(m.unknown*10 >= kills, "only %d submissions were interrupted by %d kills", m.unknown, kills)
	floor(m.finals >= submitters*lastOnes, "only %d submissions succeeded after the last kill", m.finals)
	return out
}

// submit hands in jobs until the faults are over and the last ones were accepted.
func (m *torment) submit(random *rand.Rand) {
	last := 0
	for deadline := (<-chan time.Time)(nil); last < lastOnes; {
		d := m.plan(random)
		<-m.enter("intent %s %s", d.key, d.hash)
		safe := m.safe()
		if safe && deadline == nil {
			deadline = time.After(patience)
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
		ctx, cancel := context.WithTimeout(m.stop, patience)
		a, err := h.sendBy(ctx, m.http, "POST", "/v1/jobs", d.body, isJSON, "Idempotency-Key: "+d.key)
		cancel()
		var j client.Job
		switch {
		case err != nil || a.status == http.StatusInternalServerError:
			m.enter("unknown %s", d.key)
			m.mu.Lock()
			m.unknown++
			m.mu.Unlock()
			if m.final(life) {
				m.say("%s got no answer, and nobody had killed the hub: %v %s", d.key, err, a.body)
				return
			}
			continue
		case a.status == http.StatusAccepted && json.Unmarshal(a.body, &j) == nil:
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
		case a.status >= 400 && a.status < 500 || a.status == http.StatusServiceUnavailable:
			m.enter("refused %s %d", d.key, a.status)
			m.mu.Lock()
			if d.refused = true; !d.invalid {
				m.sayLocked("%s was refused with %d %s", d.key, a.status, a.body)
			}
			m.mu.Unlock()
		default:
			m.say("%s was answered with %d %s", d.key, a.status, a.body)
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
	a, err := m.hub().sendBy(ctx, m.http, "GET", "/v1/jobs/"+id, "")
	if err != nil {
		return false
	}
	var j client.Job
	if a.status != http.StatusOK || json.Unmarshal(a.body, &j) != nil {
		m.say("%s was accepted as %s, and reading it gives %d %s", d.key, id, a.status, a.body)
		return true
	}
	m.look(d, before, j)
	return true
}

// checkReadable reads, after a restart, the jobs accepted last and some others.
func (m *torment) checkReadable(h *hub) {
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
		if !m.read(h.t.Context(), d, ids[i]) {
			m.say("%s was accepted as %s, and after a restart the hub does not answer", d.key, ids[i])
		}
	}
}

// workOutside is a worker as users write them.
func (m *torment) workOutside(ctx context.Context) {
	m.await(ctx, 0)
	c := m.hub().client
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

// watcher follows the whole log over WebSocket, and resumes after each kill.
type watcher struct {
	*torment
	subscribed chan struct{} // closed by the first subscription
	once       sync.Once

	mu    sync.Mutex // protects the fields below
	epoch string
	seq   uint64 // all up to here were seen, without a gap
	moved chan struct{}
}

func newWatcher(m *torment) *watcher {
	return &watcher{torment: m, subscribed: make(chan struct{}), moved: make(chan struct{})}
}

func (w *watcher) run(ctx context.Context) {
	var at client.Position
	c := w.hub().client
	for life := w.await(ctx, 0); life != 0; life = w.await(ctx, life) {
		connected, hangUp := context.WithCancel(ctx)
		o := client.WatchOptions{Since: at, Progress: "all", Lost: func(error, time.Duration) { hangUp() },
			Trace: func(sent bool, frame []byte) {
				if !sent {
					w.take(frame)
				}
			},
			Repeated: func(m client.Message) { w.say("a watcher got event %d twice", m.Seq) }}
		for msg, err := range c.Watch(connected, client.Filter{All: true}, o) {
			if err != nil {
				break
			}
			if at = msg.Resume; msg.Missed() {
				w.say("a watcher could not resume: %s", msg.Reason)
			}
			if msg.Type == client.Subscribed {
				w.once.Do(func() { close(w.subscribed) })
			}
		}
		hangUp()
	}
}

var hashing = maphash.MakeSeed()

// take checks that each event in a frame follows the one before and is what others saw.
func (w *watcher) take(frame []byte) {
	for d := jsontext.NewDecoder(bytes.NewReader(frame)); ; {
		v, err := d.ReadValue()
		if errors.Is(err, io.EOF) {
			return
		}
		var m client.Message
		if err != nil || json.Unmarshal(v, &m) != nil {
			w.say("a watcher got %q: %v", v, err)
			return
		}
		if m.Type == client.Subscribed {
			w.mu.Lock()
			w.epoch = m.Epoch
			w.mu.Unlock()
		}
		if m.Event() {
			w.event(m, maphash.Bytes(hashing, v))
		}
	}
}

func (w *watcher) event(m client.Message, hash uint64) {
	w.witness.event(m, hash)
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Seq != w.seq+1 {
		w.say("a watcher got event %d after %d", m.Seq, w.seq)
	}
	w.seq = m.Seq
	close(w.moved)
	w.moved = make(chan struct{})
}

// event notes an event that somebody saw.
func (w *witness) event(m client.Message, hash uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, known := w.events[m.Seq]; known && was != hash {
		w.sayLocked("event %d was seen with other contents before", m.Seq)
	}
	w.events[m.Seq] = hash
	if m.Version == 1 {
		w.accepted[m.Job] = m.Seq
	}
	if m.Final() {
		if end := w.ended[m.Job]; end != 0 && end != m.Seq {
			w.sayLocked("%s ended twice, by the events %d and %d", m.Job, end, m.Seq)
		}
		w.ended[m.Job] = m.Seq
	}
}

// settle waits until all accepted jobs are final, and returns how long that took.
func (m *torment) settle(h *hub) time.Duration {
	began := time.Now()
	ctx, cancel := context.WithTimeout(h.t.Context(), settling)
	defer cancel()
	for known := map[string]bool{}; ; {
		m.mu.Lock()
		var open *deed
		var id string
		for _, d := range m.acked {
			if id = d.id(); m.ended[id] == 0 && !known[id] {
				open = d
				break
			}
		}
		m.mu.Unlock()
		if open == nil {
			return time.Since(began)
		}
		a, err := h.sendBy(ctx, m.http, "GET", "/v1/jobs/"+id, "", "Prefer: wait=20")
		if err != nil {
			m.say("%s was accepted as %s and is not final %s after the last kill: %v", open.key, id, settling, err)
			return time.Since(began)
		}
		var j client.Job
		if a.status != http.StatusOK || json.Unmarshal(a.body, &j) != nil {
			m.say("%s was accepted as %s and is gone: %d %s", open.key, id, a.status, a.body)
			return time.Since(began)
		}
		if j.Final() {
			known[id] = true // the watchers will see it, or follow says so
		}
	}
}

// follow waits until a watcher has seen the whole log, and compares the log with what
// was seen of it.
func (m *torment) follow(h *hub, w *watcher) {
	page, err := h.client.Jobs(h.t.Context(), client.ListOptions{Limit: 1})
	if err != nil {
		m.say("listing: %v", err)
		return
	}
	for late := time.After(patience); ; {
		w.mu.Lock()
		seq, moved := w.seq, w.moved
		w.mu.Unlock()
		if seq >= page.Seq {
			break
		}
		select {
		case <-moved:
			continue
		case <-late:
		}
		m.say("a watcher has seen events up to %d of %d", seq, page.Seq)
		break
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), settling)
	defer cancel()
	s := h.dial("all=1&progress=all&seq=0&epoch=" + page.Epoch)
	defer s.CloseNow()
	for next := uint64(1); next <= page.Seq; {
		_, frame, err := s.Read(ctx)
		if err != nil {
			m.say("reading the log: %v", err)
			return
		}
		if next, err = m.compare(frame, next); err != nil {
			m.say("%v", err)
			return
		}
	}
}

// compare notes the events of a frame of the whole log.
func (m *torment) compare(frame []byte, next uint64) (uint64, error) {
	for d := jsontext.NewDecoder(bytes.NewReader(frame)); ; {
		v, err := d.ReadValue()
		if errors.Is(err, io.EOF) {
			return next, nil
		}
		var msg client.Message
		if err == nil {
			err = json.Unmarshal(v, &msg)
		}
		switch {
		case err != nil:
			return next, err
		case msg.Type == client.Subscribed && (msg.Recovered == nil || !*msg.Recovered):
			return next, fmt.Errorf("the log can't be read from its beginning: %s", msg.Reason)
		case msg.Event() && msg.Seq != next:
			return next, fmt.Errorf("the log has event %d where %d should be", msg.Seq, next)
		case msg.Event():
			m.witness.event(msg, maphash.Bytes(hashing, v))
			next++
		}
	}
}

// judge compares the ledger with what the hub says in the end.
func (m *torment) judge(t *testing.T, h *hub) {
	docs := map[string]client.Job{}
	for _, j := range h.jobs() {
		docs[j.ID] = j
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known, runs, executed := map[string]bool{}, 0, 0
	lines := map[string][]*deed{}
	for _, d := range m.deeds {
		if d.runs > 0 && d.kind != "raced" { // those run again on purpose
			executed++
			runs += d.runs
		}
		if d.refused && d.runs > 0 {
			m.sayLocked("%s was refused and executed", d.key)
		}
		id := d.id()
		if id == "" {
			if d.runs > 0 && !d.refused {
				m.sayLocked("%s was executed as %v and never accepted", d.key, d.ran)
			}
			continue
		}
		known[id] = true
		for ran := range d.ran {
			if ran != id {
				m.sayLocked("%s was accepted as %s and executed as %s", d.key, id, ran)
			}
		}
		j, ok := docs[id]
		switch {
		case !ok:
			m.sayLocked("%s was accepted as %s and is gone", d.key, id)
		case j.State != "succeeded":
			m.sayLocked("%s is %s in the end: %s", id, j.State, j.Raw)
		case d.runs == 0:
			m.sayLocked("%s has succeeded and was never executed", id)
		case j.Attempt != 1:
			m.sayLocked("%s has attempt %d, though only kills interrupted it: %s", id, j.Attempt, j.Raw)
		case d.kind != "http" && string(j.Result) != strconv.Quote(d.hash):
			m.sayLocked("%s has the result %s", id, j.Result)
		}
		if d.ordering != "" {
			lines[d.ordering] = append(lines[d.ordering], d)
		}
	}
	for id, j := range docs {
		if !known[id] {
			m.sayLocked("nobody knows of %s: %s", id, j.Raw)
		}
	}
	if most := (m.life) * (handlerSlots + outsideSlots); runs-executed > most {
		m.sayLocked("%d jobs were executed %d times, which is more than %d kills explain", executed, runs, m.life-1)
	}
	for key, list := range lines {
		slices.SortFunc(list, func(a, b *deed) int { return int(m.accepted[a.id()]) - int(m.accepted[b.id()]) })
		for i := 1; i < len(list); i++ {
			if a, b := list[i-1].id(), list[i].id(); m.ended[a] > m.ended[b] {
				m.sayLocked("of ordering key %s, %s came before %s and ended after it", key, a, b)
			}
		}
	}
}

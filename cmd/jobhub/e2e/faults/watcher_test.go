package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

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
	c := w.hub().Client
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

// settle waits until all accepted jobs are final, and returns how long that took.
func (m *torment) settle(h *trial.Hub) time.Duration {
	began := time.Now()
	ctx, cancel := context.WithTimeout(h.T.Context(), settling)
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
		a, err := h.SendBy(ctx, m.http, "GET", "/v1/jobs/"+id, "", "Prefer: wait=20")
		if err != nil {
			m.say("%s was accepted as %s and is not final %s after the last kill: %v", open.key, id, settling, err)
			return time.Since(began)
		}
		var j client.Job
		if a.Status != http.StatusOK || json.Unmarshal(a.Body, &j) != nil {
			m.say("%s was accepted as %s and is gone: %d %s", open.key, id, a.Status, a.Body)
			return time.Since(began)
		}
		if j.Final() {
			known[id] = true // the watchers will see it, or follow says so
		}
	}
}

// follow waits until a watcher has seen the whole log, and compares the log with what
// was seen of it.
func (m *torment) follow(h *trial.Hub, w *watcher) {
	page, err := h.Client.Jobs(h.T.Context(), client.ListOptions{Limit: 1})
	if err != nil {
		m.say("listing: %v", err)
		return
	}
	for late := time.After(trial.Patience); ; {
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
	ctx, cancel := context.WithTimeout(h.T.Context(), settling)
	defer cancel()
	s := h.Dial("all=1&progress=all&seq=0&epoch=" + page.Epoch)
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
func (m *torment) judge(t *testing.T, h *trial.Hub) {
	docs := map[string]client.Job{}
	for _, j := range h.Jobs() {
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

package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jobhub/web/client"
)

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

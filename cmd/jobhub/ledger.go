package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// ledger keeps the books of a hub's jobs from the outside: one side counts the 202
// answers to submissions, the other only what events tell. The two meet in the job's
// id and nowhere else, so that what the hub loses or invents shows as a difference.
type ledger struct {
	tag string // of the jobs submitted here; those of others are counted apart

	mu         sync.Mutex // protects the fields below
	jobs       map[string]*account
	submitted  int
	ended      map[string]int // by final state, of our jobs
	seen       int            // of our jobs, by events
	others     int
	duplicated int
	missed     int // state changes that others show to be missing
	gaps       int
	notes      []string // what went wrong, the first of it
}

// account is what is known of one job.
type account struct {
	accepted time.Time // when its 202 came
	seen     time.Time // when its first event came
	state    string    // the final one, once told
	version  uint64
}

// allowance is how long a 202 and the first event may be apart before that counts
// as a difference.
const allowance = 2 * time.Second

const mostNotes = 20

func newLedger(tag string) *ledger {
	return &ledger{tag: tag, jobs: map[string]*account{}, ended: map[string]int{}}
}

func (l *ledger) seeLocked(a *account, now time.Time) {
	if a.seen.IsZero() {
		a.seen = now
		l.seen++
	}
}

func (l *ledger) accountLocked(id string) *account {
	a := l.jobs[id]
	if a == nil {
		a = &account{}
		l.jobs[id] = a
	}
	return a
}

func (l *ledger) noteLocked(format string, args ...any) {
	if len(l.notes) < mostNotes {
		l.notes = append(l.notes, fmt.Sprintf(format, args...))
	}
}

// accepted enters a 202.
func (l *ledger) accepted(id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accountLocked(id)
	if !a.accepted.IsZero() {
		l.duplicated++
		l.noteLocked("%s: accepted twice", id)
		return
	}
	a.accepted = now
	l.submitted++
}

// told enters a message of the watch over all jobs.
func (l *ledger) told(m *client.Message, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case m.Type == client.Gap || m.Type == client.Subscribed && m.Recovered != nil && !*m.Recovered:
		l.gaps++
		l.noteLocked("the hub could not give all events: %s", m.Reason)
		return
	case m.Type == client.State:
		if a := l.jobs[m.Job]; a != nil && a.state == "" {
			l.seeLocked(a, now)
			a.version = m.Version // the events that led here fell into the gap
		}
		return
	case !m.Event() || m.Job == "":
		return
	}
	if !l.oursLocked(m) {
		return
	}
	a := l.accountLocked(m.Job)
	l.seeLocked(a, now)
	if a.state != "" {
		l.duplicated++
		l.noteLocked("%s: %s after it had %s", m.Job, m.Type, a.state)
		return
	}
	if !m.Lasting() {
		return
	}
	switch want := a.version + 1; {
	case m.Version < want:
		l.duplicated++
		l.noteLocked("%s: %s with version %d a second time", m.Job, m.Type, m.Version)
		return
	case m.Version > want:
		l.missed += int(m.Version - want)
		l.noteLocked("%s: %s has version %d, expected %d", m.Job, m.Type, m.Version, want)
	}
	a.version = m.Version
	if m.Final() {
		a.state = strings.TrimPrefix(m.Type, "job.")
		l.ended[a.state]++
	}
}

// oursLocked reports whether an event is of a job that was submitted here. A 202 may come
// after the first event, so it is the tag that tells.
func (l *ledger) oursLocked(m *client.Message) bool {
	if l.jobs[m.Job] != nil {
		return true
	}
	var first struct {
		RetryOf string `json:"retry_of"`
	}
	json.Unmarshal(m.Data, &first)
	if slices.Contains(m.Tags, l.tag) && first.RetryOf == "" {
		return true
	}
	if m.Version == 1 && m.Lasting() {
		l.others++
	}
	return false
}

// repeated enters an event that came twice with the same seq.
func (l *ledger) repeated(m client.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.duplicated++
	l.noteLocked("%s: %s came twice as event %d", m.Job, m.Type, m.Seq)
}

// unfinished returns the jobs that events have shown, but not their end.
func (l *ledger) unfinished() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, a := range l.jobs {
		if !a.seen.IsZero() && a.state == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// unheard enters a job that has ended by its document, while no event told of it.
func (l *ledger) unheard(id, state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed++
	l.noteLocked("%s: has %s, but no event told so", id, state)
}

// balance is the ledger at one time.
type balance struct {
	submitted, succeeded, failed, cancelled, inFlight int

	unseen     int      // accepted a moment ago, no event yet
	unanswered int      // seen a moment ago, no 202 yet
	lost       []string // accepted, and no event within the allowance
	strange    []string // seen, and no 202 within the allowance

	missed, duplicated, gaps, others int
}

func (l *ledger) balance(now time.Time) balance {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := balance{submitted: l.submitted, succeeded: l.ended["succeeded"], failed: l.ended["failed"], cancelled: l.ended["cancelled"],
		missed: l.missed, duplicated: l.duplicated, gaps: l.gaps, others: l.others}
	b.inFlight = l.seen - b.succeeded - b.failed - b.cancelled
	for id, a := range l.jobs {
		switch {
		case a.seen.IsZero() && now.Sub(a.accepted) <= allowance:
			b.unseen++
		case a.seen.IsZero():
			b.lost = append(b.lost, id)
		case a.accepted.IsZero() && now.Sub(a.seen) <= allowance:
			b.unanswered++
		case a.accepted.IsZero():
			b.strange = append(b.strange, id)
		}
	}
	slices.Sort(b.lost)
	slices.Sort(b.strange)
	return b
}

// difference is what the answers count more than the events, beyond what is still on its way.
func (b balance) difference() int {
	return b.submitted + b.unanswered - b.succeeded - b.failed - b.cancelled - b.inFlight - b.unseen
}

func (b balance) ok() bool {
	return b.difference() == 0 && len(b.lost)+len(b.strange)+b.missed+b.duplicated == 0
}

func (b balance) String() string {
	var s strings.Builder
	wrong := append(slices.Clone(b.lost), b.strange...)
	sign := "="
	if len(wrong) > 0 || b.difference() != 0 {
		sign = "≠"
	}
	fmt.Fprintf(&s, "submitted %d %s %d succeeded + %d failed + %d cancelled + %d in flight", b.submitted, sign, b.succeeded, b.failed, b.cancelled, b.inFlight)
	if b.unseen > 0 {
		fmt.Fprintf(&s, " + %d not yet seen", b.unseen)
	}
	if b.unanswered > 0 {
		fmt.Fprintf(&s, " - %d not yet answered", b.unanswered)
	}
	if sign == "≠" {
		fmt.Fprintf(&s, "   difference %d: %s", len(wrong), list(wrong, 3))
	}
	fmt.Fprintf(&s, "   lost %d   duplicated %d", len(b.lost)+b.missed, b.duplicated)
	if b.gaps > 0 {
		fmt.Fprintf(&s, "   gaps %d", b.gaps)
	}
	if b.others > 0 {
		fmt.Fprintf(&s, "   %d of others", b.others)
	}
	return s.String()
}

func list(ids []string, most int) string {
	if len(ids) > most {
		return strings.Join(ids[:most], ", ") + fmt.Sprintf(" and %d more", len(ids)-most)
	}
	return strings.Join(ids, ", ")
}

// printNotes prints what went wrong, in more words than the balance has.
func (l *ledger) printNotes(w io.Writer, b balance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range b.lost {
		fmt.Fprintf(w, "  %s: accepted, but no event told of it\n", id)
	}
	for _, id := range b.strange {
		fmt.Fprintf(w, "  %s: events tell of it, but no answer ever accepted it\n", id)
	}
	for _, note := range l.notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
}

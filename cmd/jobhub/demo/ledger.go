package demo

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// ledger counts a hub's jobs from the outside, in two independent ways: by the 202 answers to
// submissions, and by events. Only the id of a job connects the two, so a job that the hub
// loses or invents shows as a difference.
//
// The sums count only the jobs submitted here. Jobs of others are counted apart; jobs that the
// hub submits itself (deliveries, jobs of schedules and batches) are not counted. But the
// events of all jobs must be complete and in order.
type ledger struct {
	tag      string   // of the jobs submitted here
	untagged []string // queues where jobs can have no tag: those with a 202 are ours

	mu         sync.Mutex // protects the fields below
	jobs       map[string]*account
	submitted  int
	duplicated int
	missed     int // state changes that are missing between others
	gaps       int
	notes      []string // the first errors
}

// account holds what is known about one job.
type account struct {
	owner    owner
	accepted time.Time // when its 202 came
	seen     time.Time // when its first event came
	state    string    // the final state, once an event has it
	version  uint64
}

// owner is who submitted a job.
type owner uint8

const (
	ours    owner = iota
	perhaps       // ours if an answer comes, otherwise somebody else's
	own           // the hub's own
	others
)

// allowance is the longest time between a 202 and the first event; longer counts as a
// difference.
const allowance = 2 * time.Second

const mostNotes = 20

func newLedger(tag string, untagged ...string) *ledger {
	return &ledger{tag: tag, untagged: untagged, jobs: map[string]*account{}}
}

// seeLocked returns the account of the job that a message is about.
func (l *ledger) seeLocked(m *client.Message, now time.Time) *account {
	a := l.jobs[m.Job]
	if a == nil {
		a = l.accountLocked(m.Job)
		a.owner = l.ownerOf(m)
	}
	if a.seen.IsZero() {
		a.seen = now
	}
	return a
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
	a.owner, a.accepted = ours, now
	l.submitted++
}

// received enters a message from the subscription to all jobs.
func (l *ledger) received(m *client.Message, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case m.Type == client.Gap || m.Type == client.Subscribed && m.Recovered != nil && !*m.Recovered:
		l.gaps++
		l.noteLocked("the hub could not send all events: %s", m.Reason)
		return
	case m.Type == client.State:
		if a := l.seeLocked(m, now); a.state == "" {
			a.version = m.Version // the events before are in the gap
		}
		return
	case !m.Event() || m.Job == "":
		return
	}
	a := l.seeLocked(m, now)
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
	}
}

// ownerOf returns the owner of a job from the first message about it. The 202 may come later,
// so most of our jobs are known by their tag.
func (l *ledger) ownerOf(m *client.Message) owner {
	var first struct {
		RetryOf string   `json:"retry_of"`
		Parent  string   `json:"parent"`
		Queue   string   `json:"queue"` // in a state message, like tags; events have both outside data
		Tags    []string `json:"tags"`
	}
	json.Unmarshal(m.Data, &first)
	tags := append(first.Tags, m.Tags...)
	switch {
	case first.Parent != "" || slices.ContainsFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "schedule:") }):
		return own
	case first.RetryOf != "":
		return others
	case slices.Contains(tags, l.tag):
		return ours
	case slices.Contains(l.untagged, cmp.Or(m.Queue, first.Queue)):
		return perhaps
	}
	return others
}

// repeated enters an event that came twice with the same seq.
func (l *ledger) repeated(m client.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.duplicated++
	l.noteLocked("%s: %s came twice as event %d", m.Job, m.Type, m.Seq)
}

// unfinished returns the jobs with events, but without a final one.
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

// endedWithoutEvent enters a job that has ended, but without a final event.
func (l *ledger) endedWithoutEvent(id, state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed++
	l.noteLocked("%s: has %s, but there was no event for that", id, state)
}

// balance is the ledger at one time.
type balance struct {
	submitted, succeeded, failed, cancelled, inFlight int

	unseen     int      // accepted a moment ago, no event yet
	unanswered int      // seen a moment ago, no 202 yet
	lost       []string // accepted, and no event within the allowance
	strange    []string // seen, and no 202 within the allowance

	missed, duplicated, gaps, own, others int
}

func (l *ledger) balance(now time.Time) balance {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := balance{submitted: l.submitted, missed: l.missed, duplicated: l.duplicated, gaps: l.gaps}
	for id, a := range l.jobs {
		switch {
		case a.owner == own:
			b.own++
			continue
		case a.owner == others:
			b.others++
			continue
		case a.owner == perhaps:
			if now.Sub(a.seen) > allowance {
				b.others++
			}
			continue
		case a.state == "succeeded":
			b.succeeded++
		case a.state == "failed":
			b.failed++
		case a.state == "cancelled":
			b.cancelled++
		case !a.seen.IsZero():
			b.inFlight++
		}
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

// difference is how many more jobs the answers count than the events, without those that may
// still arrive.
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

// printNotes prints the errors in more detail than the balance.
func (l *ledger) printNotes(w io.Writer, b balance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range b.lost {
		fmt.Fprintf(w, "  %s: accepted, but there was no event\n", id)
	}
	for _, id := range b.strange {
		fmt.Fprintf(w, "  %s: there were events, but no answer accepted it\n", id)
	}
	for _, note := range l.notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
}

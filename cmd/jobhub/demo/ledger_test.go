package demo

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/client"
)

// books is a ledger with a clock that moves only when the test moves it.
type books struct {
	*ledger
	now time.Time
}

func newBooks() *books {
	return &books{newLedger("demo"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (b *books) answer(ids ...string) {
	for _, id := range ids {
		b.accepted(id, b.now)
	}
}

func (b *books) event(job, typ string, version uint64) {
	b.received(&client.Message{Type: "job." + typ, Job: job, Version: version, Tags: []string{"x", "demo"}, Data: jsontext.Value(`{"state":"x"}`)}, b.now)
}

// life enters all events of a job.
func (b *books) life(job, end string) {
	b.event(job, "queued", 1)
	b.event(job, "started", 2)
	b.event(job, "progress", 2)
	b.event(job, "output", 2)
	b.event(job, end, 3)
}

func (b *books) want(t *testing.T, ok bool, text string) {
	t.Helper()
	got := b.balance(b.now)
	if got.String() != text {
		t.Errorf("got  %s\nwant %s", got, text)
	}
	if got.ok() != ok {
		t.Errorf("ok: %v", got.ok())
	}
}

func TestLedgerBalances(t *testing.T) {
	b := newBooks()
	b.want(t, true, "submitted 0 = 0 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0")
	b.answer("a", "b", "c", "d", "e")
	b.life("a", "succeeded")
	b.life("b", "failed")
	b.event("c", "scheduled", 1)
	b.event("c", "cancelled", 2)
	b.event("d", "queued", 1)
	b.event("e", "queued", 1)
	b.event("e", "started", 2)
	b.event("e", "retrying", 3)
	b.want(t, true, "submitted 5 = 1 succeeded + 1 failed + 1 cancelled + 2 in flight   lost 0   duplicated 0")
	if open := b.unfinished(); !slices.Equal(open, []string{"d", "e"}) {
		t.Errorf("unfinished %q", open)
	}
}

func TestLedgerLost(t *testing.T) {
	b := newBooks()
	b.answer("a", "b", "c", "d", "e")
	b.life("a", "succeeded")
	b.want(t, true, "submitted 5 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight + 4 not yet seen   lost 0   duplicated 0")
	b.now = b.now.Add(allowance)
	b.want(t, true, "submitted 5 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight + 4 not yet seen   lost 0   duplicated 0")
	b.now = b.now.Add(time.Millisecond)
	b.want(t, false, "submitted 5 ≠ 1 succeeded + 0 failed + 0 cancelled + 0 in flight   difference 4: b, c, d and 1 more   lost 4   duplicated 0")
	for _, id := range []string{"c", "d", "e", "b"} {
		b.life(id, "succeeded") // late, but not lost
	}
	b.want(t, true, "submitted 5 = 5 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0")
}

func TestLedgerEventsBeforeAnswer(t *testing.T) {
	b := newBooks()
	b.life("a", "succeeded")
	b.event("b", "queued", 1)
	b.want(t, true, "submitted 0 = 1 succeeded + 0 failed + 0 cancelled + 1 in flight - 2 not yet answered   lost 0   duplicated 0")
	b.answer("a")
	b.want(t, true, "submitted 1 = 1 succeeded + 0 failed + 0 cancelled + 1 in flight - 1 not yet answered   lost 0   duplicated 0")
	b.now = b.now.Add(allowance + time.Millisecond)
	b.want(t, false, "submitted 1 ≠ 1 succeeded + 0 failed + 0 cancelled + 1 in flight   difference 1: b   lost 0   duplicated 0")
}

// A lost job and one from nowhere must not make up for each other.
func TestLedgerLostAndStrange(t *testing.T) {
	b := newBooks()
	b.answer("a")
	b.life("b", "succeeded")
	b.now = b.now.Add(time.Hour)
	b.want(t, false, "submitted 1 ≠ 1 succeeded + 0 failed + 0 cancelled + 0 in flight   difference 2: a, b   lost 1   duplicated 0")
}

func TestLedgerDuplicated(t *testing.T) {
	for name, spoil := range map[string]func(*books){
		"a second end":       func(b *books) { b.event("a", "succeeded", 3) },
		"another end":        func(b *books) { b.event("a", "failed", 4) },
		"output after end":   func(b *books) { b.event("a", "output", 3) },
		"started after end":  func(b *books) { b.event("a", "started", 4) },
		"the same seq twice": func(b *books) { b.repeated(client.Message{Type: "job.started", Job: "a", Seq: 7}) },
		"accepted twice":     func(b *books) { b.answer("a") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks()
			b.answer("a")
			b.life("a", "succeeded")
			spoil(b)
			b.want(t, false, "submitted 1 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 1")
			var notes strings.Builder
			if b.printNotes(&notes, b.balance(b.now)); !strings.HasPrefix(notes.String(), "  a: ") {
				t.Errorf("notes %q", notes.String())
			}
		})
	}
	b := newBooks()
	b.answer("a")
	b.event("a", "queued", 1)
	b.event("a", "queued", 1)
	b.want(t, false, "submitted 1 = 0 succeeded + 0 failed + 0 cancelled + 1 in flight   lost 0   duplicated 1")
}

func TestLedgerMissedEvents(t *testing.T) {
	b := newBooks()
	b.answer("a", "b")
	b.event("a", "queued", 1)
	b.event("a", "succeeded", 4)
	b.want(t, false, "submitted 2 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight + 1 not yet seen   lost 2   duplicated 0")
	b.event("b", "queued", 1)
	b.endedWithoutEvent("b", "failed")
	b.want(t, false, "submitted 2 = 1 succeeded + 0 failed + 0 cancelled + 1 in flight   lost 3   duplicated 0")
}

// What the hub says it can't give is not lost in silence.
func TestLedgerGap(t *testing.T) {
	b := newBooks()
	b.answer("a", "b")
	b.event("a", "queued", 1)
	b.received(&client.Message{Type: client.Gap, From: 2, To: 9, Reason: "expired"}, b.now)
	b.received(&client.Message{Type: client.State, Job: "a", Version: 4}, b.now)
	b.received(&client.Message{Type: client.State, Job: "b", Version: 2}, b.now)
	b.received(&client.Message{Type: client.Live}, b.now)
	b.event("a", "succeeded", 5)
	b.event("b", "failed", 3)
	b.want(t, true, "submitted 2 = 1 succeeded + 1 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0   gaps 1")
}

func TestLedgerOthers(t *testing.T) {
	b := newBooks()
	b.answer("a")
	b.life("a", "failed")
	b.received(&client.Message{Type: "job.queued", Job: "other", Version: 1, Data: jsontext.Value(`{"state":"queued"}`)}, b.now)
	b.received(&client.Message{Type: "job.queued", Job: "again", Version: 1, Tags: []string{"demo"}, Data: jsontext.Value(`{"state":"queued","retry_of":"a"}`)}, b.now)
	b.received(&client.Message{Type: "job.succeeded", Job: "other", Version: 2}, b.now)
	b.received(&client.Message{Type: "queue.paused", Queue: "q"}, b.now)
	b.want(t, true, "submitted 1 = 0 succeeded + 1 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0   2 of others")
}

// message is an event of a job that has no tag.
func (b *books) message(job, queue, typ string, version uint64, data string, tags ...string) {
	b.received(&client.Message{Type: "job." + typ, Job: job, Queue: queue, Version: version, Tags: tags, Data: jsontext.Value(data)}, b.now)
}

// What the hub submits itself is in no sum, but its events must be complete all the same.
func TestLedgerOwn(t *testing.T) {
	b := newBooks()
	b.answer("a")
	b.life("a", "succeeded")
	b.message("delivery", "callbacks", "queued", 1, `{"state":"queued","parent":"a"}`, "job.succeeded")
	b.message("tick", "reports", "queued", 1, `{"state":"queued"}`, "schedule:nightly")
	b.message("delivery", "callbacks", "succeeded", 2, `{}`)
	const balanced = "submitted 1 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0"
	b.want(t, true, balanced)
	if n := b.balance(b.now).own; n != 2 {
		t.Errorf("%d jobs of the hub", n)
	}
	if open := b.unfinished(); !slices.Equal(open, []string{"tick"}) {
		t.Errorf("unfinished %q", open)
	}
	b.message("delivery", "callbacks", "failed", 3, `{}`)
	b.want(t, false, strings.Replace(balanced, "duplicated 0", "duplicated 1", 1))
	b.message("tick", "reports", "succeeded", 3, `{}`)
	b.want(t, false, "submitted 1 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 1   duplicated 1")
}

// A request through a route has no tag: its job is ours if an answer says so.
func TestLedgerUntagged(t *testing.T) {
	b := &books{newLedger("demo", "checkout"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, id := range []string{"a", "b", "c"} {
		b.message(id, "checkout", "queued", 1, `{"state":"queued"}`)
	}
	b.message("a", "checkout", "failed", 2, `{}`)
	b.want(t, true, "submitted 0 = 0 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0")
	b.answer("a", "b", "d")
	b.want(t, true, "submitted 3 = 0 succeeded + 1 failed + 0 cancelled + 1 in flight + 1 not yet seen   lost 0   duplicated 0")
	b.now = b.now.Add(allowance + time.Millisecond)
	b.want(t, false, "submitted 3 ≠ 0 succeeded + 1 failed + 0 cancelled + 1 in flight   difference 1: d   lost 1   duplicated 0   1 of others")
	b.answer("c") // late, but it came
	b.message("d", "checkout", "queued", 1, `{"state":"queued"}`)
	b.want(t, true, "submitted 4 = 0 succeeded + 1 failed + 0 cancelled + 3 in flight   lost 0   duplicated 0")
}

// A job that a snapshot shows first has had its events before.
func TestLedgerSnapshot(t *testing.T) {
	b := newBooks()
	b.received(&client.Message{Type: client.State, Job: "a", Version: 3, Data: jsontext.Value(`{"queue":"q","tags":["demo"]}`)}, b.now)
	b.received(&client.Message{Type: client.State, Job: "x", Version: 3, Data: jsontext.Value(`{"queue":"q","tags":[]}`)}, b.now)
	b.event("a", "succeeded", 4)
	b.answer("a")
	b.want(t, true, "submitted 1 = 1 succeeded + 0 failed + 0 cancelled + 0 in flight   lost 0   duplicated 0   1 of others")
}

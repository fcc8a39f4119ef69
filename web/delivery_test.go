package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
)

// filter is one of a subscribe message, and what it selects.
type filter struct {
	member string
	hub.Filter
}

func someFilter(r *rand.Rand, ids []string) filter {
	f := filter{Filter: hub.Filter{Tenant: jobs.DefaultTenant}}
	switch n := r.IntN(6); {
	case n == 0 && len(ids) > 0:
		id := ids[r.IntN(len(ids))]
		f.member, f.Job = `"job":"`+id+`"`, jobID(id)
	case n == 1:
		f.Queue = fmt.Sprintf("q%d", r.IntN(3))
		f.member = `"queue":"` + f.Queue + `"`
	case n == 2:
		f.Tag = fmt.Sprintf("t%d", r.IntN(2))
		f.member = `"tag":"` + f.Tag + `"`
	case n == 3:
		f.Kind = "busy"
		f.member = `"kind":"busy"`
	default:
		f.All = true
		f.member = `"all":true`
	}
	return f
}

func jobID(text string) (id jobs.ID) {
	if err := id.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return id
}

func number(t testing.TB, m map[string]any, member string) uint64 {
	t.Helper()
	var n uint64
	if _, err := fmt.Sscan(fmt.Sprint(m[member]), &n); err != nil {
		t.Fatalf("%s of %v: %v", member, m, err)
	}
	return n
}

// selected is what a filter selects of the log in (after, upTo].
func selected(log []*jobs.Event, f hub.Filter, after, upTo uint64) (seqs []uint64) {
	for _, e := range log[min(after, uint64(len(log))):min(upTo, uint64(len(log)))] {
		if f.Match(e) {
			seqs = append(seqs, e.Seq)
		}
	}
	return seqs
}

// unfinished is which of the jobs that a filter covers were not final at a position.
func unfinished(log []*jobs.Event, f hub.Filter, at uint64) map[string]uint64 {
	open := map[string]uint64{}
	for _, e := range log[:at] {
		if !f.Match(e) || !e.Type.Lasting() {
			continue
		}
		if open[e.Job.String()] = e.Version; e.Type >= jobs.JobSucceeded {
			delete(open, e.Job.String())
		}
	}
	return open
}

// opened is a subscription that a test connection made, as it was answered.
type opened struct {
	filter
	snapshot bool
	since    *uint64
	at       uint64   // of its live
	replay   []uint64 // what its block held
	states   map[string]uint64
}

// TestOverlappingSubscriptions opens subscriptions at random moments while jobs run,
// and compares all that the connection got with the log.
func TestOverlappingSubscriptions(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			w := startIn(t, t.TempDir(), func(p *parts) { p.hub.RingBytes = []int{0, 1, 8 << 10, 64 << 10}[seed] })
			var mu sync.Mutex // protects ids
			var ids []string
			var load sync.WaitGroup
			for n := range 4 {
				load.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(n)))
					for range 25 {
						id := w.submit(fmt.Sprintf(`{"kind":"busy","input":%v,"queue":"q%d","tags":["t%d"]}`, r.IntN(2) == 0, r.IntN(3), r.IntN(3)))
						mu.Lock()
						ids = append(ids, id)
						mu.Unlock()
					}
				})
			}
			c := w.dial("")
			subs := map[string]*opened{}
			live := map[uint64]string{} // events outside of blocks
			var last, floor uint64      // newest live event, and newest position reached by a block
			open := func(name string, r *rand.Rand) {
				mu.Lock()
				o := &opened{filter: someFilter(r, ids), states: map[string]uint64{}}
				mu.Unlock()
				more := ""
				switch r.IntN(3) {
				case 0:
					o.snapshot, more = true, `,"snapshot":true`
				case 1:
					seq := w.store.Head().Seq
					seq = uint64(r.Int64N(int64(seq) + 1))
					o.since, more = &seq, fmt.Sprintf(`,"since":{"epoch":"%s","seq":%d}`, w.hub.Epoch(), seq)
				}
				subs[name] = o
				c.send(`{"type":"subscribe","id":"%s",%s%s,"progress":"all"}`, name, o.member, more)
			}
			take := func() (ended string) {
				text, err := c.line()
				if err != nil {
					t.Fatal(err)
				}
				m := decoded(t, text)
				if m["type"] != "subscribed" {
					seq := number(t, m, "seq")
					if !strings.HasPrefix(m["type"].(string), "job.") || seq <= last || seq <= floor {
						t.Fatalf("after event %d and a block up to %d came %s", last, floor, text)
					}
					last, live[seq] = seq, text
					return ""
				}
				id := m["id"].(string)
				o := subs[id]
				begin := number(t, m, "seq")
				if (m["recovered"] == true) != (o.since != nil) || (o.since != nil && begin != *o.since) {
					t.Fatalf("subscribed to %+v, got %s", o, text)
				}
				for {
					m := c.next()
					switch kind := m["type"].(string); {
					case kind == "live" && m["id"] == id:
						if o.at = number(t, m, "seq"); o.at < last || o.at < begin {
							t.Fatalf("block %s ends at %d, after event %d", id, o.at, last)
						}
						floor = max(floor, o.at)
						return id
					case kind == "state" && m["id"] == id && o.snapshot && number(t, m, "seq") == begin:
						o.states[m["job"].(string)] = number(t, m, "version")
					case strings.HasPrefix(kind, "job.") && o.since != nil:
						o.replay = append(o.replay, number(t, m, "seq"))
					default:
						t.Fatalf("within block %s came %v", id, m)
					}
				}
			}
			r := rand.New(rand.NewPCG(seed, 99))
			running, over := context.WithCancel(t.Context())
			go func() { load.Wait(); over() }()
			for n := 0; n < 12; {
				for range 1 + r.IntN(3) { // several may be on their way at once
					open(fmt.Sprint("s", n), r)
					n++
				}
				for want := fmt.Sprint("s", n-1); take() != want; {
				}
				_ = w.store.Wait(running, w.store.Head().Seq+uint64(r.IntN(60)))
			}
			<-running.Done()
			settle(w, ids)
			subs["end"] = &opened{filter: filter{Filter: hub.Filter{Tenant: jobs.DefaultTenant, All: true}}}
			c.send(`{"type":"subscribe","id":"end","all":true}`)
			for take() != "end" {
			}
			check(t, w, subs, live)
		})
	}
}

// settle waits until jobs are final.
func settle(w *world, ids []string) {
	w.t.Helper()
	for _, id := range ids {
		for {
			head := w.store.Head().Seq // before the look, so that no end falls between
			job, _, err := w.store.Job(w.t.Context(), jobs.DefaultTenant, jobID(id))
			if err != nil {
				w.t.Fatal(err)
			}
			if job.State.Final() {
				break
			}
			if err := w.store.Wait(w.t.Context(), head); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func check(t *testing.T, w *world, subs map[string]*opened, live map[uint64]string) {
	t.Helper()
	log := w.log()
	for _, e := range log {
		want := false
		for _, o := range subs {
			want = want || (e.Seq > o.at && o.Match(e))
		}
		text, got := live[e.Seq]
		if got != want {
			t.Errorf("event %d %s of %s: live %v, want %v", e.Seq, e.Type, e.Job, got, want)
		}
		if got && text != string(e.AppendJSON(nil, w.hub.Epoch())) {
			t.Errorf("event %d came as %s", e.Seq, text)
		}
	}
	if len(live) < 100 {
		t.Errorf("only %d live events: this proves little", len(live))
	}
	for id, o := range subs {
		if o.since != nil {
			if want := selected(log, o.Filter, *o.since, o.at); !slices.Equal(o.replay, want) {
				t.Errorf("%s: replay of %s in (%d, %d] is %v, want %v", id, o.member, *o.since, o.at, o.replay, want)
			}
		}
		if o.snapshot && o.Job == (jobs.ID{}) {
			if want := unfinished(log, o.Filter, o.at); !maps.Equal(o.states, want) {
				t.Errorf("%s: snapshot of %s at %d has %v, want %v", id, o.member, o.at, o.states, want)
			}
		}
	}
}

func TestResumeFromEveryPosition(t *testing.T) {
	w := start(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, w.submit(fmt.Sprintf(`{"kind":"busy","input":%v,"queue":"q%d","tags":["t%d"]}`, i%2 == 0, i%3, i%2)))
	}
	settle(w, ids)
	open := w.submit(`{"kind":"nobody","queue":"q0","tags":["t0"]}`)
	log := w.log()
	head := uint64(len(log))
	c := w.dial("")
	tenant := jobs.DefaultTenant
	for _, f := range []filter{
		{`"all":true`, hub.Filter{Tenant: tenant, All: true}},
		{`"queue":"q0"`, hub.Filter{Tenant: tenant, Queue: "q0"}},
		{`"tag":"t1"`, hub.Filter{Tenant: tenant, Tag: "t1"}},
		{`"kind":"busy"`, hub.Filter{Tenant: tenant, Kind: "busy"}},
		{`"job":"` + ids[2] + `"`, hub.Filter{Tenant: tenant, Job: jobID(ids[2])}},
		{`"job":"` + open + `"`, hub.Filter{Tenant: tenant, Job: jobID(open)}},
	} {
		for since := range head + 1 {
			c.send(`{"type":"subscribe","id":"s",%s,"since":{"epoch":"%s","seq":%d},"progress":"all"}`, f.member, w.hub.Epoch(), since)
			from, events, live := c.block("s")
			var got []uint64
			for _, e := range events {
				got = append(got, number(t, e, "seq"))
			}
			if from["recovered"] != true || number(t, from, "seq") != since || number(t, live, "seq") != head {
				t.Fatalf("%s since %d: %v … %v", f.member, since, from, live)
			}
			if want := selected(log, f.Filter, since, head); !slices.Equal(got, want) {
				t.Fatalf("%s since %d: replayed %v, want %v", f.member, since, got, want)
			}
			c.send(`{"type":"unsubscribe","id":"s"}`)
			c.until("reply")
		}
		for _, since := range []uint64{head + 1, head + 1e6, 1 << 53, 1 << 63, 1<<64 - 1} {
			c.send(`{"type":"subscribe","id":"s",%s,"since":{"epoch":"%s","seq":%d}}`, f.member, w.hub.Epoch(), since)
			from, states, live := c.block("s")
			if from["recovered"] != false || from["reason"] != "future" || number(t, from, "seq") != head || number(t, live, "seq") != head {
				t.Errorf("%s since %d: %v … %v", f.member, since, from, live)
			}
			for _, s := range states {
				if s["type"] != "state" {
					t.Errorf("%s since %d: a future position yields %v", f.member, since, s)
				}
			}
			if want := unfinished(log, f.Filter, head); f.Job == (jobs.ID{}) && len(states) != len(want) {
				t.Errorf("%s since %d: %d states, want %d", f.member, since, len(states), len(want))
			}
			c.send(`{"type":"unsubscribe","id":"s"}`)
			c.until("reply")
		}
	}
}

// What a 202 says is enough to miss nothing, however late one subscribes.
func TestSubmitThenSubscribeMissesNothing(t *testing.T) {
	w := start(t)
	c := w.dial("")
	for n := range 40 {
		accepted := w.do("POST", "/v1/jobs", `{"kind":"echo","input":1}`).want(202).json()
		id := accepted["id"].(string)
		if n%2 == 0 {
			w.await(id, "succeeded")
		}
		c.send(`{"type":"subscribe","id":"s%d","job":"%s","since":{"epoch":"%s","seq":%v}}`, n, id, accepted["epoch"], accepted["seq"])
		var types []string
		for {
			m := c.next()
			if m["job"] == id {
				types = append(types, m["type"].(string))
			}
			if m["type"] == "job.succeeded" && m["job"] == id {
				break
			}
		}
		if fmt.Sprint(types) != "[job.started job.succeeded]" {
			t.Fatalf("job %d: %v", n, types)
		}
	}
}

func TestNumbersKeepEveryDigit(t *testing.T) {
	const input = `{"big":123456789012345678901234567890.123456789,"exp":1e309,"int":9007199254740993,"zero":-0.0,"deep":[1.10,2E+3]}`
	w := start(t)
	c := w.dial("?all=1")
	c.until("live")
	id := w.submit(`{"kind":"echo","input":` + input + `}`)
	w.await(id, "succeeded")
	holds := func(where, text string, member string) {
		t.Helper()
		var doc map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if data, ok := doc["data"]; ok {
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
		}
		if string(doc[member]) != input {
			t.Errorf("%s: %s is %s", where, member, doc[member])
		}
	}
	doc := w.do("GET", "/v1/jobs/"+id, "").body
	holds("GET", doc, "input")
	holds("GET", doc, "result")
	if got := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).body; got != input+"\n" {
		t.Errorf("response: %s", got)
	}
	queued, _ := c.line()
	holds("event", queued, "input")
	c.next()
	succeeded, _ := c.line()
	holds("event", succeeded, "result")
	c.send(`{"type":"get","id":"g","job":"%s"}`, id)
	reply, _ := c.line()
	holds("reply", reply, "input")
	c.send(`{"type":"subscribe","id":"s","job":"%s","snapshot":true}`, id)
	c.line()
	state, _ := c.line()
	holds("state", state, "result")
}

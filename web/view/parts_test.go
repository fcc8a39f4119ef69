package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

func TestFormats(t *testing.T) {
	for _, c := range [][2]string{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(1_000_000_000), "1,000,000,000"},
		{rate(0), "0"}, {rate(0.02), "<0.1"}, {rate(8.13), "8.1"}, {rate(99.96), "100"}, {rate(12_345), "12,345"},
		{share(0, 0), dash}, {share(0, 5), "0 %"}, {share(1, 1_000_000), "<0.01 %"}, {share(1, 1600), "0.06 %"}, {share(99_999, 100_000), ">99.9 %"}, {share(5, 5), "100 %"},
		{span(0), "<1 ms"}, {span(41 * time.Millisecond), "41 ms"}, {span(9999 * time.Millisecond), "9.9 s"}, {span(12 * time.Second), "12 s"},
		{span(200 * time.Second), "3 min 20 s"}, {span(125 * time.Minute), "2 h 5 min"}, {span(76 * time.Hour), "3 d 4 h"}, {span(-1), dash},
	} {
		if c[0] != c[1] {
			t.Errorf("got %q, want %q", c[0], c[1])
		}
	}
}

func TestTreeKeepsEveryDigitAndItsLimits(t *testing.T) {
	n := parse(jobs.Value(`{"b":12345678901234567890,"a":1.10,"e":1E400}`))
	if n.Kids[0].Text != "12345678901234567890" || n.Kids[1].Text != "1.10" || n.Kids[2].Text != "1E400" {
		t.Errorf("numbers changed: %+v", n.Kids)
	}
	wide := parse(jobs.Value("[" + strings.Repeat("1,", 100_000) + "1]"))
	if len(wide.Kids) != maxNodes-1 || !wide.Cut {
		t.Errorf("%d kids shown, cut %v", len(wide.Kids), wide.Cut)
	}
	deep := parse(jobs.Value(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)))
	depth := 0
	for n := deep; len(n.Kids) > 0; n = n.Kids[0] {
		depth++
	}
	if depth > maxDepth {
		t.Errorf("shown %d deep", depth)
	}
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprintf(`{"id":%d,"x":{"y":[]}}`, i)
	}
	if n := parse(jobs.Value("[" + strings.Join(many, ",") + "]")); !n.Cut {
		t.Error("a cut inside a child is not told by its parents")
	}
}

func TestStepsWithoutEvents(t *testing.T) {
	m := sampleFailed()
	m.Way = Way{Cut: true}
	steps := m.steps()
	if len(steps) != 2 || steps[0].State != jobs.Running || steps[0].took(noon) != 9*time.Second || steps[1].State != jobs.Failed {
		t.Errorf("got %+v", steps)
	}
}

func TestSegmentsFillTheLine(t *testing.T) {
	steps := []step{
		{State: jobs.Scheduled, From: ago(72 * time.Hour), To: ago(2 * time.Millisecond)},
		{State: jobs.Queued, From: ago(2 * time.Millisecond), To: ago(time.Millisecond)},
		{State: jobs.Running, From: ago(time.Millisecond), To: noon},
		{State: jobs.Succeeded, From: noon},
	}
	drawn := segments(steps, noon)
	last := drawn[len(drawn)-1]
	if len(drawn) != 3 || last.Width < 4 || last.X+last.Width < 999.9 || last.X+last.Width > 1000.1 {
		t.Errorf("got %+v", drawn)
	}
}

func TestOutputLines(t *testing.T) {
	out := func(seq uint64, stream, text string) *jobs.Event {
		return event(seq, jobs.JobOutput, noon, fmt.Sprintf(`{"attempt":1,"stream":%q,"text":%q}`, stream, text))
	}
	m := JobModel{Way: wayOf(false,
		out(1, "stdout", "a\nb"), out(2, "stdout", "c\n\n"), out(3, "stderr", "e"), out(4, "stdout", "f\r\n"),
		&jobs.Event{Type: jobs.JobOutput, Seq: 5, Truncated: true, At: noon},
	)}
	lines, before := m.output()
	var got []string
	for _, l := range lines {
		got = append(got, l.Text)
	}
	if want := "a|bc||e|f|more than 64 KiB at once, not kept here"; strings.Join(got, "|") != want || before != 0 {
		t.Errorf("got %q", got)
	}
}

// However much a job writes, a bounded number of lines is kept, and each has the number
// and the key that it had before.
func TestWayForgetsOldLines(t *testing.T) {
	var w Way
	seen := map[int]string{}
	for i := range 3000 {
		w.Add(slices.Values([]*jobs.Event{event(uint64(i+1), jobs.JobOutput, noon, fmt.Sprintf(`{"attempt":1,"stream":"stdout","text":"line %d\n"}`, i+1))}))
		lines, before := JobModel{Way: w}.output()
		if len(w.lines) > 2*maxLines || len(lines) != min(i+1, maxLines) || before+len(lines) != i+1 {
			t.Fatalf("after %d lines %d are kept, %d shown, %d before", i+1, len(w.lines), len(lines), before)
		}
		for _, l := range lines {
			if was, ok := seen[l.N]; ok && was != l.Key || l.Text != fmt.Sprintf("line %d", l.N) {
				t.Fatalf("line %d is %q with key %s, before it was %s", l.N, l.Text, l.Key, was)
			}
			seen[l.N] = l.Key
		}
	}
}

func TestTargets(t *testing.T) {
	all, longest := sampleFanout().targets()
	if len(all) != 4 || longest != 30*time.Second {
		t.Fatalf("got %+v, the longest %s", all, longest)
	}
	for i, want := range []fanTarget{
		{"prices", jobs.Succeeded, "200", "1", 412500 * time.Microsecond}, {"stock", jobs.Running, dash, "2", 30 * time.Second},
		{"crm", jobs.Failed, "503", "3", 9 * time.Second}, {"old", jobs.Queued, dash, dash, -1},
	} {
		if all[i] != want {
			t.Errorf("got %+v, want %+v", all[i], want)
		}
	}
	if text := fanText(all); text != "1 queued, 1 running, 1 succeeded, 1 failed" {
		t.Errorf("got %q", text)
	}
	for _, other := range []string{`{}`, `{"targets":[]}`, `{"targets":{"a":1}}`, `[]`, `null`, `"targets"`, ``} {
		if all, _ := (JobModel{Job: jobs.Job{Result: jobs.Value(other)}}).targets(); len(all) > 0 {
			t.Errorf("of %s: %+v", other, all)
		}
	}
}

func TestQueryIsWrittenOneWay(t *testing.T) {
	a, b := Query{States: []jobs.State{jobs.Failed, jobs.Queued}, Tag: "a b&c"}, Query{States: []jobs.State{jobs.Queued, jobs.Failed}, Tag: "a b&c"}
	if a.String() != b.String() || a.String() != "state=queued%2Cfailed&tag=a+b%26c" {
		t.Errorf("%s and %s", a, b)
	}
	if (Query{}).Filters() || (Query{Cursor: "1.1", Limit: 5, Bulk: "x"}).Filters() || !(Query{Since: "1h"}).Filters() || (Query{Tag: "x"}).Counted() || !(Query{Queue: "x"}).Counted() {
		t.Error("what filters, or is counted, is not told right")
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m": "red", "10 %\r20 %\r": "20 %", "a\tb": "a\tb", "x\x00y": "x\ufffdy", "\u202eevil": "\ufffdevil",
		"\x1b]8;;http://x\x07link\x1b]8;;\x07": "link",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestHistogramShowsWhatItKnows(t *testing.T) {
	if b := (Series{}).chart(); b.Known {
		t.Error("an empty series is not known")
	}
	one := Series{End: noon, Step: 5 * time.Second, Buckets: []Bucket{{Succeeded: 10, Failed: 1}}}
	b := one.chart()
	if !b.Known || strings.Count(b.Succeeded, "v-") != 1 || strings.Count(b.Failed, "v-") != 1 || b.Top != 3 {
		t.Errorf("got %+v", b)
	}
	if b.Span != 2*time.Minute {
		t.Errorf("a hub that has only begun shows %s", b.Span)
	}
	idle := Series{End: noon, Step: 5 * time.Second, Buckets: make([]Bucket, 180)}
	if b := idle.chart(); !b.Known || b.Succeeded != "" {
		t.Errorf("got %+v", b)
	}
}

func TestChartFitsWhatIsKnown(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 2 * time.Minute, 24: 2 * time.Minute, 41: 205 * time.Second, 90: 450 * time.Second, 180: 15 * time.Minute, 400: 15 * time.Minute} {
		c := Series{End: noon, Step: 5 * time.Second, Buckets: make([]Bucket, n)}.chart()
		if c.Span != want || len(c.Ticks) < 1 || len(c.Ticks) > 5 {
			t.Errorf("%d buckets: %s with %v", n, c.Span, c.Ticks)
		}
	}
}

// Two buckets that share a bar share it for as long as they are shown.
func TestBarsKeepTheirBuckets(t *testing.T) {
	s := Series{End: noon, Step: 5 * time.Second, Buckets: make([]Bucket, 180)}
	s.Buckets[100].Succeeded, s.Buckets[101].Succeeded = 10, 10 // from 20 s to 30 s after a full minute
	for range 6 {
		if c := s.chart(); strings.Count(c.Succeeded, "v-") != 1 {
			t.Errorf("at %s: %q", s.End, c.Succeeded)
		}
		s.End, s.Buckets = s.End.Add(s.Step), append(s.Buckets[1:], Bucket{})
	}
}

func TestReports(t *testing.T) {
	for in, want := range map[string]string{
		`{"percent":40,"message":"page 4 of 10"}`: "40 %  page 4 of 10", `{"percent": 66.6666}`: "66.7 %",
		`{"percent":40,"rows":7}`: "", `{"percent":"40"}`: "", `{"percent":null}`: "", `{"percent":1} {"percent":2}`: "", `{"message":"percent"}`: "", `percent 4`: "",
	} {
		if got := report(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

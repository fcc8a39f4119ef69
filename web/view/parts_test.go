package view

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

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
		t.Error("a parent does not show that its child is cut")
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

// Lines of different starts stay apart, whether an attempt was spent or not.
func TestOutputOfStarts(t *testing.T) {
	out := func(seq uint64, attempt, start int, text string) *jobs.Event {
		return event(seq, jobs.JobOutput, noon, fmt.Sprintf(`{"attempt":%d,"start":%d,"stream":"stdout","text":%q}`, attempt, start, text))
	}
	m := JobModel{Way: wayOf(false, out(1, 1, 1, "a"), out(2, 1, 2, "a"), &jobs.Event{Type: jobs.JobOutput, Seq: 3, Truncated: true, At: noon}, out(4, 1, 2, "b\n"), out(5, 2, 3, "c\nd"), out(6, 2, 3, "d"), out(7, 3, 7, "e"))}
	lines, _ := m.output()
	var got []string
	for _, l := range lines {
		text := l.Text
		if l.Note {
			text = "note"
		}
		if l.Turn {
			text = l.startName() + ": " + text
		}
		got = append(got, text)
	}
	if want := "a|attempt 1, start 2: a|note|b|attempt 2, start 3: c|dd|attempt 3, start 7: e"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

// An attempt that was started again without being counted has the number of its start.
func TestAttemptsOfStarts(t *testing.T) {
	started := func(seq uint64, attempt, start int) *jobs.Event {
		return event(seq, jobs.JobStarted, noon, fmt.Sprintf(`{"state":"running","attempt":%d,"start":%d}`, attempt, start))
	}
	m := JobModel{At: noon, Way: wayOf(false, started(1, 1, 1), event(2, jobs.JobQueued, noon, `{"state":"queued"}`), started(3, 1, 2), event(4, jobs.JobRetrying, noon, `{"state":"retrying"}`), started(5, 2, 3))}
	var got []string
	for _, a := range attempts(m.steps()) {
		got = append(got, attemptName(a))
	}
	if want := "1|1, start 2|2, start 3"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

// A value that may scroll takes the focus, however short it is: else keys could not scroll
// it, and whether that is so would depend on its length.
func TestValuesTakeTheFocus(t *testing.T) {
	for _, v := range []string{"1", `"` + strings.Repeat("a", 4000) + `"`} {
		if html := render(t, raw("result-json", "Result as JSON", jobs.Value(v), "")); !strings.Contains(html, `<pre id="result-json" tabindex="0" role="region" aria-label="Result as JSON">`) {
			t.Errorf("%.40s: %.200s", v, html)
		}
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
		if len(w.lines) > 2*maxLines || len(lines) != min(i+1, tailLines) || before+len(lines) != i+1 {
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
		t.Error("Filters or Counted is wrong")
	}
}

// A page of older output shows the lines up to one, and how many lines are before them.
func TestOutputFurtherBack(t *testing.T) {
	wayUpto := func(upto int) Way {
		way := Way{Upto: upto}
		for i := range 3000 {
			way.Add(slices.Values([]*jobs.Event{event(uint64(2*i+1), jobs.JobOutput, noon, `{"attempt":1,"stream":"stdout","text":"line "}`),
				event(uint64(2*i+2), jobs.JobOutput, noon, fmt.Sprintf(`{"attempt":1,"stream":"stdout","text":"%d\n"}`, i+1))}))
		}
		if n := len(way.lines); n > 2*(olderLines+2) {
			t.Errorf("up to %d: %d lines are kept", upto, n)
		}
		return way
	}
	for upto, want := range map[int][2]int{1200: {701, 1200}, 300: {1, 300}, 9999: {2501, 3000}, 0: {3001 - tailLines, 3000}} {
		lines, before := JobModel{Way: wayUpto(upto), Upto: upto}.output()
		if before != want[0]-1 || lines[0].N != want[0] || lines[len(lines)-1].N != want[1] || lines[0].Text != fmt.Sprintf("line %d", want[0]) || lines[len(lines)-1].Text != fmt.Sprintf("line %d", want[1]) {
			t.Errorf("up to %d: %d to %d, %d before", upto, lines[0].N, lines[len(lines)-1].N, before)
		}
	}
	lines, _ := JobModel{Way: wayUpto(250), Upto: 250}.output()
	all := blocks(lines)
	if len(all) != 3 || all[0].N != 0 || len(all[2].Lines) != 50 || all[2].Lines[0].N != 201 {
		t.Errorf("the blocks are %d", len(all))
	}
}

func TestColours(t *testing.T) {
	for in, want := range map[string][]stretch{
		"\x1b[31mred\x1b[0m not":                 {{"a-red", "red"}, {"", " not"}},
		"a\x1b[1;4;92mb\x1b[22mc\x1b[md":         {{"", "a"}, {"a-bold a-under a-green", "b"}, {"a-under a-green", "c"}, {"", "d"}},
		"\x1b[38;5;196mr\x1b[38;2;10;20;250mb":   {{"a-red", "r"}, {"a-blue", "b"}},
		"\x1b[48:5:2mg\x1b[49mx":                 {{"a-on-green", "g"}, {"", "x"}},
		"\x1b[38;5mx":                            {{"", "x"}},
		"\x1b[2J\x1b[Hx\x1b]0;title\x07y\x1b(Bz": {{"", "xy\ufffd(Bz"}},
		"10 %\x1b[31m\r20 %":                     {{"a-red", "20 %"}},
		"\x1b[31":                                {{"", "\ufffd[31"}},
		"<b onclick=x>":                          {{"", "<b onclick=x>"}},
		"":                                       nil,
	} {
		got := ansi(in)
		for i := 1; i < len(got); i++ { // parts of the same style need not be adjacent
			if got[i].Class == got[i-1].Class {
				got[i-1].Text += got[i].Text
				got = slices.Delete(got, i, i+1)
				i--
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Whatever a job writes, classes are those of the style sheet, and no character controls.
func FuzzColours(f *testing.F) {
	for _, seed := range []string{"\x1b[1;31mred\x1b[0m", "\x1b[38;2;1;2;3mx\r\x1b[Ky", "\x1b]8;;http://x\x07l\x1b]8;;\x07", "\x1b\x1b[", "\u202e\x9b31mx", "a\rb\r", "\x1b[999999999999;38;5;-1m<"} {
		f.Add(seed)
	}
	classes := regexp.MustCompile(`^(a-(bold|dim|italic|under|struck|swapped|(on-)?(black|red|green|yellow|blue|magenta|cyan|white))( |$))*$`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range ansi(s) {
			if !classes.MatchString(p.Class) {
				t.Errorf("class %q", p.Class)
			}
			if p.Text == "" || strings.ContainsFunc(p.Text, func(r rune) bool { return r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) }) {
				t.Errorf("text %q", p.Text)
			}
		}
	})
}

func TestPreviews(t *testing.T) {
	for in, want := range map[string]string{
		`{"order":12345678901234567890,"lines":[1,2],"none":[],"who":{"a":1},"ok":true}`: "order: 12345678901234567890, lines: [2], none: [], who: {1}, ok: true",
		`"a\nb"`: "a b", `[1,"x"]`: "1, x", `null`: "null", `7`: "7", `{`: "",
	} {
		if got := inputPreview(jobs.Job{Kind: "x", Input: jobs.Value(in)}); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	call := jobs.Job{Kind: "http", Input: jobs.Value(`{"method":"POST","url":"https://u:secret@x/?t=secret","headers":{"authorization":"secret"},"body":{"n":1}}`)}
	if got := inputPreview(call); got != "n: 1" {
		t.Errorf("of a call: %q", got)
	}
}

func TestBulkIsToldInWords(t *testing.T) {
	input := jobs.Value(`{"action":"cancel","filter":{"state":["queued","running"],"queue":"mail","q":"x<y"}}`)
	for want, j := range map[string]jobs.Job{
		"Cancelling all matching jobs, queued or running, in queue mail, with “x<y” | queued": {State: jobs.Queued},
		"Cancelling 12 of 3,214 jobs, queued or running, in queue mail, with “x<y” | 2 skipped, because their state had changed": {State: jobs.Running,
			Progress: &jobs.Progress{Message: "12 of 3214", Data: jobs.Value(`{"done":12,"total":3214}`)}, Checkpoint: jobs.Value(`{"count":12,"done":10,"skipped":2,"next":9}`)},
		"Cancelled 3,210 of 3,214 jobs, queued or running, in queue mail, with “x<y” | 4 skipped, because their state had changed": {State: jobs.Succeeded,
			Progress: &jobs.Progress{Message: "3214 of 3214", Data: jobs.Value(`{"done":3214,"total":3214}`)}, Result: jobs.Value(`{"count":3214,"done":3210,"skipped":4}`)},
		"Stopped after 12 of 3,214 jobs, of which 12 cancelled, queued or running, in queue mail, with “x<y” | ": {State: jobs.Cancelled,
			Progress: &jobs.Progress{Message: "12 of 3214", Data: jobs.Value(`{"done":12,"total":3214}`)}, Checkpoint: jobs.Value(`{"count":12,"done":12}`)},
	} {
		j.Input = input
		if what, how := bulkText(j); what+" | "+how != want {
			t.Errorf("got  %s | %s\nwant %s", what, how, want)
		}
	}
}

func TestColumnsAreWrittenOneWay(t *testing.T) {
	for in, want := range map[string]string{"": "", "time,queue": "queue,time", "queue,stands,tags,accepted,time": "", "worker,worker": "worker"} {
		if got, ok := ParseColumns(in); !ok || got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if _, ok := ParseColumns("queue,<b>"); ok {
		t.Error("an unknown column is taken")
	}
}

func TestEndIsGuessed(t *testing.T) {
	if got := EndOf(noon, noon.Add(30*time.Second), 75); !got.Equal(noon.Add(40 * time.Second)) {
		t.Errorf("got %s", got)
	}
	for _, p := range []float64{0, 0.5, 100} {
		if !EndOf(noon, noon.Add(time.Minute), p).IsZero() || !EndOf(noon, noon.Add(time.Second), 50).IsZero() || !EndOf(time.Time{}, noon, 50).IsZero() {
			t.Error("what can't be known is guessed")
		}
	}
}

func TestSubmissionIsOneCommand(t *testing.T) {
	m := JobModel{Origin: "http://h", Job: jobs.Job{Kind: "x", Queue: "q", Input: jobs.Value(`{"a":"it's <b>","n":12345678901234567890}`), MaxAttempts: 3, Priority: -2, Via: jobs.Via{Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}
	want := `curl -i http://h/v1/jobs -H 'Content-Type: application/json' -d '{"kind":"x","queue":"q","input":{"a":"it'\''s <b>","n":12345678901234567890},"priority":-2,"retry":{"max_attempts":3}}'`
	if got := m.submission(); got != want {
		t.Errorf("got %s", got)
	}
	if m.trace() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the trace is %q", m.trace())
	}
}

func TestLargePayloadsBeginOnly(t *testing.T) {
	var large strings.Builder
	large.WriteString(`{"n":12345678901234567890,"items":[`)
	for i := range 5000 {
		fmt.Fprintf(&large, `{"id":%d,"text":%q},`, i, strings.Repeat("x", 300))
	}
	m := sampleFailed()
	m.Job.Input = jobs.Value(large.String() + `0]}`)
	page := render(t, JobPage(shell(), m))
	for _, want := range []string{"12345678901234567890", `/input" download`, "This is only the beginning."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if len(page) > 40_000 {
		t.Errorf("the page has %d bytes", len(page))
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

// The first page of the table is small, with as many rows as it has by default, each with
// all that rows have: a call, a host, tags, a long error.
func TestJobsPageIsSmall(t *testing.T) {
	m := Jobs{Origin: "http://127.0.0.1:8080", Counts: &Counts{jobs.Failed: 91_554, jobs.Queued: 11_449, jobs.Succeeded: 1_203_338}, Next: "3jp.3jp"}
	for i := range MaxSuggested {
		m.Queues, m.Kinds = append(m.Queues, fmt.Sprintf("queue-number-%d", i)), append(m.Kinds, fmt.Sprintf("kind.number-%d", i))
	}
	for i := range DefaultLimit {
		j := jobs.Job{N: uint64(4_111_535 + i), ID: sampleID(i), Kind: "http", Queue: "thumbnails", State: jobs.Succeeded, Attempt: 1, MaxAttempts: 5, Tags: []string{"customer:4711", "nightly"},
			CreatedAt: ago(time.Minute), StartedAt: ago(50 * time.Second), FinishedAt: ago(40 * time.Second),
			Input:    jobs.Value(`{"method":"POST","url":"https://billing.internal.example/thumbnails","body":{"order":4711,"parcels":3}}`),
			Response: &jobs.Response{Status: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"height":240,"thumbnail":"image-225.jpg?w=320","width":320,"status":"confirmed"}`)}}
		switch i % 4 {
		case 1:
			j.State, j.Response, j.Progress = jobs.Running, nil, &jobs.Progress{Percent: ptr(62.5), Message: "page 31 of 50, the long one with the pictures"}
		case 2:
			j.State, j.Response, j.Reason = jobs.Failed, nil, jobs.Rejected
			j.Error = &jobs.Problem{Title: "Rejected", Detail: "The upstream answered 422 Unprocessable Entity. Correct the request, or list 422 in expect if it is a success."}
		}
		m.Jobs = append(m.Jobs, j)
	}
	s := shell()
	s.Operator, s.Admin, s.User = true, true, "operations"
	if n := len(render(t, JobsPage(s, m))); n > 25_000 {
		t.Errorf("the page has %d bytes", n)
	} else {
		t.Logf("the page has %d bytes", n)
	}
}

package view

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/clip"
)

const (
	maxQueues    = 12 // shown by the overview: the busiest, by name
	maxAttention = 12 // things that need somebody: the most urgent
)

// Overview is the model of the overview.
type Overview struct {
	Origin     string // "http://host:port" of this hub, for commands to copy
	Queues     []Queue
	Throughput Series      // of all queues, lately
	Now        []jobs.Job  // the newest jobs, newest first
	Slots      int         // attempts that the hub and its workers can run at a time; 0 if not known
	NextRetry  time.Time   // zero if none is due, or not known
	Range      Range       // of the charts
	History    Series      // what ended in that range
	Times      Times       // how long it took, likewise
	Attention  []Attention // most urgent first
}

// OverviewFragments lists the live parts of the overview.
func OverviewFragments(o Overview) []Fragment {
	return []Fragment{
		{"overview-rail", overviewRail(o)},
		{"overview-queues", overviewQueues(o)},
		{"overview-chart", overviewChart(o)},
		{"overview-attention", overviewAttention(o)},
		{"overview-now", overviewNow(o)},
	}
}

// Range is how far the charts of the overview reach back.
type Range struct {
	Name  string // in the query
	Label string
	Span  time.Duration
}

// Ranges are all there are.
var Ranges = []Range{{"5m", "5 min", 5 * time.Minute}, {"15m", "15 min", 15 * time.Minute}, {"1h", "1 h", time.Hour}, {"24h", "24 h", 24 * time.Hour}}

// usual is the default range.
var usual = Ranges[1]

// RangeOf is the range with a name; the default range for an empty name.
func RangeOf(name string) (r Range, ok bool) {
	if name == "" {
		return usual, true
	}
	at := slices.IndexFunc(Ranges, func(r Range) bool { return r.Name == name })
	if at < 0 {
		return usual, false
	}
	return Ranges[at], true
}

// of is the range that is shown; the default range for the zero Range.
func (r Range) of() Range {
	if r.Name == "" {
		return usual
	}
	return r
}

// path leads to the overview with this range.
func (r Range) path() string {
	if r == usual {
		return "/"
	}
	return "/?range=" + r.Name
}

// view is the name of the live view of the overview with this range.
func (o Overview) view() string {
	if r := o.Range.of(); r != usual {
		return "overview:" + r.Name
	}
	return "overview"
}

func (o Overview) total(states ...jobs.State) (n int64) {
	for _, q := range o.Queues {
		for _, s := range states {
			n += q.Counts[s]
		}
	}
	return n
}

func (o Overview) empty() bool { return len(o.Now) == 0 && o.total(jobs.States...) == 0 }

// oldest is when the oldest queued job was accepted.
func (o Overview) oldest() (t time.Time) {
	for _, q := range o.Queues {
		if !q.OldestAt.IsZero() && (t.IsZero() || q.OldestAt.Before(t)) {
			t = q.OldestAt
		}
	}
	return t
}

func (o Overview) shownQueues() []Queue { return o.busiest(maxQueues) }

// busiest are the n queues with the most jobs, by name.
func (o Overview) busiest(n int) []Queue {
	if len(o.Queues) <= n {
		return o.Queues
	}
	shown := slices.SortedFunc(slices.Values(o.Queues), byLoad)
	shown = shown[:n]
	slices.SortFunc(shown, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
	return shown
}

// target is the request of an http job, as its kind alone says little. The query and the user
// of its URL may hold a secret and are left out.
type target struct{ Method, Scheme, Host, Path string }

func targetOf(j jobs.Job) (t target, ok bool) {
	var in struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
	if j.Kind == jobs.KindWebhook && len(j.Callbacks) > 0 {
		in.Method, in.URL = "POST", j.Callbacks[0].URL
	} else if j.Kind != "http" || json.Unmarshal(j.Input, &in) != nil {
		return t, false
	}
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" {
		return t, false
	}
	return target{cmp.Or(strings.ToUpper(in.Method), "GET"), u.Scheme, u.Host, cmp.Or(u.EscapedPath(), "/")}, true
}

// UpstreamHost is the host that an http job calls; empty for other jobs.
func UpstreamHost(j jobs.Job) string {
	t, _ := targetOf(j)
	if j.Kind != "http" {
		return ""
	}
	return t.Host
}

// short leaves out the host, which is mostly the same in a list.
func (t target) short() string { return t.Method + " " + t.Path }
func (t target) full() string  { return t.Method + " " + t.Scheme + "://" + t.Host + t.Path }

// remark is the line that explains the state of a job; empty if the state is enough.
func remark(j jobs.Job) string {
	switch j.State {
	case jobs.Running:
		if j.CancelRequested {
			return "cancel requested"
		}
		if j.Progress != nil {
			return j.Progress.Message
		}
	case jobs.Retrying:
		return joined("attempt "+count(int64(j.Attempt))+" of "+count(int64(j.MaxAttempts))+" failed", problemLine(j.Error))
	case jobs.Failed:
		return joined(reasonText(j.Reason), problemLine(j.Error))
	case jobs.Cancelled:
		return reasonText(j.Reason)
	}
	return ""
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

func problemLine(p *jobs.Problem) string {
	if p == nil {
		return ""
	}
	return clip.Shorten(strings.Join(strings.Fields(cmp.Or(p.Detail, p.Title)), " "), 240)
}

var reasons = map[jobs.Reason]string{
	jobs.Exhausted: "no attempts left", jobs.Rejected: "permanent error", jobs.Expired: "queue timeout",
	jobs.TimedOut: "timeout", jobs.WorkerLost: "worker lost", jobs.ByUser: "on request", jobs.ByDependency: "a job that it depends on did not succeed",
}

func reasonText(r jobs.Reason) string { return cmp.Or(reasons[r], string(r)) }

func percent(p *jobs.Progress) (float64, bool) {
	if p == nil || p.Percent == nil {
		return 0, false
	}
	return max(0, min(100, *p.Percent)), true
}

func sampleCommand(origin string) string {
	return "curl -i " + origin + "/v1/jobs \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"kind\":\"http\",\"input\":{\"method\":\"GET\",\"url\":\"https://example.com/\"}}'"
}

// says is the text that a screen reader announces when it changes.
func (o Overview) says() string {
	switch n := len(o.Attention); {
	case o.empty():
		return ""
	case n == 0:
		return "Nothing needs attention."
	default:
		return plural(int64(n), "thing needs", "things need") + " attention. First: " + o.Attention[0].Text
	}
}

// place is the host and port of the hub.
func (o Overview) place() string {
	if u, err := url.Parse(o.Origin); err == nil {
		return u.Host
	}
	return ""
}

// running is the number of queues in which a job runs.
func (o Overview) running() (n int64) {
	for _, q := range o.Queues {
		if q.Counts[jobs.Running] > 0 {
			n++
		}
	}
	return n
}

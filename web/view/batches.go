package view

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// BatchesLimit is how many rows the page of batches and fan-outs has.
const BatchesLimit = 25

// BatchKinds are the kinds of jobs that consist of many requests.
var BatchKinds = []string{"batch", "fanout"}

// BatchQuery is what the page of batches and fan-outs shows: the parameters of its URL.
type BatchQuery struct {
	States []jobs.State
	Kind   string // one of BatchKinds; empty for all
	Cursor string // where the page begins; empty for the newest
}

// String writes the query; equal queries give equal texts.
func (q BatchQuery) String() string {
	return Query{States: q.States, Kind: q.Kind, Cursor: q.Cursor}.String()
}

func (q BatchQuery) url() string { return pathWith("/batches", q.String()) }

func (q BatchQuery) filters() bool { return len(q.States) > 0 || q.Kind != "" }

func (q BatchQuery) from(cursor string) BatchQuery { q.Cursor = cursor; return q }

func (q BatchQuery) has(s jobs.State) bool { return slices.Contains(q.States, s) }

// Batches is the page of batches and fan-outs.
type Batches struct {
	BatchQuery
	Origin  string
	Jobs    []jobs.Job // newest first
	Next    string     // cursor of the page behind this one; empty if there is none
	Problem *jobs.Problem
}

// BatchesFragments lists the live parts of the page of batches.
func BatchesFragments(m Batches) []Fragment { return []Fragment{{"batches-list", batchesList(m)}} }

func (m Batches) view() string {
	if m.Problem != nil {
		return ""
	}
	return "batches:" + m.BatchQuery.String()
}

// went counts the requests of a batch or a fan-out by state, from its progress.
type went struct {
	Known                    bool
	Done, Failed, Left, Open int64 // succeeded; failed; never made; not ended
	Policy                   string
}

func (t went) total() int64 { return t.Done + t.Failed + t.Left + t.Open }

func (t went) text() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{{t.Done, "done"}, {t.Failed, "failed"}, {t.Left, "skipped"}, {t.Open, "pending"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// tallyOf reads the progress of a job: {"targets":{name:{"state"}},"policy"} of a fan-out,
// {"completed","failed","total"} of a batch.
func tallyOf(j jobs.Job) (t went) {
	var said struct {
		Completed *int64 `json:"completed"`
		Failed    *int64 `json:"failed"`
		Total     *int64 `json:"total"`
		Policy    string `json:"policy"`
		Targets   map[string]struct {
			State string `json:"state"`
		} `json:"targets"`
	}
	if j.Progress == nil || json.Unmarshal(j.Progress.Data, &said) != nil {
		return went{}
	}
	t.Policy, _ = clip.Text(said.Policy, 32)
	switch {
	case said.Targets != nil:
		t.Known = true
		for _, target := range said.Targets {
			switch target.State {
			case "succeeded":
				t.Done++
			case "failed":
				t.Failed++
			case "cancelled":
				t.Left++
			default:
				t.Open++
			}
		}
	case said.Completed != nil && said.Failed != nil && said.Total != nil && 0 <= *said.Failed && *said.Failed <= *said.Completed && *said.Completed <= *said.Total:
		t.Known = true
		t.Done, t.Failed, t.Open = *said.Completed-*said.Failed, *said.Failed, *said.Total-*said.Completed
	}
	if j.State.Final() {
		t.Left, t.Open = t.Left+t.Open, 0
	}
	return t
}

// piece is a part of a bar of 1,000.
type piece struct {
	Class    string
	X, Width float64
}

// pieces are the parts of the bar for these counts. Every count above zero is visible.
func (t went) pieces() (all []piece) {
	x, whole := 0.0, float64(max(t.total(), 1))
	for _, p := range []piece{{"succeeded", 0, float64(t.Done)}, {"failed", 0, float64(t.Failed)}, {"cancelled", 0, float64(t.Left)}} {
		if p.Width > 0 {
			p.X, p.Width = x, max(12, 1000*p.Width/whole)
			x += p.Width
			all = append(all, p)
		}
	}
	return all
}

// deadline is when a job times out if nothing changes; zero if there is no such time or it is
// not known.
func deadline(j jobs.Job) time.Time {
	switch {
	case j.State == jobs.Queued:
		return j.ExpiresAt
	case j.State == jobs.Running && j.Timeout > 0 && !j.StartedAt.IsZero():
		return j.StartedAt.Add(j.Timeout)
	}
	return time.Time{}
}

// batchTitle names a batch or a fan-out for people.
func batchTitle(kind string) string {
	if kind == "fanout" {
		return "Fan-out"
	}
	return "Batch"
}

func sampleBatch(origin string) string {
	return "curl -i '" + origin + `/batch?async=true' \
  -H 'Content-Type: application/json' -d '{"requests":[
    {"id":"a","method":"GET","path":"/v1/queues"},
    {"method":"POST","path":"/v1/jobs","depends_on":["a"],"body":
      {"kind":"http","input":{"method":"GET","url":"https://example.com/"}}}]}'`
}

func sampleFan(origin string) string {
	return "curl -i " + origin + `/v1/jobs \
  -H 'Content-Type: application/json' -d '{"kind":"fanout","input":{
    "policy":"any","targets":[
      {"name":"a","method":"GET","url":"https://example.com/"},
      {"name":"b","method":"GET","url":"https://example.org/"}]}}'`
}

package view

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// JobModel is one job with its history.
type JobModel struct {
	Job      jobs.Job
	Way      Way
	Watchers int    // subscribers and pages that follow it
	Held     string // what keeps it from starting; empty if only jobs before it

	Upto   int    // number of the last line of output on the page; 0 for the end of the output
	Worker string // the external worker that runs it; empty if that is not known

	Children     []jobs.Job // whose parent it is, newest first: deliveries of its callbacks
	MoreChildren bool       // there are older ones

	At     time.Time
	Origin string
}

// JobFragments lists the live parts of a job's page. Each line of output is one, so that
// each line is sent once.
func JobFragments(m JobModel) []Fragment {
	lines := m.recent()
	all := []Fragment{
		{"job-head", jobHead(m)},
		{"job-progress", jobProgress(m)},
		{"job-targets", jobTargets(m)},
		{"job-timeline", jobTimeline(m)},
		{"job-output", jobOutput(m, len(lines))},
		{"job-data", jobData(m)},
		{"job-children", jobChildren(m)},
	}
	for _, l := range lines {
		all = append(all, Fragment{"job-line-" + l.Key, jobLine(l)})
	}
	return all
}

// next names what a job waits for that has a due time.
func (m JobModel) next() string {
	if m.Job.State == jobs.Retrying {
		return "next attempt"
	}
	return "due"
}

// why is the remark beside the state.
func (m JobModel) why() string {
	if m.Job.State == jobs.Waiting {
		return "for other jobs"
	}
	return reasonText(m.Job.Reason)
}

// childText says what a child job does.
func childText(j jobs.Job) string {
	if j.Kind == jobs.KindWebhook && len(j.Callbacks) > 0 {
		return "callback to " + HostPath(j.Callbacks[0].URL)
	}
	return j.Kind
}

// jobFields are the fields that can be changed while a job does not run.
var jobFields = []formField{
	{Name: "priority", Label: "Priority", Hint: "from -100 to 100, higher first", Example: "0"},
	{Name: "queue", Label: "Queue", Hint: "1 to 64 of a-z 0-9 . _ -", Example: "default"},
	{Name: "delay", Label: "Delay", Hint: "from now, like 30s, 15m or 2h; empty for no change", Example: "15m"},
}

func coord(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// timelineText describes the timeline in words.
func timelineText(steps []step, at time.Time) string {
	var parts []string
	for _, s := range segments(steps, at) {
		parts = append(parts, s.State.String()+" "+span(s.Took))
	}
	return strings.Join(parts, ", then ")
}

// cutAt is clip.Shorten for texts of which a reader may want the rest.
func cutAt(s string, most int) string {
	s, cut := clip.Text(s, most)
	if cut {
		s += " … (cut)"
	}
	return s
}

// answerBody is the body as a JSON value. A large one that is not JSON is cut before it is
// parsed, because the page shows no more of it, and this runs at every change.
func answerBody(r *jobs.Response) jobs.Value {
	kind := r.Header.Get("Content-Type")
	if len(r.Body) > 64<<10 && !strings.Contains(kind, "json") {
		head := []byte(strings.ToValidUTF8(string(r.Body[:64<<10]), ""))
		return jobs.BodyValue(kind, head, 1)
	}
	return jobs.BodyValue(kind, r.Body, 1)
}

// resultTitle is the title of the result of a job.
func resultTitle(j jobs.Job) string {
	if j.Kind == jobs.KindWebhook {
		return "Response"
	}
	return "Result"
}

var jobKeys = []key{{"r", "retry it"}, {"e", "edit and retry it"}, {"c", "cancel it"}, {"f", "follow the output, on or off"}, {"[", "previous job of the table"}, {"]", "next job of the table"}}

// trace is the id of the trace that the job belongs to (W3C Trace Context); empty if none.
func (m JobModel) trace() string {
	parts := strings.SplitN(m.Job.Via.Trace, "-", 3)
	if len(parts) < 3 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}

// submission is a command that submits a job like this one.
func (m JobModel) submission() string {
	j := m.Job
	spec := struct {
		Kind     string     `json:"kind"`
		Queue    string     `json:"queue,omitzero"`
		Input    jobs.Value `json:"input,omitzero"`
		Priority int        `json:"priority,omitzero"`
		Tags     []string   `json:"tags,omitempty"`
		Ordering string     `json:"ordering_key,omitzero"`
		FairKey  string     `json:"fair_key,omitzero"`
		Retry    *struct {
			Attempts int `json:"max_attempts"`
		} `json:"retry,omitzero"`
	}{Kind: j.Kind, Queue: j.Queue, Input: j.Input, Priority: j.Priority, Tags: j.Tags, Ordering: j.OrderingKey, FairKey: j.FairKey}
	if j.MaxAttempts > 0 {
		spec.Retry = &struct {
			Attempts int `json:"max_attempts"`
		}{j.MaxAttempts}
	}
	body, err := json.Marshal(spec, jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true), jsontext.EscapeForJS(true))
	if err != nil {
		return ""
	}
	return "curl -i " + m.Origin + "/v1/jobs -H 'Content-Type: application/json' -d " + quoted(string(body))
}

// quoted is a text as one word of a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// payloadAt is the path from which a payload of a job can be downloaded unchanged.
func payloadAt(j jobs.Job, name string) string { return "/jobs/" + j.ID.String() + "/" + name }

// largePayload is the size in bytes above which only the beginning is shown.
const largePayload = 32 << 10

// beginning is a value as a tree; only the beginning of a large value.
func beginning(v jobs.Value) node {
	if len(v) <= largePayload {
		return parse(v)
	}
	n := parseUpTo(v, 40)
	n.shorten(200)
	return n
}

func (n *node) shorten(most int) {
	if text, cut := clip.Text(n.Text, most); cut {
		n.Text, n.Cut = text, true
	}
	for i := range n.Kids {
		n.Kids[i].shorten(most)
	}
}

func shortId(id string) string { s, _ := clip.Text(id, 64); return s }

// progresses reports whether there is progress to show. For a job that has ended, that is only
// data of the job's own.
func (m JobModel) progresses() bool {
	p := m.Job.Progress
	if p == nil || !m.Job.State.Final() {
		return p != nil
	}
	return len(p.Data) > 0 && string(p.Data) != "null" && !m.fans()
}

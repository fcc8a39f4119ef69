package batch

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/clip"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// Contents is the requests of a batch or a fan-out, for its page.
type Contents struct {
	Items    []view.Item
	Requests []jobs.Value // as they were submitted
	Policy   string       // of a fan-out
}

// ReadContents reads the input of a job of kind batch or fanout.
func ReadContents(job *jobs.Job) (*Contents, error) {
	p := &Contents{}
	if job.Kind == Kind {
		items, err := decodeBatch(job.Input)
		if err != nil {
			return nil, err
		}
		var doc struct {
			Requests []jobs.Value `json:"requests"`
		}
		if err := json.Unmarshal(job.Input, &doc); err != nil {
			return nil, err
		}
		p.Requests = doc.Requests
		for i := range items {
			it := view.Item{Method: strings.ToUpper(items[i].Method), Target: withoutSecrets(items[i].target()), After: items[i].after, Took: -1}
			if items[i].ID != nil {
				it.Name = *items[i].ID
			}
			p.Items = append(p.Items, it)
		}
		return p, nil
	}
	var doc struct {
		Targets []jobs.Value `json:"targets"`
		Policy  string       `json:"policy"`
	}
	if err := json.Unmarshal(job.Input, &doc); err != nil {
		return nil, err
	}
	if p.Policy = doc.Policy; p.Policy == "" {
		p.Policy = "all"
	}
	p.Requests = doc.Targets
	for _, t := range doc.Targets {
		var in struct {
			Name   string `json:"name"`
			Method string `json:"method"`
			URL    string `json:"url"`
		}
		if err := json.Unmarshal(t, &in); err != nil {
			return nil, err
		}
		if in.Method == "" {
			in.Method = http.MethodGet
		}
		p.Items = append(p.Items, view.Item{Name: in.Name, Method: strings.ToUpper(in.Method), Target: withoutSecrets(in.URL), Took: -1})
	}
	return p, nil
}

// withoutSecrets returns a URL without the parts that may hold a secret: user and query.
func withoutSecrets(text string) string {
	path, query, asked := strings.Cut(text, "?")
	if !strings.HasPrefix(path, "/") {
		path = view.HostPath(path)
	}
	if asked && query != "" {
		path += "?…"
	}
	return path
}

// lenient accepts answers that older versions stored without a strict check.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

const unreadable = "The stored answer can't be read."

// FillAnswers sets in items what is known of their answers so far. If whole is not nil, it also
// gets the complete answer to the item whole.N.
func (p *Contents) FillAnswers(job *jobs.Job, items []view.Item, whole *view.WholeItem) {
	if job.Kind == Kind {
		batchAnswers(job, items, whole)
	} else {
		fanoutAnswers(job, items, whole)
	}
}

// problemBody reads title and detail of a body that may be a problem; it accepts any JSON.
type problemBody struct{ Title, Detail string }

func (p *problemBody) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindBeginObject {
		return d.SkipValue()
	}
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	var problem struct {
		Title  jobs.Value `json:"title"`
		Detail jobs.Value `json:"detail"`
	}
	if json.Unmarshal(v, &problem, lenient) == nil {
		p.Title, p.Detail = PlainText(problem.Title), PlainText(problem.Detail)
	}
	return nil
}

// PlainText returns the value of a JSON string; empty for other JSON.
func PlainText(v jobs.Value) string {
	if v.Kind() != jsontext.KindString {
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(text)
}

// ProblemText returns a title and a detail as one line of up to 160 bytes.
func ProblemText(title, detail string) string {
	line := strings.Join(strings.Fields(title+": "+detail), " ")
	return clip.Shorten(strings.TrimSuffix(strings.TrimPrefix(line, ": "), ":"), 160)
}

// batchAnswers reads {"responses":[…]}. Of the bodies, it reads only problems.
func batchAnswers(job *jobs.Job, items []view.Item, whole *view.WholeItem) {
	var doc struct {
		Responses []jobs.Value `json:"responses"`
	}
	_ = json.Unmarshal(job.Result, &doc, lenient) // answers that can't be read are shown as none
	itemTimes(job, items)
	for i := range items {
		it := &items[i]
		if i >= len(doc.Responses) || doc.Responses[i].Kind() == jsontext.KindNull {
			it.State = unanswered(job, it, items, doc.Responses)
			continue
		}
		var answer struct {
			Status  int `json:"status"`
			Headers struct {
				Operation string `json:"operation-location"`
			} `json:"headers"`
		}
		if err := json.Unmarshal(doc.Responses[i], &answer, lenient); err != nil {
			it.State, it.Problem = jobs.Failed, unreadable
			continue
		}
		it.Status = answer.Status
		switch {
		case answer.Status >= 200 && answer.Status < 300:
			it.State = jobs.Succeeded
			if text, ok := strings.CutPrefix(answer.Headers.Operation, "/v1/jobs/"); ok {
				it.Job, _ = rest.ParseID(text)
			}
		default:
			var stored struct {
				Body problemBody `json:"body"`
			}
			_ = json.Unmarshal(doc.Responses[i], &stored, lenient) // its status was read
			it.State, it.Problem = jobs.Failed, ProblemText(stored.Body.Title, stored.Body.Detail)
			if answer.Status == http.StatusFailedDependency && len(it.After) > 0 {
				it.State = jobs.Cancelled
			}
		}
		if whole != nil && whole.N == i {
			whole.Response = doc.Responses[i]
		}
	}
}

// itemTimes reads when the items of a small batch ran.
func itemTimes(job *jobs.Job, items []view.Item) {
	var stored struct {
		Times []itemTime `json:"times"`
	}
	if job.Progress == nil || json.Unmarshal(job.Progress.Data, &stored) != nil || len(stored.Times) != len(items) {
		return
	}
	for i, t := range stored.Times {
		if t == nil {
			continue
		}
		it := &items[i]
		it.From = job.StartedAt.Add(time.Duration(t[0]) * time.Millisecond)
		if t[1] >= 0 {
			it.Took = time.Duration(t[1]-t[0]) * time.Millisecond
			it.To = it.From.Add(it.Took)
		} else if job.State.Final() {
			it.From = time.Time{}
		}
	}
}

// unanswered returns the state of a request that has no answer.
func unanswered(job *jobs.Job, it *view.Item, items []view.Item, responses []jobs.Value) jobs.State {
	switch {
	case job.State.Final():
		return jobs.Cancelled
	case job.State != jobs.Running:
		return jobs.Queued
	}
	for _, on := range it.After {
		if on >= len(responses) || responses[on].Kind() == jsontext.KindNull {
			return jobs.Waiting
		}
	}
	return jobs.Running
}

// fanoutAnswers reads {"targets":{name:…}}.
func fanoutAnswers(job *jobs.Job, items []view.Item, whole *view.WholeItem) {
	var doc struct {
		Targets map[string]jobs.Value `json:"targets"`
	}
	_ = json.Unmarshal(job.Result, &doc, lenient) // answers that can't be read are shown as none
	for i := range items {
		it := &items[i]
		if it.State = jobs.Queued; job.State.Final() {
			it.State = jobs.Cancelled
		}
		value, known := doc.Targets[it.Name]
		if !known {
			continue
		}
		var found struct {
			State    string      `json:"state"`
			Status   *int        `json:"status"`
			Attempts int         `json:"attempts"`
			MS       *int64      `json:"ms"`
			Error    problemBody `json:"error"`
		}
		if err := json.Unmarshal(value, &found, lenient); err != nil {
			it.State, it.Problem = jobs.Failed, unreadable
			continue
		}
		if state, ok := jobs.ParseState(found.State); ok && (state.Final() || !job.State.Final()) {
			it.State = state
		}
		if found.Status != nil {
			it.Status = *found.Status
		}
		it.Attempts, it.Problem = found.Attempts, ProblemText(found.Error.Title, found.Error.Detail)
		if it.From = job.StartedAt; found.MS != nil {
			it.Took = time.Duration(*found.MS) * time.Millisecond
			it.To = it.From.Add(it.Took)
		} else if it.State.Final() {
			it.From = time.Time{}
		}
		if it.State == jobs.Running {
			it.To = time.Time{}
		}
		if whole != nil && whole.N == i {
			whole.Response = value
		}
	}
}

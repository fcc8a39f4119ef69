package client

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Fanout is the Input of a job of kind fanout: several HTTP calls at once.
type Fanout struct {
	Targets []Target `json:"targets"`
	Policy  string   `json:"policy,omitzero"` // when it succeeds: all, any, quorum:N or settled
}

// Target is one call of a fan-out.
type Target struct {
	Name    string            `json:"name"` // [a-z][a-z0-9_-]*
	Method  string            `json:"method,omitzero"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitzero"`
	Timeout time.Duration     `json:"timeout,omitzero"` // of one attempt
}

// FanoutResult holds the results so far of a fan-out.
type FanoutResult struct {
	Targets   []TargetResult // in the order in which they were submitted
	Completed int            // targets that have ended
	Total     int
}

// TargetResult is the result so far of one target.
type TargetResult struct {
	Name     string         `json:"-"`
	State    string         `json:"state"`
	Status   int            `json:"status"` // 0 if there was no answer
	Headers  jsontext.Value `json:"headers"`
	Body     jsontext.Value `json:"body"`
	Attempts int            `json:"attempts"`
	MS       int64          `json:"ms"` // how long its last attempt took
	Error    *Problem       `json:"error"`
}

// FanoutResultOf reads the result of a fan-out. It also works while the fan-out still runs, and
// after it has failed.
func FanoutResultOf(j Job) (r FanoutResult, err error) {
	var in struct {
		Targets   jsontext.Value `json:"targets"`
		Completed int            `json:"completed"`
		Total     int            `json:"total"`
	}
	if len(j.Result) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(j.Result, &in); err != nil || len(in.Targets) == 0 || in.Targets.Kind() == jsontext.KindNull {
		return r, err
	}
	r.Completed, r.Total = in.Completed, in.Total
	d := jsontext.NewDecoder(bytes.NewReader(in.Targets)) // a map would lose their order
	if _, err := d.ReadToken(); err != nil {
		return r, err
	}
	for d.PeekKind() == jsontext.KindString {
		var t TargetResult
		if err := json.UnmarshalDecode(d, &t.Name); err != nil {
			return r, err
		}
		if err := json.UnmarshalDecode(d, &t); err != nil {
			return r, err
		}
		r.Targets = append(r.Targets, t)
	}
	return r, nil
}

package call

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

const maxTargets = 100

// TargetName matches what the name of a target may be.
var TargetName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// fan is a job of kind fanout: its targets in declared order, with their results.
type fan struct {
	policy   policy
	targets  []*target
	repeated []string // the only targets to call, if the job is a retry of some targets
}

// target is one API that a fan-out calls.
type target struct {
	name     string
	in       *input
	timeout  time.Duration // of one attempt; 0 for none but that of the job
	result   targetResult
	inFlight bool
}

// targetResult is the state and answer of a target, as in the result of the job.
type targetResult struct {
	State    string        `json:"state"` // running, retrying, succeeded, failed or cancelled
	Status   *int          `json:"status"`
	Headers  jobs.Value    `json:"headers"`
	Body     jobs.Value    `json:"body"`
	Attempts int           `json:"attempts"`
	MS       *int64        `json:"ms"` // of its last attempt
	Error    *jobs.Problem `json:"error,omitzero"`
	RetryAt  time.Time     `json:"retry_at,omitzero"`
}

// bodyDepth is how many levels of objects there are around the body of a target's answer.
const bodyDepth = 3

// append appends the result as JSON, whole or without headers, body and error.
func (k *targetResult) append(b []byte, whole bool) []byte {
	number := func(name string, n *int64) {
		if b = append(append(b, name...), "null"...); n != nil {
			b = strconv.AppendInt(b[:len(b)-len("null")], *n, 10)
		}
	}
	var status *int64
	if k.Status != nil {
		n := int64(*k.Status)
		status = &n
	}
	b = append(append(b, `{"state":"`...), k.State...) // one of its words
	number(`","status":`, status)
	if whole {
		b = jobs.AppendValue(append(b, `,"headers":`...), k.Headers)
		b = jobs.AppendValue(append(b, `,"body":`...), k.Body)
	}
	b = strconv.AppendInt(append(b, `,"attempts":`...), int64(k.Attempts), 10)
	number(`,"ms":`, k.MS)
	if whole && k.Error != nil {
		b = k.Error.AppendJSON(append(b, `,"error":`...))
	}
	if whole && !k.RetryAt.IsZero() {
		b = append(k.RetryAt.UTC().AppendFormat(append(b, `,"retry_at":"`...), time.RFC3339Nano), '"')
	}
	return append(b, '}')
}

// decodeFan reads and checks the input of a job of kind fanout.
func decodeFan(data jobs.Value, g *egress.Guard, via jobs.Via) (*fan, error) {
	var doc struct {
		Targets []struct {
			Name    string                `json:"name"`
			Method  string                `json:"method"`
			URL     string                `json:"url"`
			Headers map[string]jobs.Value `json:"headers"`
			Body    jobs.Value            `json:"body"`
			Timeout *string               `json:"timeout"`
		} `json:"targets"`
		Policy string `json:"policy"`
	}
	if err := json.Unmarshal(data, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, inputProblem(err)
	}
	if len(doc.Targets) < 1 || len(doc.Targets) > maxTargets {
		return nil, jobs.Invalid("/input/targets", "must be 1 to %d targets", maxTargets)
	}
	f := &fan{}
	for i, d := range doc.Targets {
		at := fmt.Sprintf("/input/targets/%d", i)
		t := &target{name: d.Name, result: targetResult{State: "running"}}
		switch {
		case !TargetName.MatchString(d.Name):
			return nil, jobs.Invalid(at+"/name", "must be a letter a-z and up to 63 of a-z 0-9 _ -")
		case f.find(d.Name) != nil:
			return nil, jobs.Invalid(at+"/name", "is there twice; each target needs a name of its own")
		}
		var err error
		if t.in, err = (&document{Method: d.Method, URL: d.URL, Headers: d.Headers, Body: d.Body}).input(at, g, via); err != nil {
			return nil, err
		}
		if d.Timeout != nil {
			if t.timeout, err = time.ParseDuration(*d.Timeout); err != nil || t.timeout < time.Millisecond || t.timeout > 24*time.Hour {
				return nil, jobs.Invalid(at+"/timeout", `must be a duration like "30s", from 1ms to 24h`)
			}
		}
		f.targets = append(f.targets, t)
	}
	var err error
	f.policy, err = parsePolicy(doc.Policy, len(f.targets))
	return f, err
}

func (f *fan) find(name string) *target {
	for _, t := range f.targets {
		if t.name == name {
			return t
		}
	}
	return nil
}

// restore loads the partial result: of an earlier attempt, or of the job that this one
// retries in part.
func (f *fan) restore(result jobs.Value) error {
	if result == nil || result[0] != '{' { // an older version may have stored what is not JSON; it is a string now
		return nil
	}
	var known struct {
		Targets  map[string]targetResult `json:"targets"`
		Repeated []string                `json:"repeated"`
	}
	if err := json.Unmarshal(result, &known); err != nil {
		return err
	}
	f.repeated = known.Repeated
	for _, t := range f.targets {
		switch k := known.Targets[t.name]; k.State {
		case "running", "retrying", "succeeded", "failed", "cancelled":
			t.result = k
		}
	}
	return nil
}

// repeat is the partial result of a retry of only these targets of an old job.
func repeat(old *jobs.Job, names []string, g *egress.Guard) (jobs.Value, error) {
	f, err := decodeFan(old.Input, g, old.Via)
	if err != nil {
		return nil, err
	}
	if err := f.restore(old.Result); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, jobs.Invalid("/targets", "must name the targets to repeat")
	}
	for i, name := range names {
		if f.find(name) == nil {
			return nil, jobs.Invalid(fmt.Sprintf("/targets/%d", i), "the job has no such target")
		}
		if slices.Contains(names[:i], name) {
			return nil, jobs.Invalid(fmt.Sprintf("/targets/%d", i), "is there twice")
		}
	}
	f.repeated = names
	for _, t := range f.targets {
		if slices.Contains(names, t.name) {
			t.result = targetResult{State: "running"}
		} else if !t.ended() {
			t.cancel()
		}
	}
	return f.result(), nil
}

func (t *target) ended() bool { return t.result.State == "succeeded" || t.result.State == "failed" }

// cancel ends a target without an answer.
func (t *target) cancel() {
	t.result = targetResult{State: "cancelled", Attempts: t.result.Attempts}
}

// count is how many targets have succeeded, failed and were cancelled.
func (f *fan) count() (succeeded, failed, cancelled int) {
	for _, t := range f.targets {
		switch t.result.State {
		case "succeeded":
			succeeded++
		case "failed":
			failed++
		case "cancelled":
			cancelled++
		}
	}
	return succeeded, failed, cancelled
}

// outcome reports whether the fan-out is over, and whether it succeeded.
func (f *fan) outcome() (over, ok bool) {
	for _, name := range f.repeated { // these have to end, whatever the others did
		if t := f.find(name); t != nil && !t.ended() {
			return false, false
		}
	}
	succeeded, failed, cancelled := f.count()
	return f.policy.outcome(succeeded, failed+cancelled, len(f.targets))
}

// result is the result so far, in declared order.
func (f *fan) result() jobs.Value {
	return f.document(true)
}

// summary is the result without headers and bodies, with the policy.
func (f *fan) summary() jobs.Value {
	b := f.document(false)
	return append(b[:len(b)-1], `,"policy":"`+f.policy.text+`"}`...)
}

func (f *fan) document(whole bool) jobs.Value {
	b := []byte(`{"targets":{`)
	for i, t := range f.targets {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '"'), t.name+`":`...) // names need no escapes
		b = t.result.append(b, whole)
	}
	succeeded, failed, _ := f.count()
	b = fmt.Appendf(b, `},"completed":%d,"total":%d`, succeeded+failed, len(f.targets))
	if len(f.repeated) > 0 {
		b = append(append(b, `,"repeated":["`...), strings.Join(f.repeated, `","`)+`"]`...)
	}
	return append(b, '}')
}

// record stores how a call of a target ended.
func (t *target) record(res *jobs.Response, err error, took time.Duration, job *jobs.Job) {
	ms := took.Milliseconds()
	t.result = targetResult{State: "succeeded", Attempts: t.result.Attempts + 1, MS: &ms}
	if res != nil {
		t.result.Status, t.result.Headers = &res.Status, jobs.AppendHeader(nil, jobs.ShownHeader(res.Header, job.Via.Mask))
		t.result.Body = jobs.BodyValue(res.Header.Get("Content-Type"), res.Body, bodyDepth)
	}
	if err == nil {
		return
	}
	failure, ok := errors.AsType[*jobs.Failure](err)
	if !ok {
		failure = egress.Never(err)
	}
	t.result.State, t.result.Error = "failed", failure.Problem
	if failure.Never || t.result.Attempts >= job.MaxAttempts {
		return
	}
	t.result.State, t.result.Headers, t.result.Body = "retrying", nil, nil
	t.result.RetryAt = time.Now().UTC().Add(max(failure.After, job.Backoff.Delay(t.result.Attempts))).Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

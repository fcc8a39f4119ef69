// Package stages names the stages that every request to the hub passes, in their order, and
// records what each of them decided.
//
// What it promises:
//
//   - The order of the stages is that of the constants, for every path of the hub.
//
//   - A Record holds the verdict of each stage that a request has reached. The same stages
//     answer jobhub explain: they decide as for a real request, but send nothing, make no job
//     and use up no limit (DryRun).
//
//     New → With → Pass, Answer, Refuse of each stage → Verdicts
package stages

import (
	"context"
	"errors"
	"sync/atomic"

	"jobhub/jobs"
)

// Stage is one of the steps of a request through the hub.
type Stage uint8

const (
	Match             Stage = iota // which route or path of the hub it is for
	CORS                           // whether pages of its origin may send it (Fetch, 3.3)
	Who                            // who sends it
	May                            // whether the caller may
	Validate                       // whether it is as the API's OpenAPI document says
	Limits                         // rates, concurrency and quotas
	Cache                          // whether the answer is stored
	TransformRequest               // changes of the request
	Upstream                       // the upstream, the job or the hub itself
	TransformResponse              // changes of the answer
	Account                        // counting
	Count                          // how many stages there are
)

var names = [Count]string{"match", "cors", "who", "may", "validate", "limits", "cache", "transform_request", "upstream", "transform_response", "account"}

func (s Stage) String() string { return names[s] }

// Names returns the names of all stages in order.
func Names() []string { return names[:] }

// Outcome is what a stage decided.
type Outcome uint8

const (
	NotReached Outcome = iota
	Passed             // the request goes on
	Answered           // the stage has the answer, like a cache
	Refused            // the stage refuses the request
)

var outcomes = [...]string{NotReached: "not_reached", Passed: "pass", Answered: "answer", Refused: "refuse"}

func (o Outcome) String() string { return outcomes[o] }

// Verdict is the decision of one stage about a request.
type Verdict struct {
	Stage   Stage
	Outcome Outcome
	Detail  string // for people
}

// Record is what the stages have decided about one request. Only one goroutine uses it. The
// methods of a nil Record do nothing.
type Record struct {
	DryRun   bool   // the request is only explained
	Route    string // the route, or the pattern of the hub's own path
	API      string // of the catalogue, with its version, like orders/v2; empty if the route is of none
	Consumer string // see auth.Identity.Consumer; empty if the caller is not known
	Tenant   string
	Page     bool // it is for a page of the dashboard

	verdicts [Count]Verdict
}

// Pass records that a request goes on after a stage.
func (r *Record) Pass(s Stage, detail string) { r.set(s, Passed, detail) }

// Answer records that a stage has answered a request itself.
func (r *Record) Answer(s Stage, detail string) { r.set(s, Answered, detail) }

// Refuse records that a stage has refused a request with an error.
func (r *Record) Refuse(s Stage, err error) {
	if r == nil {
		return
	}
	detail := "The hub failed; its log says why."
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		detail = p.Detail
	}
	r.set(s, Refused, detail)
}

// Identified records who sends a request.
func (r *Record) Identified(tenant, consumer string) {
	if r != nil {
		r.Tenant, r.Consumer = tenant, consumer
	}
}

func (r *Record) set(s Stage, o Outcome, detail string) {
	if r != nil {
		r.verdicts[s] = Verdict{s, o, detail}
	}
}

// Explains reports whether the request is only explained.
func (r *Record) Explains() bool { return r != nil && r.DryRun }

// Verdicts returns the verdicts of the stages that were reached, in order.
func (r *Record) Verdicts() (all []Verdict) {
	for s, v := range r.verdicts {
		if v.Outcome != NotReached {
			v.Stage = Stage(s)
			all = append(all, v)
		}
	}
	return all
}

// Last returns the verdict of the stage that answered or refused the request, else that of the
// last stage that was reached.
func (r *Record) Last() (last Verdict) {
	for _, v := range r.verdicts {
		switch v.Outcome {
		case NotReached:
		case Refused, Answered:
			return v
		default:
			last = v
		}
	}
	return last
}

// Counters count requests by the stage that answered or refused them.
type Counters struct {
	by [Count][len(outcomes)]atomic.Int64
}

// Add counts a request with its last verdict.
func (c *Counters) Add(v Verdict) { c.by[v.Stage][v.Outcome].Add(1) }

// Load returns how many requests ended at a stage with an outcome.
func (c *Counters) Load(s Stage, o Outcome) int64 { return c.by[s][o].Load() }

// Outcomes returns all outcomes at which a request can end.
func Outcomes() []Outcome { return []Outcome{Passed, Answered, Refused} }

type recordKey struct{}

// With returns the context of a request that has a record.
func With(ctx context.Context, r *Record) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

// Of returns the record of a request from its context; nil if it has none.
func Of(ctx context.Context) *Record {
	r, _ := ctx.Value(recordKey{}).(*Record)
	return r
}

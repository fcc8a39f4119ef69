package engine

import (
	"slices"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// Bulk is an action on all jobs that a filter selects: those that were accepted before
// it, and never other bulk jobs. Cancel concerns unfinished jobs; run those that wait for a
// time; delete finished ones; retry finished ones that have no retry yet, and without States
// those that failed or were cancelled.
type Bulk struct {
	Action Action
	Filter jobs.Filter // Tenant is whose jobs; IDs, Before, Limit and Due are not used
	Caller string
	Key    *jobs.Key
}

// Action is what a Bulk does.
type Action string

const (
	CancelAll Action = "cancel"
	RetryAll  Action = "retry"
	DeleteAll Action = "delete"
	RunAll    Action = "run"
)

const kindBulk = "bulk"

// bulkInput is the input of a bulk job.
type bulkInput struct {
	Action Action     `json:"action"`
	Filter bulkFilter `json:"filter"`
}

type bulkFilter struct {
	States []string `json:"state,omitzero"`
	Queue  string   `json:"queue,omitzero"`
	Kind   string   `json:"kind,omitzero"`
	Tag    string   `json:"tag,omitzero"`
	Parent jobs.ID  `json:"parent,omitzero"`
	Text   string   `json:"q,omitzero"`
}

// limitStates reduces the states of the filter to those that the action can be applied to.
func (b *Bulk) limitStates() error {
	asked := b.Filter.States
	var states []jobs.State
	switch {
	case b.Action == CancelAll:
		states = []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Running, jobs.Retrying, jobs.Waiting}
	case b.Action == RunAll:
		states = []jobs.State{jobs.Scheduled, jobs.Retrying}
	case b.Action == RetryAll && len(asked) == 0:
		states = []jobs.State{jobs.Failed, jobs.Cancelled}
	case b.Action == RetryAll || b.Action == DeleteAll:
		states = []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled}
	default:
		return jobs.Invalid("/action", "must be cancel, retry, delete or run")
	}
	if len(asked) > 0 {
		states = slices.DeleteFunc(states, func(s jobs.State) bool { return !slices.Contains(asked, s) })
	}
	if len(states) == 0 {
		return jobs.Invalid("/filter/state", "names no state in which the action %s is possible", b.Action)
	}
	b.Filter.States = states
	return nil
}

// Spec is the job that carries out the action.
func (b Bulk) Spec() (jobs.Spec, error) {
	if err := b.limitStates(); err != nil {
		return jobs.Spec{}, err
	}
	in := bulkInput{b.Action, bulkFilter{Queue: b.Filter.Queue, Kind: b.Filter.Kind, Tag: b.Filter.Tag, Parent: b.Filter.Parent, Text: b.Filter.Text}}
	for _, s := range b.Filter.States {
		in.Filter.States = append(in.Filter.States, s.String())
	}
	input, err := json.Marshal(in)
	return jobs.Spec{Kind: kindBulk, Queue: kindBulk, Input: input, Timeout: bulkTimeout, MaxAttempts: bulkAttempts,
		Tenant: b.Filter.Tenant, Caller: b.Caller, Key: b.Key, ByEngine: jobs.ByEngine{Trusted: true}}, err
}

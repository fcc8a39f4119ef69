package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// Bulk is an action on all jobs that a filter selects: those that were accepted before
// it, and never other bulk jobs. Cancel concerns unfinished jobs; run those that wait for a
// time; delete finished ones; retry finished ones that have no retry yet, and without States
// those that failed or were cancelled.
type Bulk struct {
	Action Action
	Filter Filter // Tenant is whose jobs; IDs, Before, Limit and Due are not used
	Caller string
	Key    *Key
}

// Action is what a Bulk does.
type Action string

const (
	CancelAll Action = "cancel"
	RetryAll  Action = "retry"
	DeleteAll Action = "delete"
	RunAll    Action = "run"
)

const (
	kindBulk     = "bulk"
	bulkPage     = 500
	bulkAtOnce   = 64             // changes under way, which commit together
	bulkAgain    = time.Second    // until a full queue is tried again
	bulkTimeout  = 24 * time.Hour // of an attempt
	bulkAttempts = 10             // each goes on where the one before ended
)

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
	Parent ID       `json:"parent,omitzero"`
	Text   string   `json:"q,omitzero"`
}

// narrow leaves of the states those that the action concerns.
func (b *Bulk) narrow() error {
	asked := b.Filter.States
	var states []State
	switch {
	case b.Action == CancelAll:
		states = []State{Scheduled, Queued, Running, Retrying, Waiting}
	case b.Action == RunAll:
		states = []State{Scheduled, Retrying}
	case b.Action == RetryAll && len(asked) == 0:
		states = []State{Failed, Cancelled}
	case b.Action == RetryAll || b.Action == DeleteAll:
		states = []State{Succeeded, Failed, Cancelled}
	default:
		return invalid("/action", "must be cancel, retry, delete or run")
	}
	if len(asked) > 0 {
		states = slices.DeleteFunc(states, func(s State) bool { return !slices.Contains(asked, s) })
	}
	if len(states) == 0 {
		return invalid("/filter/state", "names no state in which a job could be told to %s", b.Action)
	}
	b.Filter.States = states
	return nil
}

// Count is how many jobs a Bulk would concern now.
func (e *Engine) Count(ctx context.Context, b Bulk) (n int64, err error) {
	if err := b.narrow(); err != nil {
		return 0, err
	}
	err = e.each(ctx, b.Filter, math.MaxUint64>>1, func(page []Job, _ uint64) error {
		for i := range page {
			if b.Action != RetryAll || page[i].RetriedBy == (ID{}) {
				n++
			}
		}
		return nil
	})
	return n, err
}

// Spec is the job that does it.
func (b Bulk) Spec() (Spec, error) {
	if err := b.narrow(); err != nil {
		return Spec{}, err
	}
	in := bulkInput{b.Action, bulkFilter{Queue: b.Filter.Queue, Kind: b.Filter.Kind, Tag: b.Filter.Tag, Parent: b.Filter.Parent, Text: b.Filter.Text}}
	for _, s := range b.Filter.States {
		in.Filter.States = append(in.Filter.States, s.String())
	}
	input, err := json.Marshal(in)
	return Spec{Kind: kindBulk, Queue: kindBulk, Input: input, Timeout: bulkTimeout, MaxAttempts: bulkAttempts,
		Tenant: b.Filter.Tenant, Caller: b.Caller, Key: b.Key, inside: true}, err
}

// each walks the jobs before a number, page by page and newest first, without bulk jobs.
func (e *Engine) each(ctx context.Context, f Filter, before uint64, do func(page []Job, next uint64) error) error {
	for f.Before, f.Limit = before, bulkPage; f.Before > 0; {
		page, err := e.store.List(ctx, f)
		if err != nil {
			return err
		}
		f.Before = page.Next
		if err := do(slices.DeleteFunc(page.Jobs, func(j Job) bool { return j.Kind == kindBulk }), page.Next); err != nil {
			return err
		}
	}
	return nil
}

// bulkState is how far a bulk job is; it is also its checkpoint and its result.
type bulkState struct {
	Count   int64  `json:"count"`         // jobs it came across
	Done    int64  `json:"done"`          // of these, cancelled, retried, deleted or told to run
	Skipped int64  `json:"skipped"`       // of these, in another state by then, or retried before
	Before  uint64 `json:"next,omitzero"` // where the next page begins
}

// runBulk is the handler of bulk jobs. After a restart it goes on with the page it was
// at; what it has done of that is not done again.
func (e *Engine) runBulk(ctx context.Context, run *Run) (Result, error) {
	job := run.Job()
	var in bulkInput
	if err := json.Unmarshal(job.Input, &in); err != nil {
		return Result{}, err
	}
	f := Filter{Tenant: job.Tenant, Queue: in.Filter.Queue, Kind: in.Filter.Kind, Tag: in.Filter.Tag, Parent: in.Filter.Parent, Text: in.Filter.Text}
	for _, name := range in.Filter.States {
		state, _ := ParseState(name)
		f.States = append(f.States, state)
	}
	at := bulkState{Before: job.N}
	if job.Checkpoint != nil {
		if err := json.Unmarshal(job.Checkpoint, &at); err != nil {
			return Result{}, err
		}
	}
	var total int64
	if err := e.each(ctx, f, at.Before, func(page []Job, _ uint64) error { total += int64(len(page)); return nil }); err != nil {
		return Result{}, err
	}
	total += at.Count
	act := map[Action]func(context.Context, *Job, *Job) (bool, error){CancelAll: e.cancelOne, DeleteAll: e.deleteOne, RunAll: e.runOne,
		RetryAll: func(ctx context.Context, bulk, job *Job) (bool, error) { return e.retryOne(ctx, bulk, job, f) }}[in.Action]
	err := e.each(ctx, f, at.Before, func(page []Job, next uint64) error {
		done, err := e.inBulk(ctx, page, func(one *Job) (bool, error) { return act(ctx, job, one) })
		if err != nil {
			return err
		}
		at.Count, at.Done, at.Skipped, at.Before = at.Count+int64(len(page)), at.Done+done, at.Skipped+int64(len(page))-done, next
		percent := 100 * float64(at.Count) / float64(max(total, at.Count, 1))
		checkpoint, err := json.Marshal(at)
		if err != nil {
			return err
		}
		whole := max(total, at.Count)
		run.report(&Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d", at.Count, whole), Data: fmt.Appendf(nil, `{"done":%d,"total":%d}`, at.Count, whole)}, checkpoint)
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	result, err := json.Marshal(at)
	return Result{Value: result}, err
}

// inBulk acts on the jobs of a page and returns how many it concerned.
func (e *Engine) inBulk(ctx context.Context, page []Job, act func(*Job) (bool, error)) (int64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	next := make(chan *Job)
	for range min(bulkAtOnce, len(page)) {
		workers.Go(func() {
			for job := range next {
				var ok bool
				var err error
				if bad := e.guarded("a bulk action", job.ID, func() { ok, err = act(job) }); bad != nil {
					ok, err = false, bad
				}
				if ok {
					done.Add(1)
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	for i := range page {
		if failed.Load() != nil || ctx.Err() != nil {
			break
		}
		next <- &page[i]
	}
	close(next)
	workers.Wait()
	if err := failed.Load(); err != nil {
		return done.Load(), *err
	}
	return done.Load(), context.Cause(ctx)
}

// mayAct ends a bulk job for good if its caller may not act any more.
func (e *Engine) mayAct(bulk *Job) error {
	err := e.allowed(bulk.Tenant, bulk.Caller)
	if p, ok := errors.AsType[*Problem](err); ok {
		return &Failure{Problem: p, Never: true}
	}
	return err
}

func (e *Engine) cancelOne(ctx context.Context, bulk, one *Job) (bool, error) {
	if err := e.mayAct(bulk); err != nil {
		return false, err
	}
	job, _, err := e.Cancel(ctx, bulk.Tenant, one.ID)
	if gone(err) {
		return false, nil
	}
	return job.State == Cancelled || job.CancelRequested, err
}

func (e *Engine) deleteOne(ctx context.Context, bulk, one *Job) (bool, error) {
	if err := e.mayAct(bulk); err != nil {
		return false, err
	}
	err := e.Delete(ctx, bulk.Tenant, one.ID)
	if gone(err) || errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (e *Engine) runOne(ctx context.Context, bulk, one *Job) (bool, error) {
	if err := e.mayAct(bulk); err != nil {
		return false, err
	}
	_, _, err := e.RunNow(ctx, bulk.Tenant, one.ID)
	if gone(err) || errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// retryOne waits while the job's queue is full. A job whose parent is retried, too, comes
// along with that.
func (e *Engine) retryOne(ctx context.Context, bulk, one *Job, f Filter) (bool, error) {
	if one.Reason == ByParent {
		if along, err := e.comesAlong(ctx, one, f); err != nil || along {
			return false, err
		}
	}
	for {
		if err := e.mayAct(bulk); err != nil {
			return false, err
		}
		key := &Key{Scope: bulk.Tenant + " " + kindBulk, Key: bulk.ID.String() + " " + one.ID.String(), Fingerprint: []byte(kindBulk), Until: time.Now().Add(2 * bulkAttempts * bulkTimeout)}
		accepted, err := e.Retry(ctx, bulk.Tenant, one.ID, Again{Key: key, Caller: bulk.Caller})
		if !errors.Is(err, ErrQueueFull) {
			if gone(err) || errors.Is(err, ErrConflict) {
				return false, nil
			}
			if p, ok := errors.AsType[*Problem](err); ok && p.Status == 422 { // its handler no longer takes such an input
				return false, nil
			}
			return err == nil && !accepted.Existing, err
		}
		select {
		case <-time.After(bulkAgain):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// comesAlong reports whether a job waited for one that did not succeed, has no retry yet,
// and is among those that the filter selects: the bulk action will come to it.
func (e *Engine) comesAlong(ctx context.Context, one *Job, f Filter) (bool, error) {
	ahead := f
	ahead.Ahead, ahead.Text, ahead.Limit, ahead.Before = one.ID, "", maxAfter, 0
	page, err := e.store.List(ctx, ahead)
	return slices.ContainsFunc(page.Jobs, func(j Job) bool { return j.RetriedBy == (ID{}) }), err
}

func gone(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) }

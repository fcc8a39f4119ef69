package engine

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

	"jobhub/jobs"
)

const (
	bulkPage       = 500            // jobs that are read at a time
	bulkAtOnce     = 64             // jobs that are changed at a time; their changes share commits
	queueFullPause = time.Second    // before a retry into a full queue is tried again
	bulkTimeout    = 24 * time.Hour // of an attempt
	bulkAttempts   = 10             // each continues where the one before it ended
)

// bulkState is the progress of a bulk job. It is stored as its checkpoint and its result.
type bulkState struct {
	Count   int64  `json:"count"`         // jobs seen so far
	Done    int64  `json:"done"`          // of these, cancelled, retried, deleted or queued
	Skipped int64  `json:"skipped"`       // of these, left alone because of their state by then, or because they had a retry
	Before  uint64 `json:"next,omitzero"` // where the next page begins
}

// Count is how many jobs a Bulk would act on now.
func (e *Engine) Count(ctx context.Context, b Bulk) (n int64, err error) {
	if err := b.limitStates(); err != nil {
		return 0, err
	}
	err = e.eachPage(ctx, b.Filter, math.MaxUint64>>1, func(page []jobs.Job, _ uint64) error {
		for i := range page {
			if b.Action != RetryAll || page[i].RetriedBy == (jobs.ID{}) {
				n++
			}
		}
		return nil
	})
	return n, err
}

// eachPage calls do with the jobs before a number, page by page and newest first, without
// bulk jobs.
func (e *Engine) eachPage(ctx context.Context, f jobs.Filter, before uint64, do func(page []jobs.Job, next uint64) error) error {
	for f.Before, f.Limit = before, bulkPage; f.Before > 0; {
		page, err := e.store.List(ctx, f)
		if err != nil {
			return err
		}
		f.Before = page.Next
		if err := do(slices.DeleteFunc(page.Jobs, func(j jobs.Job) bool { return j.Kind == kindBulk }), page.Next); err != nil {
			return err
		}
	}
	return nil
}

// runBulk is the handler of bulk jobs. After a restart it continues with the page that was
// under way; what was done of that page is not done again.
func (e *Engine) runBulk(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	job := run.Job()
	var in bulkInput
	if err := json.Unmarshal(job.Input, &in); err != nil {
		return jobs.Result{}, err
	}
	f := jobs.Filter{Tenant: job.Tenant, Queue: in.Filter.Queue, Kind: in.Filter.Kind, Tag: in.Filter.Tag, Parent: in.Filter.Parent, Text: in.Filter.Text}
	for _, name := range in.Filter.States {
		state, _ := jobs.ParseState(name)
		f.States = append(f.States, state)
	}
	at := bulkState{Before: job.N}
	if job.Checkpoint != nil {
		if err := json.Unmarshal(job.Checkpoint, &at); err != nil {
			return jobs.Result{}, err
		}
	}
	var total int64
	if err := e.eachPage(ctx, f, at.Before, func(page []jobs.Job, _ uint64) error { total += int64(len(page)); return nil }); err != nil {
		return jobs.Result{}, err
	}
	total += at.Count
	act := map[Action]func(context.Context, *jobs.Job, *jobs.Job) (bool, error){CancelAll: e.cancelOne, DeleteAll: e.deleteOne, RunAll: e.runOne,
		RetryAll: func(ctx context.Context, bulk, job *jobs.Job) (bool, error) { return e.retryOne(ctx, bulk, job, f) }}[in.Action]
	err := e.eachPage(ctx, f, at.Before, func(page []jobs.Job, next uint64) error {
		done, err := e.actOnPage(ctx, page, func(one *jobs.Job) (bool, error) { return act(ctx, job, one) })
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
		run.(*attemptRun).report(&jobs.Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d", at.Count, whole), Data: fmt.Appendf(nil, `{"done":%d,"total":%d}`, at.Count, whole)}, checkpoint)
		return nil
	})
	if err != nil {
		return jobs.Result{}, err
	}
	result, err := json.Marshal(at)
	return jobs.Result{Value: result}, err
}

// actOnPage acts on the jobs of a page and returns how many were changed.
func (e *Engine) actOnPage(ctx context.Context, page []jobs.Job, act func(*jobs.Job) (bool, error)) (int64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	next := make(chan *jobs.Job)
	for range min(bulkAtOnce, len(page)) {
		workers.Go(func() {
			for job := range next {
				var ok bool
				var err error
				if bad := e.catchPanic("a bulk action", job.ID, func() { ok, err = act(job) }); bad != nil {
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

// bulkAllowed fails the bulk job without a retry if its caller may not act any more.
func (e *Engine) bulkAllowed(bulk *jobs.Job) error {
	err := e.allowed(bulk.Tenant, bulk.Caller)
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return &jobs.Failure{Problem: p, Never: true}
	}
	return err
}

func (e *Engine) cancelOne(ctx context.Context, bulk, one *jobs.Job) (bool, error) {
	if err := e.bulkAllowed(bulk); err != nil {
		return false, err
	}
	job, _, err := e.Cancel(ctx, bulk.Tenant, one.ID)
	if isGone(err) {
		return false, nil
	}
	return job.State == jobs.Cancelled || job.CancelRequested, err
}

func (e *Engine) deleteOne(ctx context.Context, bulk, one *jobs.Job) (bool, error) {
	if err := e.bulkAllowed(bulk); err != nil {
		return false, err
	}
	err := e.Delete(ctx, bulk.Tenant, one.ID)
	if isGone(err) || errors.Is(err, jobs.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (e *Engine) runOne(ctx context.Context, bulk, one *jobs.Job) (bool, error) {
	if err := e.bulkAllowed(bulk); err != nil {
		return false, err
	}
	_, _, err := e.RunNow(ctx, bulk.Tenant, one.ID)
	if isGone(err) || errors.Is(err, jobs.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// retryOne waits while the job's queue is full. A job is skipped if a job that it depends on
// will be retried too: it is then retried together with that one.
func (e *Engine) retryOne(ctx context.Context, bulk, one *jobs.Job, f jobs.Filter) (bool, error) {
	if one.Reason == jobs.ByDependency {
		if along, err := e.retriedWithDependency(ctx, one, f); err != nil || along {
			return false, err
		}
	}
	for {
		if err := e.bulkAllowed(bulk); err != nil {
			return false, err
		}
		key := &jobs.Key{Scope: bulk.Tenant + " " + kindBulk, Key: bulk.ID.String() + " " + one.ID.String(), Fingerprint: []byte(kindBulk), Until: time.Now().Add(2 * bulkAttempts * bulkTimeout)}
		accepted, err := e.Retry(ctx, bulk.Tenant, one.ID, RetryOptions{Key: key, Caller: bulk.Caller})
		if !errors.Is(err, jobs.ErrQueueFull) {
			if isGone(err) || errors.Is(err, jobs.ErrConflict) {
				return false, nil
			}
			if p, ok := errors.AsType[*jobs.Problem](err); ok && p.Status == 422 { // its handler no longer accepts the input
				return false, nil
			}
			return err == nil && !accepted.Existing, err
		}
		select {
		case <-time.After(queueFullPause):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// retriedWithDependency reports whether the job depends on one that did not succeed, has no
// retry yet and is selected by the filter, so that the bulk action will retry it.
func (e *Engine) retriedWithDependency(ctx context.Context, one *jobs.Job, f jobs.Filter) (bool, error) {
	ahead := f
	ahead.DependencyOf, ahead.Text, ahead.Limit, ahead.Before = one.ID, "", jobs.MaxAfter, 0
	page, err := e.store.List(ctx, ahead)
	return slices.ContainsFunc(page.Jobs, func(j jobs.Job) bool { return j.RetriedBy == (jobs.ID{}) }), err
}

func isGone(err error) bool { return errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) }

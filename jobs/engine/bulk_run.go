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
	"jobhub/jobs/engine/attempt"
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
	err = eachPage(ctx, e.store, b.Filter, math.MaxUint64>>1, func(page []jobs.Job, _ uint64) error {
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
func eachPage(ctx context.Context, store jobs.Store, f jobs.Filter, before uint64, do func(page []jobs.Job, next uint64) error) error {
	for f.Before, f.Limit = before, bulkPage; f.Before > 0; {
		page, err := store.List(ctx, f)
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

// bulkRun is an attempt at a bulk job.
type bulkRun struct {
	engine *Engine
	run    *attempt.Run
	job    *jobs.Job
	filter jobs.Filter
	at     bulkState
}

// runBulk is the handler of bulk jobs. After a restart it continues with the page that was
// under way; what was done of that page is not done again.
func (e *Engine) runBulk(ctx context.Context, r jobs.Run) (jobs.Result, error) {
	b := &bulkRun{engine: e, run: r.(*run).Run, job: r.Job()}
	var in bulkInput
	if err := json.Unmarshal(b.job.Input, &in); err != nil {
		return jobs.Result{}, err
	}
	b.filter = jobs.Filter{Tenant: b.job.Tenant, Queue: in.Filter.Queue, Kind: in.Filter.Kind, Tag: in.Filter.Tag, Parent: in.Filter.Parent, Text: in.Filter.Text}
	for _, name := range in.Filter.States {
		state, _ := jobs.ParseState(name)
		b.filter.States = append(b.filter.States, state)
	}
	b.at = bulkState{Before: b.job.N}
	if b.job.Checkpoint != nil {
		if err := json.Unmarshal(b.job.Checkpoint, &b.at); err != nil {
			return jobs.Result{}, err
		}
	}
	act := map[Action]func(context.Context, *jobs.Job) (bool, error){CancelAll: b.cancelOne, DeleteAll: b.deleteOne, RunAll: b.runOne, RetryAll: b.retryOne}[in.Action]
	if err := b.actOnAll(ctx, act); err != nil {
		return jobs.Result{}, err
	}
	result, err := json.Marshal(b.at)
	return jobs.Result{Value: result}, err
}

// actOnAll acts on all jobs that are left, and reports after each page how far it is.
func (b *bulkRun) actOnAll(ctx context.Context, act func(context.Context, *jobs.Job) (bool, error)) error {
	total := b.at.Count
	if err := eachPage(ctx, b.engine.store, b.filter, b.at.Before, func(page []jobs.Job, _ uint64) error { total += int64(len(page)); return nil }); err != nil {
		return err
	}
	return eachPage(ctx, b.engine.store, b.filter, b.at.Before, func(page []jobs.Job, next uint64) error {
		done, err := b.actOnPage(ctx, page, act)
		if err != nil {
			return err
		}
		at := &b.at
		at.Count, at.Done, at.Skipped, at.Before = at.Count+int64(len(page)), at.Done+done, at.Skipped+int64(len(page))-done, next
		whole := max(total, at.Count)
		percent := 100 * float64(at.Count) / float64(max(whole, 1))
		checkpoint, err := json.Marshal(at)
		if err != nil {
			return err
		}
		b.run.Save(&jobs.Progress{Percent: &percent, Message: fmt.Sprintf("%d of %d", at.Count, whole), Data: fmt.Appendf(nil, `{"done":%d,"total":%d}`, at.Count, whole)}, checkpoint)
		return nil
	})
}

// actOnPage acts on the jobs of a page and returns how many were changed.
func (b *bulkRun) actOnPage(ctx context.Context, page []jobs.Job, act func(context.Context, *jobs.Job) (bool, error)) (int64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	next := make(chan *jobs.Job)
	for range min(bulkAtOnce, len(page)) {
		workers.Go(func() {
			for job := range next {
				var ok bool
				var err error
				if bad := catchPanic(b.engine.log, "a bulk action", job.ID, func() { ok, err = act(ctx, job) }); bad != nil {
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

// allowed fails the bulk job without a retry if its caller may not act any more.
func (b *bulkRun) allowed() error {
	err := b.engine.allowed(b.job.Tenant, b.job.Caller)
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return &jobs.Failure{Problem: p, Never: true}
	}
	return err
}

func (b *bulkRun) cancelOne(ctx context.Context, one *jobs.Job) (bool, error) {
	if err := b.allowed(); err != nil {
		return false, err
	}
	job, _, err := b.engine.Cancel(ctx, b.job.Tenant, one.ID)
	if isGone(err) {
		return false, nil
	}
	return job.State == jobs.Cancelled || job.CancelRequested, err
}

func (b *bulkRun) deleteOne(ctx context.Context, one *jobs.Job) (bool, error) {
	if err := b.allowed(); err != nil {
		return false, err
	}
	err := b.engine.Delete(ctx, b.job.Tenant, one.ID)
	if isGone(err) || errors.Is(err, jobs.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (b *bulkRun) runOne(ctx context.Context, one *jobs.Job) (bool, error) {
	if err := b.allowed(); err != nil {
		return false, err
	}
	_, _, err := b.engine.RunNow(ctx, b.job.Tenant, one.ID)
	if isGone(err) || errors.Is(err, jobs.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// retryOne waits while the job's queue is full. A job is skipped if a job that it depends on
// will be retried too: it is then retried together with that one.
func (b *bulkRun) retryOne(ctx context.Context, one *jobs.Job) (bool, error) {
	if one.Reason == jobs.ByDependency {
		if along, err := b.retriedWithDependency(ctx, one); err != nil || along {
			return false, err
		}
	}
	for {
		if err := b.allowed(); err != nil {
			return false, err
		}
		key := &jobs.Key{Scope: b.job.Tenant + " " + kindBulk, Key: b.job.ID.String() + " " + one.ID.String(), Fingerprint: []byte(kindBulk), Until: time.Now().Add(2 * bulkAttempts * bulkTimeout)}
		accepted, err := b.engine.Retry(ctx, b.job.Tenant, one.ID, RetryOptions{Key: key, Caller: b.job.Caller})
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
func (b *bulkRun) retriedWithDependency(ctx context.Context, one *jobs.Job) (bool, error) {
	ahead := b.filter
	ahead.DependencyOf, ahead.Text, ahead.Limit, ahead.Before = one.ID, "", jobs.MaxAfter, 0
	page, err := b.engine.store.List(ctx, ahead)
	return slices.ContainsFunc(page.Jobs, func(j jobs.Job) bool { return j.RetriedBy == (jobs.ID{}) }), err
}

func isGone(err error) bool { return errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) }

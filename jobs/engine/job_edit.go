package engine

import (
	"context"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// Change edits a job that does not run. ErrConflict if it runs or has ended, ErrQueueFull if
// its new queue is full. A job that changes its queue goes to the end of the new one; with an
// ordering key it keeps its order of acceptance there.
func (e *Engine) Change(ctx context.Context, tenant string, id jobs.ID, edit jobs.Edit) (jobs.Job, jobs.Position, error) {
	if edit.Queue != nil {
		if err := e.names.mention(tenant, *edit.Queue, ""); err != nil {
			return jobs.Job{}, jobs.Position{}, err
		}
	}
	return e.update(ctx, tenant, id, func(job jobs.Job) (*jobs.Change, error) {
		return transition.Edit(job, edit, time.Now().Truncate(time.Millisecond))
	})
}

// RunNow queues a job that waits for a time. A queued job stays as it is.
func (e *Engine) RunNow(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	return e.update(ctx, tenant, id, func(job jobs.Job) (*jobs.Change, error) {
		return transition.RunNow(job, time.Now().Truncate(time.Millisecond))
	})
}

// Delete deletes a job that has ended, as the end of its retention would. ErrConflict if it
// has not ended.
func (e *Engine) Delete(ctx context.Context, tenant string, id jobs.ID) error {
	_, _, err := e.update(ctx, tenant, id, transition.Delete)
	return err
}

// update stores the change that decide returns for a job; nil for no change. decide is called
// again if the job changes meanwhile.
func (e *Engine) update(ctx context.Context, tenant string, id jobs.ID, decide func(jobs.Job) (*jobs.Change, error)) (jobs.Job, jobs.Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil {
			return job, pos, err
		}
		c, err := decide(job)
		if err != nil || c == nil {
			return job, pos, err
		}
		o := commit.NewOp(c)
		err = e.commits.Do(ctx, o)
		if err == error(jobs.ErrConflict) {
			continue // it has changed meanwhile: read it again
		}
		if err != nil {
			return job, pos, commit.Problem(err)
		}
		if c.Delete {
			return job, pos, nil
		}
		return e.store.Job(ctx, tenant, id)
	}
}

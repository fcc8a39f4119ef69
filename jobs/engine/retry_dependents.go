package engine

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// maxDependents is how many dependent jobs are retried together with a job; others can be
// retried by themselves.
const maxDependents = 1000

// fingerprint is Retry.Fingerprint for these options; nil if they change nothing of the job.
func (again *RetryOptions) fingerprint() []byte {
	if again.Input == nil && again.Targets == nil {
		return nil
	}
	text, err := json.Marshal(struct {
		Input   jobs.Value
		Targets []string
	}{again.Input, again.Targets})
	if err != nil { // valid JSON and texts that were looked at
		panic(err)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// newDependencies returns the jobs that the retry of a job depends on: the newest retries of
// those that the job depends on. known are retries that are about to be submitted, by old
// job. all is false if one of them did not succeed and has no retry.
func (e *Engine) newDependencies(ctx context.Context, job *jobs.Job, known map[jobs.ID]jobs.ID) (after []jobs.ID, all bool, err error) {
	page, err := e.store.List(ctx, jobs.Filter{Tenant: job.Tenant, DependencyOf: job.ID, Limit: jobs.MaxAfter})
	if err != nil {
		return nil, false, err
	}
	all = true
	for i := range page.Jobs {
		parent := &page.Jobs[i]
		for hops := 0; parent.State.Final() && parent.State != jobs.Succeeded && parent.RetriedBy != (jobs.ID{}) && known[parent.ID] == (jobs.ID{}) && hops < maxDependents; hops++ {
			next, _, err := e.store.Job(ctx, job.Tenant, parent.RetriedBy)
			if isGone(err) {
				break
			}
			if err != nil {
				return nil, false, err
			}
			parent = &next
		}
		switch id := known[parent.ID]; {
		case id != (jobs.ID{}):
			after = append(after, id)
		case parent.State == jobs.Succeeded:
		case parent.State.Final():
			all = false
		default:
			after = append(after, parent.ID)
		}
	}
	return after, all, nil
}

// dependentRetries are the retries of the jobs that were cancelled because old did not
// succeed, directly or through others. They depend on the retry of old.
func (e *Engine) dependentRetries(ctx context.Context, old *jobs.Job, retry jobs.ID, again RetryOptions) (list []*jobs.Change, err error) {
	known, bytes := map[jobs.ID]jobs.ID{old.ID: retry}, 0
	for parents := []jobs.ID{old.ID}; len(parents) > 0; parents = parents[1:] {
		f := jobs.Filter{Tenant: old.Tenant, DependsOn: parents[0], States: []jobs.State{jobs.Cancelled}, Limit: bulkPage}
		for more := true; more; more = f.Before > 0 {
			page, err := e.store.List(ctx, f)
			if err != nil {
				return nil, err
			}
			f.Before = page.Next
			for _, job := range page.Jobs {
				if job.Reason != jobs.ByDependency || job.RetriedBy != (jobs.ID{}) || known[job.ID] != (jobs.ID{}) || len(list) == maxDependents || bytes > maxBatchBytes {
					continue
				}
				c, err := e.dependentRetry(ctx, job.ID, known, again)
				if err != nil {
					return nil, err
				}
				if c != nil {
					known[job.ID], bytes = c.Job.ID, bytes+len(c.Job.Input)
					parents, list = append(parents, job.ID), append(list, c)
				}
			}
		}
	}
	return list, nil
}

// dependentRetry is the retry of one job; nil if it would depend on a job that can't succeed
// any more.
func (e *Engine) dependentRetry(ctx context.Context, id jobs.ID, known map[jobs.ID]jobs.ID, again RetryOptions) (*jobs.Change, error) {
	job, _, err := e.store.Job(ctx, again.tenant, id) // with its input
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	after, all, err := e.newDependencies(ctx, &job, known)
	if err != nil || !all {
		return nil, err
	}
	s := e.retrySpec(&job, RetryOptions{Caller: again.Caller})
	s.After = after
	anew, err := e.newJob(s)
	if err != nil { // its handler no longer takes such an input
		return nil, nil
	}
	c := e.insertion(anew, s)
	c.Event.Truncate()
	c.Follow = e.followWithDeliveries(c.Event.Type, time.Now().Truncate(time.Millisecond))
	return c, nil
}

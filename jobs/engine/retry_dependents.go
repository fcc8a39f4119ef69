package engine

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
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
func newDependencies(ctx context.Context, store jobs.Store, job *jobs.Job, known map[jobs.ID]jobs.ID) (after []jobs.ID, all bool, err error) {
	page, err := store.List(ctx, jobs.Filter{Tenant: job.Tenant, DependencyOf: job.ID, Limit: jobs.MaxAfter})
	if err != nil {
		return nil, false, err
	}
	all = true
	for i := range page.Jobs {
		parent := &page.Jobs[i]
		for hops := 0; parent.State.Final() && parent.State != jobs.Succeeded && parent.RetriedBy != (jobs.ID{}) && known[parent.ID] == (jobs.ID{}) && hops < maxDependents; hops++ {
			next, _, err := store.Job(ctx, job.Tenant, parent.RetriedBy)
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

// dependentRetries are the retries of the jobs that were cancelled because an old job did not
// succeed, directly or through others. They depend on the retry of the old job.
type dependentRetries struct {
	engine  *Engine
	caller  string
	retries map[jobs.ID]jobs.ID // by old job
	changes []*jobs.Change      // their insertions
	bytes   int                 // of their inputs
}

// add adds the retries of the jobs that depend on old.
func (d *dependentRetries) add(ctx context.Context, old *jobs.Job) error {
	for parents := []jobs.ID{old.ID}; len(parents) > 0; parents = parents[1:] {
		f := jobs.Filter{Tenant: old.Tenant, DependsOn: parents[0], States: []jobs.State{jobs.Cancelled}, Limit: bulkPage}
		for more := true; more; more = f.Before > 0 {
			page, err := d.engine.store.List(ctx, f)
			if err != nil {
				return err
			}
			f.Before = page.Next
			for _, job := range page.Jobs {
				if job.Reason != jobs.ByDependency || job.RetriedBy != (jobs.ID{}) || d.retries[job.ID] != (jobs.ID{}) || len(d.changes) == maxDependents || d.bytes > commit.MaxBytes {
					continue
				}
				c, err := d.retry(ctx, old.Tenant, job.ID)
				if err != nil {
					return err
				}
				if c != nil {
					d.retries[job.ID], d.bytes = c.Job.ID, d.bytes+len(c.Job.Input)
					parents, d.changes = append(parents, job.ID), append(d.changes, c)
				}
			}
		}
	}
	return nil
}

// retry is the retry of one job; nil if it would depend on a job that can't succeed any more.
func (d *dependentRetries) retry(ctx context.Context, tenant string, id jobs.ID) (*jobs.Change, error) {
	e := d.engine
	job, _, err := e.store.Job(ctx, tenant, id) // with its input
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	after, all, err := newDependencies(ctx, e.store, &job, d.retries)
	if err != nil || !all {
		return nil, err
	}
	s := retrySpec(&job, RetryOptions{Caller: d.caller})
	s.After = after
	anew, err := e.newJob(s)
	if err != nil { // its handler no longer takes such an input
		return nil, nil
	}
	c := e.insertion(anew, s)
	c.Event.Truncate()
	c.Follow = e.deliveries.follow(c.Event.Type, time.Now().Truncate(time.Millisecond))
	return c, nil
}

package engine

import (
	"context"
	"errors"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/schedule"
)

// Documents are small records that packages above the engine keep beside the jobs, with the same
// durability. Their kind says whose they are.
type Documents struct {
	store   jobs.Store
	commits *commit.Committer
}

// List returns the documents of a kind by tenant and name; of all tenants if the tenant is empty.
func (d *Documents) List(ctx context.Context, tenant, kind string) ([]jobs.Document, error) {
	return d.store.Documents(ctx, tenant, kind)
}

// Put makes changes, each by itself a compare-and-set, together in one commit. It sets the Err
// of each, and returns the first of them: jobs.ErrConflict if a document is no longer what the
// change expects. Whether another error means that nothing was stored, commit.Problem says.
func (d *Documents) Put(ctx context.Context, changes ...*jobs.DocumentChange) error {
	ops := make([]*commit.Op, len(changes))
	for i, change := range changes {
		if change.Kind == schedule.Kind {
			return errors.New("schedules are changed with Engine.Schedules")
		}
		ops[i] = commit.NewOp(&jobs.Change{})
		ops[i].Document, ops[i].FailFast = change, true
		ops[i].Bytes += len(change.Data)
	}
	if len(ops) == 0 {
		return nil
	}
	if err := d.commits.PutAll(ctx, ops); err != nil {
		return commit.Problem(err)
	}
	var first error
	for _, o := range ops {
		if err := o.Wait(); err != nil && first == nil {
			if first = err; !errors.Is(err, jobs.ErrConflict) {
				first = commit.Problem(err)
			}
		}
	}
	return first
}

package commit

import (
	"context"
	"slices"
	"sync"
)

// Group stores the submissions of several goroutines, its members, in one commit. The first
// submission of each member waits until all others have submitted or left.
type Group struct {
	mu      sync.Mutex // protects the fields below
	absent  int        // members that have neither submitted nor left
	pending []*Op
}

// NewGroup returns a group of that many members. Each of them has to Join.
func NewGroup(members int) *Group { return &Group{absent: members} }

type memberKey struct{}

type member struct {
	group *Group
	here  bool // has submitted or left
}

// Join returns the context under which a member submits, and what it calls at its end.
func (g *Group) Join(ctx context.Context) (context.Context, func()) {
	m := &member{group: g}
	return context.WithValue(ctx, memberKey{}, m), func() { m.arrive(ctx, nil) }
}

// arrive records that a member has submitted o, or with nil that it has left. False if it had
// arrived before.
func (m *member) arrive(ctx context.Context, o *Op) bool {
	g := m.group
	g.mu.Lock()
	if m.here {
		g.mu.Unlock()
		return false
	}
	m.here = true
	g.absent--
	if o != nil {
		g.pending = append(g.pending, o)
	}
	var all []*Op
	if g.absent == 0 {
		all, g.pending = g.pending, nil
	}
	g.mu.Unlock()
	if len(all) > 0 {
		if err := all[0].committer.PutAll(context.WithoutCancel(ctx), all); err != nil {
			for _, o := range all {
				o.finish(err)
			}
		}
	}
	return true
}

// withdraw removes what a member submitted from the group. False if the group was handed in
// already.
func (g *Group) withdraw(o *Op) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.pending, o)
	if i < 0 {
		return false
	}
	g.pending = slices.Delete(g.pending, i, i+1)
	return true
}

// Submit enqueues the insertion of a job, through the group of ctx if there is one, and waits
// for its outcome.
func (c *Committer) Submit(ctx context.Context, o *Op) error {
	if m, ok := ctx.Value(memberKey{}).(*member); ok && ctx.Err() == nil {
		o.FailFast, o.committer = true, c
		if m.arrive(ctx, o) {
			select {
			case <-o.done:
			case <-ctx.Done():
				if m.group.withdraw(o) {
					return refusal{context.Cause(ctx)}
				}
			}
			return o.Wait()
		}
	}
	return c.Do(ctx, o)
}

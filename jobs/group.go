package jobs

import (
	"context"
	"slices"
	"sync"
)

// Group makes the submissions of several goroutines, its members, one commit. The first
// submission of each member is held until all others have made theirs or have left.
type Group struct {
	mu      sync.Mutex // protects the fields below
	absent  int        // members that have neither submitted nor left
	pending []*op
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

// arrive counts a member in, with what it submits if o is not nil. False if it was
// counted before.
func (m *member) arrive(ctx context.Context, o *op) bool {
	g := m.group
	g.mu.Lock()
	if m.here {
		g.mu.Unlock()
		return false
	}
	m.here = true
	g.absent--
	if o != nil {
		o.group = g
		g.pending = append(g.pending, o)
	}
	var all []*op
	if g.absent == 0 {
		all, g.pending = g.pending, nil
	}
	g.mu.Unlock()
	if len(all) > 0 {
		if err := all[0].committer.putAll(context.WithoutCancel(ctx), all); err != nil {
			for _, o := range all {
				o.finish(err)
			}
		}
	}
	return true
}

// withdraw takes back what a member submitted. False if it was handed in already.
func (g *Group) withdraw(o *op) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.pending, o)
	if i < 0 {
		return false
	}
	g.pending = slices.Delete(g.pending, i, i+1)
	return true
}

// submit hands in the insertion of a job and waits for its outcome.
func (c *committer) submit(ctx context.Context, o *op) error {
	if m, ok := ctx.Value(memberKey{}).(*member); ok && ctx.Err() == nil {
		o.failFast, o.committer = true, c
		if m.arrive(ctx, o) {
			select {
			case <-o.done:
			case <-ctx.Done():
				if m.group.withdraw(o) {
					return refusal{context.Cause(ctx)}
				}
			}
			return o.wait()
		}
	}
	return c.do(ctx, o)
}

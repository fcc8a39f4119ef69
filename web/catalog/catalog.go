package catalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/gateway"
)

// Options of a Catalog.
type Options struct {
	Documents Documents
	Logger    *slog.Logger

	Origin   string                 // the hub's own address, for links
	OwnPaths []string               // http.ServeMux patterns of the hub's own paths
	OwnHost  func(host string) bool // whether a host is the hub's, so that routes may name it; nil for none
	Guard    *egress.Guard          // where routes may lead
	Files    func() []gateway.Route // the routes of the configuration file; nil for none
	HasPlan  func(name string) bool // whether there is a plan; nil for none
	Changed  func()                 // called after routes have changed; may be nil
	Now      func() time.Time       // time.Now if nil
}

// Catalog is the catalogue of all tenants. Its methods may be called in parallel. Their errors
// are *jobs.Problem, but for those of the store.
type Catalog struct {
	o     Options
	now   atomic.Pointer[snapshot]
	diffs chan struct{} // has an element for each comparison under way

	writing sync.Mutex // held while a change is stored; protects stale
	stale   bool       // the outcome of a change is not known: the store has to be read again
}

// maxDiffs is how many documents are compared at the same time, which takes much of a processor.
const maxDiffs = 2

// Open reads the catalogue.
func Open(ctx context.Context, o Options) (*Catalog, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Catalog{o: o, diffs: make(chan struct{}, maxDiffs)}
	return c, c.Reload(ctx)
}

// Reload reads the catalogue again, after somebody else has changed it.
func (c *Catalog) Reload(ctx context.Context) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.reload(ctx)
}

func (c *Catalog) reload(ctx context.Context) error {
	s, err := load(ctx, c.o.Documents, &c.o)
	if err != nil {
		return err
	}
	c.stale = false
	c.now.Store(s)
	return nil
}

// maxTries is how often a change is made again because others came first.
const maxTries = 100

// edit stores the changes that prepare returns for a snapshot. It is called again if the catalogue
// has changed meanwhile.
func (c *Catalog) edit(ctx context.Context, prepare func(s *snapshot) ([]change, error)) error {
	for range maxTries {
		s := c.now.Load()
		changes, err := prepare(s)
		if err != nil || len(changes) == 0 {
			return err
		}
		done, err := c.store(ctx, s, changes)
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		for _, ch := range changes {
			if ch.Kind == kindVersion && c.o.Changed != nil {
				c.o.Changed()
				break
			}
		}
		return nil
	}
	return jobs.NewProblem(jobs.Conflict, "Conflict", "The catalogue is changed too often at the moment. Send the request again.")
}

// store stores changes that were prepared on s. done is false if that is no longer current.
func (c *Catalog) store(ctx context.Context, s *snapshot, changes []change) (done bool, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.stale {
		return false, c.reload(ctx)
	}
	if c.now.Load() != s {
		return false, nil
	}
	puts := make([]*jobs.DocumentChange, len(changes))
	for i := range changes {
		puts[i] = &changes[i].DocumentChange
	}
	last := len(puts) - 1 // what the others belong to
	err = c.o.Documents.Put(ctx, puts[:last]...)
	if err == nil {
		err = c.o.Documents.Put(ctx, puts[last])
	}
	if err != nil {
		c.stale = true // of any other error the outcome is not known
		if errors.Is(err, jobs.ErrConflict) {
			err = c.reload(ctx)
		}
		return false, err
	}
	c.now.Store(s.with(changes, &c.o))
	return true, nil
}

// Routes returns the routes of all versions; those of retired ones, which answer 410, come last,
// and have to give way to others.
func (c *Catalog) Routes() []gateway.Route { return c.now.Load().routes }

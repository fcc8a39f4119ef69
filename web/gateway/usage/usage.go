package usage

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"jobhub/jobs"
)

// Store keeps what was counted. Other processes may write to it, too.
type Store interface {
	// List returns the documents of one kind; of all tenants if the tenant is empty.
	List(ctx context.Context, tenant, kind string) ([]jobs.Document, error)
	// Put applies changes and returns when they are durable. It returns jobs.ErrConflict if
	// stored data are not Was. After any other error the change may or may not be stored.
	Put(ctx context.Context, changes ...*jobs.DocumentChange) error
}

// Options are those of Open.
type Options struct {
	Store     Store         // nil: what was counted is in memory only
	Logger    *slog.Logger  // slog.Default if nil
	MaxSeries int           // different series of calls in an hour; 20,000 if 0
	MaxBytes  int           // of all hours in memory and in the store; 256 MiB if 0. Beyond, the oldest days lose their consumers
	Minutes   time.Duration // how long minutes are kept; 2 hours if 0
	Retention time.Duration // how long hours are kept; 90 days if 0
	Flush     time.Duration // how often is stored what has changed; 10 s if 0
}

// Usage counts calls and answers questions about them. Its methods may be called from any
// goroutine.
type Usage struct {
	Options
	seed     maphash.Seed
	shards   [shardCount]shard
	admitted admission
	writer   uint64        // tells apart those who write to a store
	asking   chan struct{} // holds an item for each question that is being answered

	collecting sync.Mutex // one collection at a time: what a question misses was counted after it began
	flushing   sync.Mutex // one flush at a time
	failing    bool       // protected by flushing: the last flush failed, which was logged

	loaded chan struct{} // closed when the store was read
	stop   context.CancelFunc
	ended  chan struct{} // closed when run has returned

	mu        sync.Mutex // protects the fields below
	tenants   map[string]*tenant
	additions uint64 // how many were made to documents
}

// tenant is what was counted for one tenant.
type tenant struct {
	spans     map[*level]map[int64]*span // by their starts in seconds since 1970
	summaries map[period]*summary
}

// Open begins to read the store, in the background, and to count. The caller must call Close.
func Open(o Options) *Usage {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.MaxSeries = cmp.Or(o.MaxSeries, 20_000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 256<<20)
	o.Minutes = cmp.Or(o.Minutes, 2*time.Hour)
	o.Retention = cmp.Or(o.Retention, 90*24*time.Hour)
	o.Flush = cmp.Or(o.Flush, 10*time.Second)
	u := &Usage{Options: o, seed: maphash.MakeSeed(), writer: rand.Uint64(), asking: make(chan struct{}, maxAsking), loaded: make(chan struct{}), ended: make(chan struct{}), tenants: map[string]*tenant{}}
	u.admitted.max = o.MaxSeries
	ctx, stop := context.WithCancel(context.Background())
	u.stop = stop
	go u.run(ctx)
	return u
}

// run stores what has changed, from time to time.
func (u *Usage) run(ctx context.Context) {
	defer close(u.ended)
	tick := time.NewTicker(u.Options.Flush)
	defer tick.Stop()
	for {
		if u.ready(ctx, time.Now()) == nil {
			u.prepare(ctx, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.Flush(ctx, time.Now()) // it has logged its error
		}
	}
}

// Close stores what was counted and ends the work in the background. What is recorded later is
// lost. It may be repeated, for example after an error of the store.
func (u *Usage) Close(ctx context.Context) error {
	u.stop()
	<-u.ended
	return u.Flush(ctx, time.Time{}) // what is old is deleted another time
}

// collect takes over what the shards have counted.
func (u *Usage) collect() {
	u.collecting.Lock()
	defer u.collecting.Unlock()
	for i := range u.shards {
		for _, c := range u.shards[i].take() {
			u.mu.Lock()
			for k, r := range c.cells {
				t := u.tenantLocked(k.tenant)
				for _, l := range levels {
					s := t.span(l, floor(c.minute*60, l.width))
					if s.fresh == nil {
						s.fresh = table{}
					}
					s.block = nil
					s.fresh.add(k.series, r)
				}
				t.touch(c.minute * 60)
			}
			u.mu.Unlock()
		}
	}
}

func (u *Usage) tenantLocked(name string) *tenant {
	t := u.tenants[name]
	if t == nil {
		t = &tenant{spans: map[*level]map[int64]*span{}, summaries: map[period]*summary{}}
		for _, l := range levels {
			t.spans[l] = map[int64]*span{}
		}
		u.tenants[name] = t
	}
	return t
}

// span returns the span that begins at start.
func (t *tenant) span(l *level, start int64) *span {
	s := t.spans[l][start]
	if s == nil {
		s = &span{name: l.name(start)}
		t.spans[l][start] = s
	}
	return s
}

// touch notes that what was counted at a time has changed.
func (t *tenant) touch(at int64) {
	for _, width := range []int64{hours.width, day} {
		if d := t.summaries[period{floor(at, width), width}]; d != nil {
			d.change()
		}
	}
}

package jobs

import (
	"context"
	"slices"
	"time"
)

// Store keeps jobs and the log of their events. It knows no policy: it applies
// compare-and-set changes, numbers events and answers questions.
//
// What every store promises, and storetest proves:
//
//   - Durable. When Commit returns nil, the batch survives a crash of the process
//     and a loss of power.
//   - Atomic. A change and its event, its counters and its idempotency key are
//     stored together or not at all.
//   - Fenced. A change applies only if the job still has the state and the lease
//     it names; else it gets ErrConflict and leaves no trace.
//   - Ordered. Events are numbered 1, 2, 3 … without gaps and become visible in that
//     order, never before they are durable. Whoever has read up to seq n never
//     meets a lower number later.
//   - Honest about loss. Reading after a position that was trimmed away fails with
//     ErrTrimmed, and so does reading a damaged part of the log; no read leaves events out
//     silently. If events that readers have seen may be lost, the epoch changes.
//   - Honest about damage. Reading damaged data fails with ErrDamaged and never returns other
//     data instead. Damage affects only what is stored there: a batch stores all its other
//     changes, a list shows all its other jobs.
//
// Methods may be called from any goroutine; calls of Commit do not overlap.
type Store interface {
	// Commit applies a batch as one durable transaction. Outcomes of single
	// changes are in their Err; an error of Commit itself concerns the whole batch:
	// ErrNoSpace and ErrDamaged mean that nothing was stored, any other that the outcome
	// is unknown.
	Commit(ctx context.Context, b *Batch) error

	// Job returns a job with its input and result, and the position at which it was
	// read. ErrNotFound if the tenant has no such job.
	Job(ctx context.Context, tenant string, id ID) (Job, Position, error)

	// List returns jobs newest first, without payloads over SmallPayload. With Text it
	// looks at a bounded number of jobs, so that a page may hold fewer than Limit, or none,
	// and still have a Next. See Filter.Due for lists of due jobs.
	List(ctx context.Context, f Filter) (Page, error)

	// Documents returns the documents of one kind by tenant and name; of all tenants if
	// the tenant is empty.
	Documents(ctx context.Context, tenant, kind string) ([]Document, error)

	// Queues returns the queues of a tenant by name, with their counters; of all tenants
	// if it is empty.
	Queues(ctx context.Context, tenant string) ([]QueueInfo, Position, error)

	// Head is the position after the newest visible event.
	Head() Position

	// Read returns the events after a seq, in order: up to about q.MaxBytes of those that are
	// quickly available, and at least one if there is one. ErrTrimmed or ErrAhead where the
	// position is not in the log. With a job, only that job's events.
	Read(ctx context.Context, q ReadQuery) ([]*Event, error)

	// Wait returns once the log holds an event after seq.
	Wait(ctx context.Context, seq uint64) error

	// Trim deletes old events, and jobs whose retention has ended; it returns how many jobs.
	// The newest event always stays. After an error whose outcome is unknown, Commit fails,
	// too.
	Trim(ctx context.Context, t Trim) (int, error)

	// Close ends all use of the store. All methods but Head return ErrClosed from then on,
	// also those that wait. It may be repeated.
	Close() error
}

// SmallPayload is the size in bytes up to which input and result are listed with
// their job.
const SmallPayload = 1 << 10

// Batch is what one Commit stores. Claims see the changes before them.
type Batch struct {
	Now       time.Time
	Queues    []*QueueChange
	Documents []*DocumentChange
	Changes   []*Change
	Claims    []*Claim

	Woken bool         // outcome: the WakeAt of further jobs was set to Now
	Ready map[Lane]int // outcome: how many jobs became ready
}

// Lane is where a ready job waits to be claimed.
type Lane struct {
	QueueName
	Kind string
}

// Trim says what to delete.
type Trim struct {
	Seq      uint64    // events up to here
	Retained time.Time // jobs with RetainedUntil before
	Limit    int       // at most so many jobs in this call
}

// Change is one compare-and-set on one job, and the event that describes it.
type Change struct {
	// Job says which job (N and ID) and holds the values of Fields. A change
	// without If.State inserts the job.
	Job    Job
	If     Condition
	Fields Field
	Event  Event // Type and Data; the store sets the rest. Without a Type there is no event

	// Follow, if set, is called when the change has been applied, with the whole job as it
	// now is. The insertions that it returns are part of the same transaction; no
	// capacity refuses them.
	Follow func(job *Job) []*Change

	// With an insert only:
	Key      *Key            // bound to the job in the same transaction
	After    []ID            // the job waits until these have succeeded: its WakeAt is set when it is known
	Document *DocumentChange // written together with the job: neither is stored without the other
	Retry    *Retry          // the job is a retry of Job.RetryOf, which then names it as its retry; nil if that is not to be recorded

	// Peers are jobs that decide about the insertion; with FieldQueue, about the change of queue.
	Peers []*Peers

	// Delete deletes the job, which has to be final. Its Event is stored.
	Delete bool

	Err      error // outcome: nil, ErrConflict, ErrQueueFull, ErrOrderTaken, *KeyTaken, *Existing, *UnknownDependency, ErrDamaged or the error of Peers.Decide
	Position int64 // outcome of an insert: its place in its queue, 0 if it is not queued
}

// Condition is what must be true of a job for a change to apply.
type Condition struct {
	State   State
	Lease   string
	Version uint64 // 0 for any; a job that does not run can be moved and retagged without a change of its state
}

// Retry says that an insertion is the retry of a job. If that job has a retry already, which
// is still stored and has the same fingerprint, the outcome is *Existing with it.
type Retry struct {
	Force       bool   // make another retry even if there is one
	Fingerprint []byte // hash of what differs from the old job, like another input; nil if nothing differs: then any earlier retry counts
}

// Peers are the jobs of the same tenant that share a key with the job of a change. The store
// reads them in the transaction of the change, newest first and at most MaxPeers. If there
// are any, it calls Decide: the changes that Decide returns are applied before the change
// itself; an error becomes the outcome of the change, and nothing is stored.
type Peers struct {
	UniqueKey []byte    // those with this Job.UniqueKey
	Schedule  string    // or those with this Job.Schedule
	Finished  bool      // finished ones too: of these the newest of each state
	Since     time.Time // only those accepted after it
	Decide    func(peers []Job) ([]*Change, error)
}

// MaxPeers is how many peers are looked at.
const MaxPeers = 1000

// Key is an idempotency key.
type Key struct {
	Scope       string // tenant and path
	Key         string
	Fingerprint []byte // of the request
	Until       time.Time
}

// Claim asks for up to len(Leases) jobs that are ready, by priority and then in the
// order in which they became ready. Each gets one of the leases, the state
// running and one more attempt. Queues that are paused or at their concurrency give none.
//
// Not every queued job is ready. Of one ordering key only the first unfinished job can
// be; of one fair key at most PerKey jobs are ready or running, and where there is no such
// limit, one is ready at a time, so that fair keys take turns.
type Claim struct {
	Tenant string   // empty for all
	Kinds  []string // at least one, sorted
	Queues []string // sorted; empty for all
	Leases []string
	Allow  map[QueueName]int // at most so many of these queues; the store counts down
	Share  *Share            // only jobs that fit it; the store notes each that it takes. nil for all

	// Follow, if set, is called for each job that is taken, as Change.Follow is.
	Follow func(job *Job) []*Change

	Jobs    []Job // outcome, with inputs
	Limited bool  // outcome: there are ready jobs that a limit held back
}

// Covers reports whether a claim takes jobs of a lane, as far as its limits let it.
func (c *Claim) Covers(l Lane) bool {
	among := func(sorted []string, name string) bool {
		_, found := slices.BinarySearch(sorted, name)
		return found
	}
	return (c.Tenant == "" || c.Tenant == l.Tenant) && (len(c.Queues) == 0 || among(c.Queues, l.Name)) && among(c.Kinds, l.Kind)
}

// Filter selects jobs for List. Empty members select all.
type Filter struct {
	Tenant       string
	IDs          []ID // only these, as far as they exist
	States       []State
	Queue        string
	Kind         string
	Tag          string
	Parent       ID
	DependsOn    ID     // only jobs that depend on this one, which has not succeeded so far
	DependencyOf ID     // only jobs that this one depends on, and that have not succeeded so far
	Text         string // only jobs with this text, in any case, in their input, tags, kind, id or error
	Before       uint64 // only jobs with a smaller N; 0 for no bound
	Limit        int

	// Due selects jobs whose WakeAt is not after it, earliest first. All other members but
	// Limit are then ignored.
	Due time.Time

	// Retained asks only for the earliest RetainedUntil, in Page.Wake; no jobs are returned.
	Retained bool
}

// MaxSearched is how many jobs one List with Text looks at.
const MaxSearched = 10_000

// Page is one page of a list and the position at which it was read.
type Page struct {
	Jobs []Job
	Next uint64 // Filter.Before of the next page, 0 if this is the last
	Pos  Position
	Wake time.Time // with Filter.Due or Filter.Retained: the earliest time that remains, zero if none
}

// ReadQuery says which events to read: the oldest after After, up to about MaxBytes. If
// MaxBytes is 0, up to about 1 MiB, or with Job all of the job's events.
type ReadQuery struct {
	After    uint64
	Job      ID // zero for all jobs
	MaxBytes int
	Walk     *Walk // keeps the place between several reads of one job; nil for a single read
}

// Walk pages through the events of one job. Each event knows only the one before it, so the
// first read goes back through all of them and stores their numbers here for the later reads.
// If the log was trimmed, the first read sets Trimmed instead of failing with ErrTrimmed. The
// zero value is for the first read.
type Walk struct {
	Seqs    []uint64 // of the events, from the oldest that is kept to the newest at the first read
	Trimmed bool     // the log no longer holds all events after the After of the first read
	Done    bool     // the first read was made
}

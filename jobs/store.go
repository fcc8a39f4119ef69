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
//   - Honest about loss. Reading behind a trimmed part gives ErrTrimmed, never less
//     than was asked for; so does a part of the log that is damaged. If events that were
//     shown could be gone, the epoch is another.
//   - Honest about damage. What is not as it was written gives ErrDamaged, and never
//     something else in its place. It costs only what stands there: a batch stores all
//     its other changes, a list shows all its other jobs.
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
	// and still have a Next. With Due, see there.
	List(ctx context.Context, f Filter) (Page, error)

	// Documents returns the documents of one kind by tenant and name; of all tenants if
	// the tenant is empty.
	Documents(ctx context.Context, tenant, kind string) ([]Document, error)

	// Queues returns the queues of a tenant by name, with their counters; of all tenants
	// if it is empty.
	Queues(ctx context.Context, tenant string) ([]QueueInfo, Position, error)

	// Head is the position after the newest visible event.
	Head() Position

	// Read returns the events after a seq, in order: all that are at hand up to
	// about maxBytes, at least one if there is one. ErrTrimmed or ErrAhead where the
	// position is not in the log. With a job, only that job's events.
	Read(ctx context.Context, q ReadQuery) ([]*Event, error)

	// Wait returns once the log holds an event after seq.
	Wait(ctx context.Context, seq uint64) error

	// Trim forgets events, and jobs out of their retention; it returns how many jobs. The
	// newest event always stays. After an error whose outcome is unknown, Commit fails, too.
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

// Trim says what to forget.
type Trim struct {
	Seq      uint64    // events up to here
	Retained time.Time // jobs with RetainedUntil before
	Limit    int       // at most so many jobs in this call
}

// QueueChange writes the settings of a queue, which comes into being with it, and
// applies them to the jobs that are there.
type QueueChange struct {
	Tenant   string
	Name     string
	Settings QueueSettings
	Event    Event // none if its Type is 0

	Err error // outcome: nil or ErrDamaged
}

// QueueSettings are the limits of a queue. Zero means no limit.
type QueueSettings struct {
	Concurrency  int      `json:"concurrency,omitzero"`   // attempts at the same time
	Capacity     int      `json:"capacity,omitzero"`      // unfinished jobs that do not run
	PerKey       int      `json:"per_key,omitzero"`       // attempts of one fair key at the same time
	Rate         Rate     `json:"rate,omitzero"`          // of starts
	QueueTimeout Duration `json:"queue_timeout,omitzero"` // of jobs that do not name one
	Paused       *Pause   `json:"paused,omitzero"`

	// Callbacks are told of all jobs of the queue, besides those that a job names.
	Callbacks []Callback `json:"callbacks,omitzero"`
}

// Duration is a time.Duration that is written in JSON as Go writes it: "1m30s".
type Duration time.Duration

func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Pause says since when, by whom and why a queue starts no jobs.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// QueueName names a queue among those of all tenants.
type QueueName struct{ Tenant, Name string }

// Change is one compare-and-set on one job and the event that tells of it.
type Change struct {
	// Job says which job (N and ID) and holds the values of Fields. A change
	// without If.State inserts the job.
	Job    Job
	If     Guard
	Fields Field
	Event  Event // Type and Data; the store sets the rest. With no Type nothing is told

	// Follow, if set, is called when the change has been applied, with the whole job as it
	// now is. The insertions that it returns are part of the same transaction; no
	// capacity refuses them.
	Follow func(job *Job) []*Change

	// With an insert only:
	Key   *Key            // bound to the job in the same transaction
	After []ID            // the job waits until these have succeeded: its WakeAt is set when it is known
	With  *DocumentChange // written together with the job: neither is stored without the other
	Retry *Retry          // the job repeats Job.RetryOf, which then names it as its retry; nil where that is not to be noted

	// Peers are jobs that decide about the insertion; with FieldQueue, about the change of queue.
	Peers []*Peers

	// Delete forgets the job, which has to be final. Its Event is told.
	Delete bool

	output *outputPiece // of an output event that is still growing

	Err      error // outcome: nil, ErrConflict, ErrQueueFull, ErrOrderTaken, *KeyTaken, *Existing, *UnknownParent, ErrDamaged or what Peers.Decide said
	Position int64 // outcome of an insert: its place in its queue, 0 if it is not queued
}

// Document is a small record beside the jobs, like a schedule.
type Document struct {
	Tenant string
	Kind   string
	Name   string
	Data   Value
}

// DocumentChange is one compare-and-set on a document: it applies if the stored data are
// still the same bytes as Was (nil: there must be none). Data of nil delete the document.
type DocumentChange struct {
	Document
	Was Value

	Err error // outcome: nil, ErrConflict or ErrDamaged
}

// Guard is what must be true of a job for a change to apply.
type Guard struct {
	State   State
	Lease   string
	Version uint64 // 0 for any; a job that does not run can be moved and retagged without a change of its state
}

// Retry says how an insertion repeats a job. If that has a retry already, which is still
// kept and was asked for in the same way, the outcome is *Existing with it.
type Retry struct {
	Again bool   // make another one although there is one
	As    []byte // what the retry has of its own, like another input; nil if nothing, which every retry that is there stands for
}

// Peers are the jobs of the same tenant that share a key with the job of a change. The store
// looks for them in the transaction of the change, newest first and at most MaxPeers. If
// there are some, the changes that Decide returns are applied before the change itself; an
// error is its outcome, and nothing is changed.
type Peers struct {
	UniqueKey []byte    // those with this Job.UniqueKey
	Schedule  string    // or those with this Job.Schedule
	Kept      bool      // finished ones too: of these the newest of each state
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

// Draws reports whether a claim takes jobs of a lane, as far as its limits let it.
func (c *Claim) Draws(l Lane) bool {
	among := func(sorted []string, name string) bool {
		_, found := slices.BinarySearch(sorted, name)
		return found
	}
	return (c.Tenant == "" || c.Tenant == l.Tenant) && (len(c.Queues) == 0 || among(c.Queues, l.Name)) && among(c.Kinds, l.Kind)
}

// Filter selects jobs for List. Empty members select all.
type Filter struct {
	Tenant string
	IDs    []ID // only these, as far as they exist
	States []State
	Queue  string
	Kind   string
	Tag    string
	Parent ID
	After  ID     // only jobs that were to run after this one, which has not succeeded so far
	Ahead  ID     // only jobs that this one was to run after, and that have not succeeded so far
	Text   string // only jobs with this text, in any case, in their input, tags, kind, id or error
	Before uint64 // only jobs with a smaller N; 0 for no bound
	Limit  int

	// Due selects jobs whose WakeAt is not after it, earliest first; all but Limit is then
	// ignored.
	Due time.Time

	// Retained asks for no jobs, but for the earliest RetainedUntil: it is Page.Wake.
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

// QueueInfo is a queue with its maintained counters.
type QueueInfo struct {
	Tenant   string
	Name     string
	Settings QueueSettings
	Counts   [len(stateNames)]int64 // by State
	OldestAt time.Time              // acceptance of the job that is first in line; zero if none waits
}

// ReadQuery says which events to read: the oldest behind After, and about MaxBytes of
// them; if zero 1 MiB, or all of the one job.
type ReadQuery struct {
	After    uint64
	Job      ID // zero for all jobs
	MaxBytes int
	Walk     *Walk // of reads of one job, piece by piece; nil if all of it is read at once
}

// Walk pages through the events of one job: it keeps their seqs from one read to the next,
// as each event knows only the one before it. If the log was trimmed, the first read sets Cut
// and does not fail. The zero value begins a walk.
type Walk struct {
	Seqs []uint64 // of the events, from the oldest that is kept to the newest at the first read
	Cut  bool     // the log no longer holds all behind the After of the first read
	Done bool     // the first read was made
}

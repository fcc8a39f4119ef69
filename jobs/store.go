package jobs

import (
	"context"
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
//     than was asked for. If events that were shown could be gone, the epoch is another.
//
// Methods may be called from any goroutine; calls of Commit do not overlap.
type Store interface {
	// Commit applies a batch as one durable transaction. Outcomes of single
	// changes are in their Err; an error of Commit itself concerns the whole batch:
	// ErrNoSpace means that nothing was stored, any other that the outcome is unknown.
	Commit(ctx context.Context, b *Batch) error

	// Job returns a job with its input and result, and the position at which it was
	// read. ErrNotFound if the tenant has no such job.
	Job(ctx context.Context, tenant string, id ID) (Job, Position, error)

	// List returns jobs newest first, without payloads over SmallPayload.
	List(ctx context.Context, f Filter) (Page, error)

	// Due returns up to limit jobs whose WakeAt is not after now, earliest first, and
	// the earliest WakeAt that remains (zero if none).
	Due(ctx context.Context, now time.Time, limit int) ([]Job, time.Time, error)

	// Queues returns the queues of a tenant by name, with their counters.
	Queues(ctx context.Context, tenant string) ([]QueueInfo, Position, error)

	// Head is the position after the newest visible event.
	Head() Position

	// Read returns the events after a seq, in order: all that are at hand up to
	// about maxBytes, at least one if there is one. ErrTrimmed or ErrAhead where the
	// position is not in the log. With a job, only that job's events.
	Read(ctx context.Context, q ReadQuery) ([]*Event, error)

	// Wait returns once the log holds an event after seq.
	Wait(ctx context.Context, seq uint64) error

	// Trim forgets the events up to seq. The newest event always stays.
	Trim(ctx context.Context, seq uint64) error

	Close() error
}

// SmallPayload is the size in bytes up to which input and result are listed with
// their job.
const SmallPayload = 1 << 10

// Batch is what one Commit stores. Claims see the changes before them.
type Batch struct {
	Now     time.Time
	Changes []*Change
	Claims  []*Claim
}

// Change is one compare-and-set on one job and the event that tells of it.
type Change struct {
	// Job says which job (N and ID) and holds the values of Fields. A change
	// without If.State inserts the job.
	Job    Job
	If     Guard
	Fields Field
	Event  Event // Type and Data; the store sets the rest
	Key    *Key  // with an insert: bound to the job in the same transaction

	output *outputPiece // of an output event that is still growing

	Err      error // outcome: nil, ErrConflict, or *KeyTaken
	Position int64 // outcome of an insert: its place in its queue, 0 if it is not queued
}

// Guard is what must be true of a job for a change to apply.
type Guard struct {
	State State
	Lease string
}

// Key is an idempotency key.
type Key struct {
	Scope       string // tenant and path
	Key         string
	Fingerprint []byte // of the request
	Until       time.Time
}

// Claim asks for up to len(Leases) jobs that are ready, by priority and then in the
// order in which they became ready. Each gets one of the leases, the state
// running and one more attempt.
type Claim struct {
	Kinds  []string
	Leases []string

	Jobs []Job // outcome, with inputs
}

// Filter selects jobs for List. Empty members select all.
type Filter struct {
	Tenant string
	States []State
	Queue  string
	Kind   string
	Tag    string
	Parent ID
	Before uint64 // only jobs with a smaller N; 0 for no bound
	Limit  int
}

// Page is one page of a list and the position at which it was read.
type Page struct {
	Jobs []Job
	Next uint64 // Filter.Before of the next page, 0 if this is the last
	Pos  Position
}

// QueueInfo is a queue with its maintained counters.
type QueueInfo struct {
	Name     string
	Counts   [len(stateNames)]int64 // by State
	OldestAt time.Time              // acceptance of the job that is first in line; zero if none waits
}

// ReadQuery says which events to read.
type ReadQuery struct {
	After    uint64
	Job      ID // zero for all jobs
	MaxBytes int
}

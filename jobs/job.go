package jobs

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// ID names a job: a UUIDv7, so that ids sort by time of acceptance.
type ID = uuid.UUID

// Value is a JSON value kept as it came, so that numbers keep every digit.
type Value = jsontext.Value

// DefaultTenant owns every job while the hub has no keys configured.
const DefaultTenant = "default"

// State says where a job is on its way. The last three are final.
type State uint8

const (
	Scheduled State = iota + 1 // waits for its time
	Queued                     // may be claimed
	Running                    // one worker holds its lease
	Retrying                   // waits for its next attempt
	Waiting                    // waits for other jobs, holds no slot
	Succeeded
	Failed
	Cancelled
)

// States lists all states in their order of life.
var States = []State{Scheduled, Queued, Running, Retrying, Waiting, Succeeded, Failed, Cancelled}

var stateNames = [...]string{"", "scheduled", "queued", "running", "retrying", "waiting", "succeeded", "failed", "cancelled"}

func (s State) String() string { return stateNames[s] }

// Final reports whether a job in this state never changes again.
func (s State) Final() bool { return s >= Succeeded }

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) {
	i := slices.Index(stateNames[1:], name)
	return State(i + 1), i >= 0
}

// transitions is the one table of what may follow what. A state may be missing
// from its own row: nothing re-enters the state it is in.
var transitions = map[State][]State{
	0:         {Scheduled, Queued, Waiting},
	Scheduled: {Queued, Failed, Cancelled},
	Queued:    {Running, Scheduled, Failed, Cancelled},
	Running:   {Queued, Scheduled, Retrying, Waiting, Succeeded, Failed, Cancelled},
	Retrying:  {Queued, Failed, Cancelled},
	Waiting:   {Queued, Scheduled, Succeeded, Failed, Cancelled},
}

// CanBecome reports whether a job may go from s to next. The zero State stands
// for a job that does not exist yet.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }

// Reason says why a job ended as it did; empty for success.
type Reason string

const (
	Exhausted  Reason = "exhausted"   // attempts used up
	Rejected   Reason = "rejected"    // told not to retry
	Expired    Reason = "expired"     // waited longer than its queue timeout
	TimedOut   Reason = "timeout"     // its last attempt ran longer than its timeout
	WorkerLost Reason = "worker_lost" // its workers died under it
	ByUser     Reason = "user"        // cancelled by a caller
	ByParent   Reason = "parent"      // a job it waited for did not succeed
)

// Job is one accepted piece of work, as the store keeps it.
type Job struct {
	N      uint64 // the seq of its first event: unique, rising, the order of acceptance
	ID     ID
	Tenant string
	Kind   string
	Queue  string

	State    State
	Reason   Reason
	Priority int
	Tags     []string

	OrderingKey string // jobs of one ordering key run one at a time, in order of acceptance
	FairKey     string // takes turns with other fair keys in its queue, under the queue's per_key limit

	Input       Value
	Credentials Credentials // what Input hides, of a job that sends HTTP requests
	Result      Value       // JSON result of a handler, of an unfinished job what is known of it; nil where there is none
	Response    *Response   // answer of an upstream HTTP API, kept byte for byte
	Error       *Problem
	Progress    *Progress

	Attempt      int // executions that count
	Start        int // number of the newest start; rises with each, whether it counts or not
	MaxAttempts  int
	Backoff      Backoff
	Timeout      time.Duration // of one attempt
	QueueTimeout time.Duration // how long it may be queued before its first start; 0 for ever
	NeverRerun   bool          // a lost attempt ends the job
	Lost         int           // attempts in a row whose worker was lost, or with which the hub crashed
	Checkpoint   Value         // what an attempt leaves for the next one
	Retention    time.Duration // how long the job is kept after its end

	CreatedAt       time.Time
	ScheduledAt     time.Time // when it becomes queued by itself
	StartedAt       time.Time // start of the newest attempt
	FinishedAt      time.Time
	ExpiresAt       time.Time // queue deadline, of a job that is or was queued
	RetainedUntil   time.Time
	CancelRequested bool
	ParentFailed    bool // a job that this one waits for did not succeed
	RetryOf         ID
	RetriedBy       ID     // the newest retry of this job
	RetriedAs       []byte // what that retry has of its own, as Retry.As had it
	Parent          ID
	Caller          string // in whose name it was submitted, as Spec.Caller had it
	Via             Via
	Schedule        string // the name of the schedule whose run it is, or that of the job it repeats

	Unique    *Unique // nil where any number of such jobs may be there
	UniqueKey []byte  // the same for all jobs that Unique takes to be the same

	// Callbacks are told of the job's changes; of a delivery, the one it goes to.
	Callbacks []Callback

	Lease    string // token of the running attempt
	Settled  string // lease and verb of the attempt that ended last
	Reported uint64 // number of the newest report of the running attempt that was taken in
	Output   int64  // bytes of output of the newest start

	WakeAt time.Time // when the engine has to look at this job next

	Version uint64 // number of its state changes
	Seq     uint64 // its newest event
}

// Via is how a job came in, as far as its attempts must know. Only the hub sets it; no
// caller can.
type Via struct {
	// Upstreams are the origins, like http://127.0.0.1:9000, that the operator wrote in the
	// route by which the job came. Its calls may reach them whatever their address.
	Upstreams []string `json:"upstreams,omitzero"`

	// Route is the path of that route.
	Route string `json:"route,omitzero"`
	// Headers are the names of the headers that the route sets: credentials of its own,
	// which no caller may send along with a request that it wrote itself.
	Headers []string `json:"headers,omitzero"`

	// Mask is what the operator wants hidden besides the usual names (see SplitCredentials).
	Mask []string `json:"mask,omitzero"`

	// Trace is the W3C trace context that the job belongs to: the value of traceparent, and
	// behind a space that of tracestate if there is one.
	Trace string `json:"trace,omitzero"`
}

// Empty reports whether nothing is known.
func (v Via) Empty() bool {
	return len(v.Upstreams) == 0 && len(v.Headers) == 0 && len(v.Mask) == 0 && v.Trace == ""
}

// Progress is what a handler last said of how far it is.
type Progress struct {
	Percent *float64 `json:"percent"`
	Message string   `json:"message"`
	Data    Value    `json:"data"`
}

// Field names members of a Job that a change writes. The same set decides what
// is stored and what the event of the change tells.
type Field uint32

const (
	FieldState Field = 1 << iota // State, Reason, and the ready mark
	FieldAttempt
	FieldLease
	FieldWake
	FieldScheduled
	FieldStarted
	FieldFinished
	FieldProgress
	FieldError
	FieldResult // Result and Response
	FieldCancel
	FieldLost
	FieldCheckpoint
	FieldRetained
	FieldSettled
	FieldReported
	FieldExpires
	FieldCallbacks
	FieldPriority
	FieldTags
	FieldQueue   // Queue and UniqueKey; together with FieldState, as the job lines up again
	FieldRetried // RetriedBy and RetriedAs
	FieldOutput
)

// Has reports whether all of want are in f.
func (f Field) Has(want Field) bool { return f&want == want }

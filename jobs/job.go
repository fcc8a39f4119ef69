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

// Final reports whether a job in this state has ended: it never leaves the state.
func (s State) Final() bool { return s >= Succeeded }

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) {
	i := slices.Index(stateNames[1:], name)
	return State(i + 1), i >= 0
}

// transitions says which state may follow which. No state follows itself.
var transitions = map[State][]State{
	0:         {Scheduled, Queued, Waiting},
	Scheduled: {Queued, Cancelled},
	Queued:    {Running, Scheduled, Failed, Cancelled},
	Running:   {Queued, Scheduled, Retrying, Succeeded, Failed, Cancelled},
	Retrying:  {Queued, Cancelled},
	Waiting:   {Queued, Scheduled, Cancelled},
}

// CanBecome reports whether a job may go from s to next. The zero State stands
// for a job that does not exist yet.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }

// Reason says why a job ended as it did; empty for success.
type Reason string

const (
	Exhausted    Reason = "exhausted"   // attempts used up
	Rejected     Reason = "rejected"    // the attempt's failure said not to retry
	Expired      Reason = "expired"     // waited longer than its queue timeout
	TimedOut     Reason = "timeout"     // its last attempt ran longer than its timeout
	WorkerLost   Reason = "worker_lost" // its worker was lost, and it is not run again
	ByUser       Reason = "user"        // cancelled by a caller
	ByDependency Reason = "parent"      // a job it waited for did not succeed
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
	Credentials Credentials // the credentials that Input hides, of a job that sends HTTP requests
	Result      Value       // JSON result of a handler; of an unfinished job the partial result; nil if there is none
	Response    *Response   // answer of an upstream HTTP API, kept byte for byte
	Error       *Problem
	Progress    *Progress

	Attempt      int // attempts that count against MaxAttempts
	Start        int // number of the newest start; each start counts, also those that are no Attempt
	MaxAttempts  int
	Backoff      Backoff
	Timeout      time.Duration // of one attempt
	QueueTimeout time.Duration // how long it may be queued before its first start; 0 for ever
	NeverRerun   bool          // a lost attempt ends the job
	Lost         int           // attempts in a row that ended because the worker was lost or the hub crashed
	Checkpoint   Value         // what an attempt stored for the next one
	Retention    time.Duration // how long the job is kept after its end

	CreatedAt        time.Time
	ScheduledAt      time.Time // when it becomes queued by itself
	StartedAt        time.Time // start of the newest attempt
	FinishedAt       time.Time
	ExpiresAt        time.Time // queue deadline, of a job that is or was queued
	RetainedUntil    time.Time
	CancelRequested  bool
	DependencyFailed bool // a job that this one waits for did not succeed
	RetryOf          ID
	RetriedBy        ID     // the newest retry of this job
	RetryFingerprint []byte // Retry.Fingerprint of that retry
	Parent           ID
	Caller           string // who submitted it, as in Spec.Caller
	Via              Via
	Schedule         string // the name of the schedule that submitted it, or the job that it is a retry of

	Unique    *Unique // nil if there may be any number of equal jobs
	UniqueKey []byte  // equal for all jobs that are equal by Unique

	// Callbacks receive the job's events. A delivery has one: the callback that it goes to.
	Callbacks []Callback

	Lease    string // token of the running attempt
	Settled  string // lease and verb of the attempt that ended last
	Reported uint64 // number of the newest report of the running attempt that is stored
	Output   int64  // bytes of output of the newest start

	WakeAt time.Time // when the engine has to check this job next; see dueChange

	Version uint64 // number of its state changes
	Seq     uint64 // its newest event
}

// Via is what the attempts of a job must know of how it was submitted. Only the hub sets it,
// never a caller.
type Via struct {
	// Upstreams are origins, like http://127.0.0.1:9000, that the operator wrote into the
	// route by which the job was submitted. The job's calls may reach them even if their
	// addresses are not public.
	Upstreams []string `json:"upstreams,omitzero"`
	// Guarded says that the route was not written by the operator: its calls may reach what
	// those of every other job may.
	Guarded bool `json:"guarded,omitzero"`

	// Route is the path of that route.
	Route string `json:"route,omitzero"`
	// Headers are the names of the headers that the route sets: credentials of its own,
	// which no caller may send along with a request that it wrote itself.
	Headers []string `json:"headers,omitzero"`

	// Mask are further names that the operator wants hidden (see SplitCredentials).
	Mask []string `json:"mask,omitzero"`

	// Values are what the rules of the route about answers need to know of the request, as
	// JSON; nil if there are none.
	Values Value `json:"values,omitzero"`

	// Trace is the W3C trace context that the job belongs to: the value of traceparent, and
	// behind a space that of tracestate if there is one.
	Trace string `json:"trace,omitzero"`
}

// Empty reports whether nothing has to be stored.
func (v Via) Empty() bool {
	return len(v.Upstreams) == 0 && len(v.Headers) == 0 && len(v.Mask) == 0 && len(v.Values) == 0 && v.Trace == ""
}

// Progress is the newest report of how far a job is.
type Progress struct {
	Percent *float64 `json:"percent"`
	Message string   `json:"message"`
	Data    Value    `json:"data"`
}

// Field names members of a Job that a change writes. The same set decides which columns are
// stored and which members the event shows.
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
	FieldRetried // RetriedBy and RetryFingerprint
	FieldOutput
)

// Has reports whether all of want are in f.
func (f Field) Has(want Field) bool { return f&want == want }

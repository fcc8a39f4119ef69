package jobs

import "time"

// EventType is the public name of a fact about a job or a queue.
type EventType uint8

const (
	JobScheduled EventType = iota + 1
	JobQueued
	JobStarted
	JobProgress
	JobOutput
	JobRetrying
	JobWaiting
	JobCancelRequested
	JobSucceeded
	JobFailed
	JobCancelled
	QueuePaused
	QueueResumed
	JobChanged // the document has changed, the state has not
	JobDeleted
)

var eventNames = [...]string{"", "job.scheduled", "job.queued", "job.started", "job.progress", "job.output", "job.retrying",
	"job.waiting", "job.cancel_requested", "job.succeeded", "job.failed", "job.cancelled", "queue.paused", "queue.resumed", "job.changed", "job.deleted"}

func (t EventType) String() string {
	if int(t) < len(eventNames) {
		return eventNames[t]
	}
	return "unknown"
}

// Valid reports whether t is one of the types above.
func (t EventType) Valid() bool { return t >= JobScheduled && t <= JobDeleted }

// Lasting reports whether events of this type change the version of a job. Only others may be
// merged or replaced on the way to a subscriber.
func (t EventType) Lasting() bool { return t != JobProgress && t != JobOutput }

// eventOf names the event that a job's arrival in a state causes.
var EventOf = map[State]EventType{
	Scheduled: JobScheduled, Queued: JobQueued, Running: JobStarted, Retrying: JobRetrying,
	Waiting: JobWaiting, Succeeded: JobSucceeded, Failed: JobFailed, Cancelled: JobCancelled,
}

// Position is a place in the log: after the event Seq of the log called Epoch.
// Positions of different epochs can't be compared.
type Position struct {
	Epoch string
	Seq   uint64
}

// Event is one immutable fact. It is shared by all readers: never write to it.
type Event struct {
	Type      EventType
	Truncated bool   // Data was larger than MaxEventData and was left out
	Seq       uint64 // from 1, without gaps
	Prev      uint64 // the seq of the same job's previous event, 0 for its first
	Job       ID
	Tenant    string
	Queue     string
	Kind      string
	Tags      []string
	Version   uint64
	At        time.Time
	Data      Value // what changed, as JSON; nil when truncated
}

// MaxEventData is the largest Data of an event in bytes; more is not kept.
const MaxEventData = 64 << 10

// truncate drops the data if it is larger than MaxEventData.
func (e *Event) Truncate() {
	if len(e.Data) > MaxEventData {
		e.Data, e.Truncated = nil, true
	}
}

// Size is about how many bytes of memory the event takes.
func (e *Event) Size() int {
	n := 160 + len(e.Data) + len(e.Queue) + len(e.Kind)
	for _, t := range e.Tags {
		n += 16 + len(t)
	}
	return n
}

package hub

import (
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Event is an event with its JSON, which is encoded at most once for all readers.
type Event struct {
	*jobs.Event
	epoch  string
	readAt time.Time // when the hub read it, just after it became durable
	json   atomic.Pointer[[]byte]
}

// JSON is the event as it goes to subscribers, without a newline. Do not write to it.
func (e *Event) JSON() []byte {
	if b := e.json.Load(); b != nil {
		return *b
	}
	b := e.Event.AppendJSON(make([]byte, 0, 256+len(e.Data)), e.epoch)
	e.json.Store(&b)
	return b
}

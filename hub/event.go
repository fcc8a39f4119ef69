package hub

import (
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Event is an event together with its JSON, which is made at most once for all readers.
type Event struct {
	*jobs.Event
	epoch  string
	readAt time.Time // when the hub read it: it is durable since just before
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

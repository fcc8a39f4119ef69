package client

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Position is a place in a hub's log: after the event Seq of the log with that Epoch.
type Position struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

func (p Position) String() string { return p.Epoch + ":" + strconv.FormatUint(p.Seq, 10) }

// ParsePosition reads what [Position.String] writes.
func ParsePosition(text string) (Position, error) {
	epoch, digits, _ := strings.Cut(text, ":")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if epoch == "" || err != nil {
		return Position{}, fmt.Errorf("%q is not a position: want EPOCH:SEQ, like k3f:1842", text)
	}
	return Position{epoch, seq}, nil
}

// The messages that are not events.
const (
	Subscribed = "subscribed" // the subscription is active; once per connection
	State      = "state"      // a whole job: part of a snapshot
	Live       = "live"       // end of a snapshot or of a replay
	Gap        = "gap"        // events From to To are no longer kept; a snapshot follows
)

// Message is one message of a watched hub. Which members are set depends on its Type.
type Message struct {
	Type string `json:"type"` // one of the above, or the type of an event: job.started, queue.paused, …

	Epoch     string         `json:"epoch"`
	Seq       uint64         `json:"seq"`
	Job       string         `json:"job"` // its id; empty in events of queues
	Queue     string         `json:"queue"`
	Kind      string         `json:"kind"`
	Tags      []string       `json:"tags"`
	Version   uint64         `json:"version"`
	At        time.Time      `json:"at"`
	Data      jsontext.Value `json:"data"`      // for an event what changed, for a state the job
	Truncated bool           `json:"truncated"` // an event's Data was too large, or a snapshot is not complete

	Recovered *bool  `json:"recovered"` // of subscribed, if it resumes: whether nothing is missing
	Reason    string `json:"reason"`    // of gap, and of subscribed when not recovered
	From      uint64 `json:"from"`
	To        uint64 `json:"to"`

	// Resume is the position from which another Watch continues after this message without
	// missing or repeating any. In the middle of a snapshot it is the position before it.
	Resume Position `json:"-"`
}

// Event reports whether m is an event of the log.
func (m *Message) Event() bool {
	return strings.HasPrefix(m.Type, "job.") || strings.HasPrefix(m.Type, "queue.")
}

// Lasting reports whether m is an event that changed a job's state and version.
func (m *Message) Lasting() bool {
	return strings.HasPrefix(m.Type, "job.") && m.Type != "job.progress" && m.Type != "job.output"
}

// Missed reports whether m says that events were missed. The current state follows, as State
// messages up to a Live message.
func (m *Message) Missed() bool {
	return m.Type == Gap || m.Type == Subscribed && m.Recovered != nil && !*m.Recovered
}

// Final reports whether m says that a job has ended.
func (m *Message) Final() bool {
	if m.Type == State {
		j, err := m.Document()
		return err == nil && j.Final()
	}
	return finalState(strings.TrimPrefix(m.Type, "job."))
}

// Document decodes the job in a State message.
func (m *Message) Document() (Job, error) {
	var j Job
	err := json.Unmarshal(m.Data, &j)
	return j, err
}

package view

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// CallbacksModel is the callbacks of a tenant and their deliveries.
type CallbacksModel struct {
	At     time.Time
	Origin string

	States     []jobs.State // that are shown; all if there are none
	Cursor     string       // of this page; empty for the newest
	Next       string       // of the page behind this one; empty if there is none
	Counts     Counts       // of all deliveries
	Deliveries []jobs.Job   // newest first

	Callbacks []Callback // of queues, and those of unfinished jobs that are disabled
	Hosts     Hosts
}

// Callback is a receiver of events. It holds no secret: only host and path of the URL.
type Callback struct {
	ID       string // unique in its queue
	Target   string
	Queue    string  // whose it is; empty if it is a job's
	Job      jobs.ID // whose it is, if not a queue's
	Events   []string
	Signed   bool // with a secret of its own
	Disabled bool
	Since    time.Time // zero if not known
}

// Hosts are figures of the newest deliveries by the host that they go to.
type Hosts struct {
	List   []Host
	More   int  // hosts that are left out
	Looked int  // how many deliveries were looked at
	Cut    bool // there are older ones of the last hour
}

// Host is one of them.
type Host struct {
	Name         string
	Recent, Hour Ended // in the last five minutes, and in the last hour
	Pending      int   // deliveries before the end of their first attempt
	Retrying     int   // deliveries whose last attempt failed
}

// Total is the number of deliveries of the host in the last hour.
func (h Host) Total() int { return h.Pending + h.Retrying + h.Hour.Done + h.Hour.Failed }

// Ended counts deliveries.
type Ended struct{ Done, Failed int }

// unfolded is how many callbacks are shown. If there are more, the active ones are folded
// away.
const unfolded = 6

func (m CallbacksModel) foldedCallbacks() (shown, folded []Callback) {
	if len(m.Callbacks) <= unfolded {
		return m.Callbacks, nil
	}
	for _, c := range m.Callbacks {
		if c.Disabled {
			shown = append(shown, c)
		} else {
			folded = append(folded, c)
		}
	}
	return shown, folded
}

// HostPath cuts a URL to what may be shown: a query, a user or a fragment may hold a secret.
func HostPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "a URL that can't be read"
	}
	text := u.Host
	if path := u.EscapedPath(); path != "/" {
		text += path
	}
	return cutAt(text, maxText)
}

// deliveryViews are the choices of deliveries.
var deliveryViews = []struct {
	Name   string
	States []jobs.State
}{
	{"All", nil},
	{"In progress", []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Running, jobs.Waiting}},
	{"Retrying", []jobs.State{jobs.Retrying}},
	{"Delivered", []jobs.State{jobs.Succeeded}},
	{"Failed", []jobs.State{jobs.Failed}},
	{"Cancelled", []jobs.State{jobs.Cancelled}},
}

func (m CallbacksModel) shows(states []jobs.State) bool {
	return Query{States: m.States}.states() == Query{States: states}.states()
}

func (m CallbacksModel) number(states []jobs.State) (n int64) {
	if len(states) == 0 {
		states = jobs.States
	}
	for _, s := range states {
		n += m.Counts[s]
	}
	return n
}

// deliveriesPath is the page that shows these states, from a cursor on.
func deliveriesPath(states []jobs.State, cursor string) string {
	return pathWith("/callbacks", Query{States: states, Cursor: cursor}.String())
}

func (m CallbacksModel) view() string {
	query := Query{States: m.States, Cursor: m.Cursor}.String()
	if query == "" {
		return "callbacks"
	}
	return "callbacks:" + query
}

// CallbacksFragments lists the live parts of the page of callbacks.
func CallbacksFragments(m CallbacksModel) []Fragment {
	return []Fragment{
		{"callbacks-list", callbacksList(m)},
		{"callbacks-hosts", callbacksHosts(m)},
		{"callbacks-views", callbacksViews(m)},
		{"callbacks-rows", callbacksRows(m)},
	}
}

// delivery is a job of kind webhook as the page shows it.
type delivery struct {
	jobs.Job
	Event  string // that it sends
	Target string
	Status string        // that the receiver answered; empty if none is known
	Took   time.Duration // the receiver; 0 if not known
	Body   jobs.Value    // as it was sent; nil where it is not at hand
	ID     string        // webhook-id
}

// deliveryOf reads a delivery; ok is false if the job is none.
func deliveryOf(j jobs.Job) (d delivery, ok bool) {
	if j.Kind != jobs.KindWebhook {
		return d, false
	}
	d = delivery{Job: j}
	if len(j.Callbacks) > 0 {
		d.Target = HostPath(j.Callbacks[0].URL)
	}
	if len(j.Tags) > 0 {
		d.Event = j.Tags[0]
	}
	var in struct {
		ID   string     `json:"id"`
		Body jobs.Value `json:"body"`
	}
	if json.Unmarshal(j.Input, &in) == nil {
		d.ID, d.Body = in.ID, in.Body
	}
	var out struct {
		Status int   `json:"status"`
		MS     int64 `json:"ms"`
	}
	if json.Unmarshal(j.Result, &out) == nil && out.Status > 0 {
		d.Status, d.Took = strconv.Itoa(out.Status), max(time.Microsecond, time.Duration(out.MS)*time.Millisecond)
	} else {
		d.Took = ranFor(j)
	}
	return d, true
}

// outcome is the result of the newest attempt, in one line.
func (d delivery) outcome() string {
	switch {
	case d.Error != nil && d.State != jobs.Succeeded:
		return problemLine(d.Error)
	case d.State == jobs.Succeeded && d.Status != "":
		return "answered " + d.Status
	case d.State == jobs.Cancelled:
		return reasonText(d.Reason)
	}
	return ""
}

// events are the events of a callback; the text for the default if it names none.
func (c Callback) events() string {
	if len(c.Events) == 0 {
		return "all final states"
	}
	return strings.Join(c.Events, ", ")
}

var callbacksKeys = []key{{"j", "next delivery"}, {"k", "previous delivery"}, {"Enter", "open it"}, {"r", "redeliver it"}, {"c", "cancel it"}}

func callbackCommand(origin string) string {
	return "curl -i " + origin + "/v1/jobs \\\n  -H 'Content-Type: application/json' \\\n" +
		"  -d '{\"kind\":\"http\",\"input\":{\"method\":\"GET\",\"url\":\"https://example.com/\"},\n       \"callbacks\":[{\"url\":\"https://example.com/hook\",\"events\":[\"job.succeeded\",\"job.failed\"]}]}'"
}

// withoutAddresses is the JSON of a job, or the body of a delivery, with the URLs of callbacks
// cut to host and path.
func withoutAddresses(n node) node {
	for _, member := range n.Kids {
		switch member.Key {
		case "data":
			withoutAddresses(member)
		case "callbacks":
			for _, callback := range member.Kids {
				for i := range callback.Kids {
					if k := &callback.Kids[i]; k.Key == "url" {
						k.Text = HostPath(k.Text)
					}
				}
			}
		}
	}
	return n
}

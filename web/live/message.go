package live

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// This file holds the messages of jobhub.v1.

// message is a message from a client. One Go type serves all message types; each type uses
// some of the members.
type message struct {
	Type     string         `json:"type"`
	ID       string         `json:"id"`
	Job      jobs.Value     `json:"job"` // an id, or a submission
	Queue    *string        `json:"queue"`
	Tag      *string        `json:"tag"`
	Kind     *string        `json:"kind"`
	All      bool           `json:"all"`
	View     *string        `json:"view"`
	Since    *since         `json:"since"`
	Snapshot bool           `json:"snapshot"`
	Progress string         `json:"progress"`
	Key      string         `json:"key"`
	Watch    bool           `json:"watch"`
	Token    string         `json:"token"`
	T        jsontext.Value `json:"t"`
}

// since is a position; both members are required.
type since struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *since) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var m struct {
		Epoch *string `json:"epoch"`
		Seq   *uint64 `json:"seq"`
	}
	if err := json.UnmarshalDecode(d, &m, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if m.Epoch == nil || m.Seq == nil {
		return errors.New("since needs both epoch and seq")
	}
	s.Epoch, s.Seq = *m.Epoch, *m.Seq
	return nil
}

// members are the types of messages, and what each takes besides type and id.
var members = map[string][]string{
	"hello":       {"token"},
	"subscribe":   {"job", "queue", "tag", "kind", "all", "view", "since", "snapshot", "progress"},
	"unsubscribe": {},
	"submit":      {"job", "key", "watch"},
	"cancel":      {"job"},
	"get":         {"job"},
	"refresh":     {"token"},
	"ping":        {"t"},
}

// decodeMessage reads one message. On an error the message holds what could be read,
// so that the answer can name its id. Of a type that is not known only type and id are read.
func decodeMessage(line []byte) (message, error) {
	var m message
	if err := jobs.CheckDepth(line); err != nil {
		return m, err
	}
	var all struct {
		Type   string                    `json:"type"`
		ID     string                    `json:"id"`
		Others map[string]jsontext.Value `json:",embed"`
	}
	err := json.Unmarshal(line, &all)
	if m.Type, m.ID = all.Type, all.ID; len(m.ID) > 128 {
		m.ID = ""
		return m, jobs.NewProblem(jobs.BadMessage, "Malformed message", "id takes up to 128 bytes.")
	}
	if err != nil {
		return m, jobs.DecodeProblem(err)
	}
	taken, known := members[m.Type]
	if !known {
		return m, nil
	}
	for _, name := range slices.Sorted(maps.Keys(all.Others)) {
		if !slices.Contains(taken, name) {
			return m, jobs.Invalid(string(jsontext.Pointer("").AppendToken(name)), "a message of type %s takes no such member; it takes %s", m.Type, strings.Join(slices.Concat([]string{"type", "id"}, taken), ", "))
		}
	}
	return m, jobs.DecodeAnyDepth(line, &m)
}

// subscription is what a subscribe message asks for.
func (m *message) subscription(tenant string) (hub.Subscription, error) {
	bad := func(detail string) (hub.Subscription, error) {
		return hub.Subscription{}, jobs.NewProblem(jobs.BadMessage, "Malformed subscribe", "%s", detail)
	}
	s := hub.Subscription{Filter: hub.Filter{Tenant: tenant, All: m.All}, Progress: hub.ProgressLatest}
	filters := 0
	if m.All {
		filters++
	}
	for _, named := range []struct {
		text       *string
		to         *string
		wellFormed func(string) bool
		otherwise  string
	}{
		{m.Queue, &s.Queue, jobs.WellFormedName, "queue takes 1 to 64 of the characters a-z, 0-9 and . _ -, and not . or .."},
		{m.Kind, &s.Kind, jobs.WellFormedName, "kind takes 1 to 64 of the characters a-z, 0-9 and . _ -, and not . or .."},
		{m.Tag, &s.Tag, jobs.WellFormedTag, "tag takes 1 to 128 bytes of text without control characters."},
	} {
		if named.text != nil {
			if !named.wellFormed(*named.text) {
				return bad(named.otherwise)
			}
			*named.to = *named.text
			filters++
		}
	}
	if m.Job != nil {
		id, err := m.jobID()
		if err != nil {
			return s, err
		}
		s.Job = id
		filters++
	}
	if filters != 1 {
		return bad("give exactly one of job, queue, tag, kind and all.")
	}
	switch m.Progress {
	case "", "latest":
	case "all":
		s.Progress = hub.ProgressAll
	case "none":
		s.Progress = hub.ProgressNone
	default:
		return bad("progress takes latest, all or none.")
	}
	return s, nil
}

func (m *message) jobID() (jobs.ID, error) {
	var text string
	if err := json.Unmarshal(m.Job, &text); err != nil {
		return jobs.ID{}, jobs.NewProblem(jobs.BadMessage, "Malformed message", "job takes the id of a job, as a string.")
	}
	return rest.ParseID(text)
}

// The messages from the server. Each function appends one JSON object.

func appendWelcome(b []byte, conn string, pos jobs.Position) []byte {
	b = append(b, `{"type":"welcome","v":1,"conn":"`+conn+`"`...)
	b = appendPosition(b, pos)
	return append(b, `,"ping":`+strconv.Itoa(int(pingEvery.Seconds()))+`}`...)
}

func appendPosition(b []byte, pos jobs.Position) []byte {
	b = append(b, `,"epoch":"`+pos.Epoch+`","seq":`...)
	return strconv.AppendUint(b, pos.Seq, 10)
}

func appendTyped(b []byte, kind, id string) []byte {
	return rest.AppendText(append(b, `{"type":"`+kind+`","id":`...), id)
}

// appendNumber appends a message with one number.
func appendNumber(b []byte, kind, member string, n int64) []byte {
	b = append(b, `{"type":"`+kind+`","`+member+`":`...)
	return append(strconv.AppendInt(b, n, 10), '}')
}

// appendSubscribed writes reason and recovered only if the client sent since.
func appendSubscribed(b []byte, id string, pos jobs.Position, resumed, recovered bool, reason string) []byte {
	b = appendPosition(appendTyped(b, "subscribed", id), pos)
	if resumed {
		b = strconv.AppendBool(append(b, `,"recovered":`...), recovered)
	}
	if reason != "" {
		b = append(b, `,"reason":"`+reason+`"`...)
	}
	return append(b, '}')
}

func appendState(b []byte, id string, job *jobs.Job, pos jobs.Position) []byte {
	b = append(appendTyped(b, "state", id), `,"job":"`+job.ID.String()+`","seq":`...)
	b = strconv.AppendUint(b, pos.Seq, 10)
	b = strconv.AppendUint(append(b, `,"version":`...), job.Version, 10)
	b = rest.AppendJob(append(b, `,"data":`...), job, pos)
	return append(b, '}')
}

func appendLive(b []byte, id string, seq uint64, truncated bool) []byte {
	b = strconv.AppendUint(append(appendTyped(b, "live", id), `,"seq":`...), seq, 10)
	if truncated {
		b = append(b, `,"truncated":true`...)
	}
	return append(b, '}')
}

func appendGap(b []byte, id string, from, to uint64, reason string) []byte {
	b = strconv.AppendUint(append(appendTyped(b, "gap", id), `,"from":`...), from, 10)
	b = strconv.AppendUint(append(b, `,"to":`...), to, 10)
	return append(b, `,"reason":"`+reason+`"}`...)
}

func appendReply(b []byte, id string, data []byte) []byte {
	b = append(appendTyped(b, "reply", id), `,"data":`...)
	return append(append(b, data...), '}')
}

// appendError answers a message that could not be served. retry says whether sending
// it again later makes sense.
func appendError(b []byte, id string, err error) []byte {
	p := rest.ProblemOf(err)
	b = append(b, `{"type":"error"`...)
	if id != "" {
		b = rest.AppendText(append(b, `,"id":`...), id)
	}
	b = rest.AppendText(append(b, `,"code":`...), string(p.Code))
	b = rest.AppendText(append(b, `,"message":`...), p.Error())
	if retry := p.Status >= 500; retry {
		return append(b, `,"retry":true,"after_ms":1000}`...)
	}
	return append(b, `,"retry":false}`...)
}

// appendPatch appends the parts of a view that changed. HTML parsers drop a row outside a
// table, so each row is wrapped in one, which the page removes.
func appendPatch(b []byte, id string, p *hub.Patch) []byte {
	b = strconv.AppendUint(append(appendTyped(b, "patch", id), `,"seq":`...), p.Seq, 10)
	b = strconv.AppendInt(append(b, `,"at_ms":`...), p.At.UnixMilli(), 10)
	var html []byte
	for _, f := range p.Fragments {
		if bytes.HasPrefix(f.HTML, []byte("<tr ")) {
			html = append(append(append(html, "<table>"...), f.HTML...), "</table>"...)
		} else {
			html = append(html, f.HTML...)
		}
	}
	b = append(b, `,"html":`...)
	b, _ = jsontext.AppendQuote(b, html)
	return append(b, '}')
}

// queryMessage returns the subscription in the query string, or nil.
func queryMessage(r *http.Request) (*message, error) {
	bad := func(format string, args ...any) (*message, error) {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", format, args...)
	}
	query, err := rest.ReadQuery(r)
	if err != nil {
		return nil, err
	}
	if len(query) == 0 {
		return nil, nil
	}
	m := &message{Type: "subscribe", ID: "q"}
	var position since
	for name, values := range query {
		value := values[0]
		if len(values) > 1 {
			return bad("The parameter %s is given more than once.", name)
		}
		switch name {
		case "job":
			m.Job = rest.AppendText(nil, value)
		case "queue":
			m.Queue = &value
		case "tag":
			m.Tag = &value
		case "kind":
			m.Kind = &value
		case "all", "snapshot":
			if value != "0" && value != "1" {
				return bad("%s takes 1 or 0.", name)
			}
			if name == "all" {
				m.All = value == "1"
			} else {
				m.Snapshot = value == "1"
			}
		case "progress":
			m.Progress = value
		case "epoch":
			position.Epoch = value
			m.Since = &position
		case "seq":
			seq, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return bad("seq takes a whole number.")
			}
			position.Seq = seq
			m.Since = &position
		default:
			return bad("There is no parameter %s; there are job, queue, tag, kind, all, snapshot, progress, epoch and seq.", name)
		}
	}
	_, err = m.subscription("")
	if errors.Is(err, jobs.ErrNotFound) {
		err = nil // answered over the connection, as for an unknown id
	}
	return m, err
}

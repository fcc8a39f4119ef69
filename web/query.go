package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// readQuery reads the query of a request; it may hold only these parameters, if there are
// any.
func readQuery(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", "The query can't be read: %v.", err)
	}
	return values, only(values, allowed...)
}

// only refuses a parameter that is not among these, if there are any.
func only(values url.Values, allowed ...string) error {
	for name := range values {
		if len(allowed) > 0 && !slices.Contains(allowed, name) {
			return badParameter(name, "is not known here; there are "+strings.Join(allowed, ", "))
		}
	}
	return nil
}

// badParameter refuses a parameter of a query.
func badParameter(name, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Malformed query", "The parameter %s %s.", name, detail)
	p.Errors = []jobs.MemberError{{Pointer: "/" + name, Detail: detail}}
	return p
}

// queryMessage is the subscription in the query string, if there is one.
func queryMessage(r *http.Request) (*message, error) {
	bad := func(format string, args ...any) (*message, error) {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", format, args...)
	}
	query, err := readQuery(r)
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
			return bad("The parameter %s stands there more than once.", name)
		}
		switch name {
		case "job":
			m.Job = appendText(nil, value)
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
		err = nil // said over the connection, as for an unknown id
	}
	return m, err
}

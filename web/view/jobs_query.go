package view

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// DefaultLimit is the default number of rows of a page: as many as a screen shows, so that the
// page is small.
const DefaultLimit = 20

// MaxSuggested is how many queues, and how many kinds, the page offers to choose from.
const MaxSuggested = 10

// Query is what the page of jobs shows: the parameters of its URL. The zero value is the
// newest of all jobs.
type Query struct {
	States []jobs.State
	Queue  string
	Kind   string
	Tag    string
	Parent string
	Text   string
	Since  string // largest time since a job was accepted, as Go writes durations
	Limit  int    // rows of a page; 0 for the default
	Cursor string // where the page begins; empty for the newest
	IDs    string // only these jobs, with commas between them
	Bulk   string // id of a bulk job whose progress is shown

	Columns string // names with commas between them, as ParseColumns writes them
}

// Values is the query as parameters of a URL, without those that are not set.
func (q Query) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"state": q.states(), "queue": q.Queue, "kind": q.Kind, "tag": q.Tag, "parent": q.Parent,
		"q": q.Text, "since": q.Since, "cursor": q.Cursor, "id": q.IDs, "bulk": q.Bulk, "columns": q.Columns} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// String writes the query; equal queries give equal texts.
func (q Query) String() string { return q.Values().Encode() }

func (q Query) states() string {
	names := make([]string, len(q.States))
	for i, s := range slices.Sorted(slices.Values(q.States)) {
		names[i] = s.String()
	}
	return strings.Join(names, ",")
}

// Filters reports whether the query leaves out any jobs.
func (q Query) Filters() bool {
	return len(q.States) > 0 || q.Queue+q.Kind+q.Tag+q.Parent+q.Text+q.Since+q.IDs != ""
}

// Counted reports whether the hub keeps the number of jobs that the query selects.
func (q Query) Counted() bool { return q.Kind+q.Tag+q.Parent+q.Text+q.Since+q.IDs == "" }

// selects is the query without the members that do not select jobs.
func (q Query) selects() Query { q.Cursor, q.Bulk, q.Columns, q.Limit = "", "", "", 0; return q }

func (q Query) from(cursor string) Query { q.Cursor = cursor; return q }

// rows is the query with another number of rows.
func (q Query) rows(n int) Query {
	if q.Limit = n; n == DefaultLimit {
		q.Limit = 0
	}
	return q
}

func (q Query) has(s jobs.State) bool { return slices.Contains(q.States, s) }

// url is the page of the query.
func (q Query) url() string { return pathWith("/jobs", q.String()) }

// pathWith is a path with a query, if there is one.
func pathWith(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// savedView is a query with a name.
type savedView struct {
	Name string
	Query
}

var savedViews = []savedView{
	{"All", Query{}},
	{"Running", Query{States: []jobs.State{jobs.Running}}},
	{"Pending", Query{States: []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Retrying, jobs.Waiting}}},
	{"Failed in the last day", Query{States: []jobs.State{jobs.Failed}, Since: "24h"}},
}

// ages are the limits of age that the page offers.
var ages = []struct{ Value, Text string }{{"", "any time"}, {"1h", "the last hour"}, {"24h", "the last day"}, {"168h", "the last week"}}

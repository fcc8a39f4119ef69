package view

import (
	"slices"
	"strings"

	"jobhub/jobs"
)

// column is a column of the table of jobs that can be left out.
type column struct{ Name, Head, About string }

// columns are all there are, in their order on the page. Before them stand the box, the
// state and the job itself.
var columns = []column{
	{"queue", "queue", ""}, {"stands", "details", "Progress, error, why it waits, or input or result"}, {"tags", "tags", ""},
	{"worker", "worker", "The worker that runs it"}, {"tries", "attempts", "Attempts so far, and the most allowed"}, {"priority", "priority", "Higher first"}, {"fair_key", "fair key", "Fair key, or ordering key"},
	{"waited", "waited", "From acceptance, or from when it was due, to the start of the newest attempt"}, {"accepted", "accepted", ""}, {"time", "time", "Time until it is due, since it started, or how long it ran"},
}

var usualColumns = []string{"queue", "stands", "tags", "accepted", "time"}

// ParseColumns reads a choice of columns, names with commas between them, and returns it in
// normal form: empty for the default columns. It returns false if a name is unknown.
func ParseColumns(text string) (string, bool) {
	if text == "" {
		return "", true
	}
	names := strings.Split(text, ",")
	var chosen []string
	for _, c := range columns {
		if slices.Contains(names, c.Name) {
			chosen = append(chosen, c.Name)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.Name == name }) {
			return "", false
		}
	}
	if slices.Equal(chosen, usualColumns) {
		return "", true
	}
	return strings.Join(chosen, ","), true
}

// columns returns the columns that the query chooses.
func (q Query) columns() (all []column) {
	for _, c := range columns {
		if q.shows(c.Name) {
			all = append(all, c)
		}
	}
	return all
}

func (q Query) shows(name string) bool {
	chosen := usualColumns
	if q.Columns != "" {
		chosen = strings.Split(q.Columns, ",")
	}
	return slices.Contains(chosen, name)
}

// waited is the time from acceptance, or from when it was due, to the start of the newest attempt.
func waited(j jobs.Job) string {
	if j.StartedAt.IsZero() {
		return dash
	}
	from := j.CreatedAt
	if j.ScheduledAt.After(from) && !j.ScheduledAt.After(j.StartedAt) {
		from = j.ScheduledAt
	}
	return span(j.StartedAt.Sub(from))
}

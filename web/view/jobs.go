package view

import (
	"fmt"
	"strconv"

	"jobhub/jobs"
)

// Jobs is the page of jobs.
type Jobs struct {
	Query
	Origin string
	Jobs   []jobs.Job // newest first
	Next   string     // cursor of the next page; empty if there is none
	Counts *Counts    // nil where the hub keeps no such numbers
	Queues []string   // names to choose from
	Kinds  []string   // those that are known here
	Around
	Problem *jobs.Problem
	Bulk    *jobs.Job // that is under way
	Did     *Did      // what was done just now
}

// Counts are the jobs of a queue, or of all, by state.
type Counts [int(jobs.Cancelled) + 1]int64

// Did counts the jobs that were just cancelled or retried, and those that could not be.
type Did struct {
	Action        string // cancel or retry
	Done, Skipped int64
}

func (d Did) text() string {
	verb := map[string]string{"cancel": "cancelled, or stopping", "retry": "retried"}[d.Action]
	text := plural(d.Done, "job", "jobs") + " " + verb
	if d.Skipped > 0 {
		text += "; " + count(d.Skipped) + " skipped, because their state had changed"
	}
	return text + "."
}

// JobsFragments lists the live parts of the page of jobs: its numbers, the progress of a bulk
// job, and each row.
func JobsFragments(m Jobs) (all []Fragment) {
	for _, s := range jobs.States {
		all = append(all, Fragment{"jobs-count-" + s.String(), stateCount(s, m.Counts)})
	}
	all = append(all, Fragment{"jobs-matching", matchingCount(m)}, Fragment{"jobs-bulk", bulkStrip(m.Bulk)})
	for _, j := range m.Jobs {
		all = append(all, Fragment{"jobs-" + strconv.FormatUint(j.N, 10), jobRow(j, m.Around, m.Query)})
	}
	return all
}

func (m Jobs) view() string {
	if m.Problem != nil {
		return ""
	}
	return "jobs:" + m.Query.String()
}

// matching is the number of jobs that the query selects, where it is known.
func (m Jobs) matching() (n int64, known bool) {
	if m.Counts == nil {
		return 0, false
	}
	for _, s := range jobs.States {
		if len(m.States) == 0 || m.has(s) {
			n += m.Counts[s]
		}
	}
	return n, true
}

// showing says which part of the list the page shows.
func (m Jobs) showing() string {
	text := plural(int64(len(m.Jobs)), "job", "jobs")
	if n, known := m.matching(); known && n > int64(len(m.Jobs)) {
		text = fmt.Sprintf("%s of %s", count(int64(len(m.Jobs))), plural(n, "job", "jobs"))
	}
	if m.Cursor != "" {
		return text + ", older ones"
	}
	return text + ", newest first"
}

// attemptText is how many attempts there were, of how many; nothing before the first.
func attemptText(j jobs.Job) string {
	if j.Attempt == 0 {
		return dash
	}
	return strconv.Itoa(j.Attempt) + "/" + strconv.Itoa(j.MaxAttempts)
}

// shownTags are as many tags as a row has room for, and how many more there are.
func shownTags(tags []string) ([]string, int) {
	const most = 2
	if len(tags) <= most {
		return tags, 0
	}
	return tags[:most], len(tags) - most
}

// Confirm asks before the action of a form is done.
type Confirm struct {
	Title  string
	Text   string // what would happen
	Action string // path of the form
	Fields [][2]string
	Button string // empty if there is nothing to do
	Back   string
}

// Edit is the form that retries a job with another input.
type Edit struct {
	Job     jobs.Job
	Input   string
	Problem *jobs.Problem // why the last input was refused
}

var tableKeys = []key{
	{"j", "next job"}, {"k", "previous job"}, {"Enter", "open it"}, {"x", "select or deselect it"}, {"Shift X", "extend the selection to it"},
	{"c", "cancel the selected jobs"}, {"r", "retry the selected jobs"}, {".", "show new jobs"}, {"/", "search"}, {"1 … 8", "filter by a state"},
}

func offered(age string) bool {
	for _, a := range ages {
		if a.Value == age {
			return true
		}
	}
	return false
}

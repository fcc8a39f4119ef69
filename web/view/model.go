// Package view renders the dashboard.
//
// A page is a full document; its live parts are fragments, each one element with a
// stable id. The page and the live updates render the very same components, so that a
// patched page and a reloaded one are equal. Fragments are viewer-neutral: the same
// bytes go to everybody who looks, and what depends on the viewer (relative times, time
// zone, theme) is left to the browser. What is not known is a dash, never a zero.
package view

import (
	"context"
	"time"

	"jobhub/jobs"

	"github.com/a-h/templ"
)

// Shell is what surrounds every page.
type Shell struct {
	Epoch   string // the position at which the page's model was read
	Seq     uint64
	At      time.Time                // when it was read
	Version string                   // of the program; empty if unknown
	Store   string                   // what it keeps jobs in; empty if unknown
	User    string                   // who is logged in; empty where nobody has to
	Docs    bool                     // the page is of the documentation
	Asset   func(name string) string // the path of a file of package static; nil for /static/<name>

	ReadOnly bool // the user may not change anything
	Operator bool // the user may change queues and direct workers
	Admin    bool // the user may see the hub from inside
	Steady   bool // the page holds forms: without script it is not loaded anew

	keys  []key // of this page
	alone bool  // the page has no navigation: nobody is logged in
}

func (s Shell) withoutNavigation() Shell { s.alone = true; return s }

func (s Shell) steady() Shell { s.Steady = true; return s }

// key is what a key of the keyboard does.
type key struct{ Name, Does string }

func (s Shell) with(keys []key) Shell { s.keys = keys; return s }

func (s Shell) asset(ctx context.Context, name string) templ.SafeURL {
	if s.Asset == nil {
		return at(ctx, "/static/"+name)
	}
	return at(ctx, s.Asset(name))
}

// Fragment is a part of a page that is replaced as a whole when it changes.
type Fragment struct {
	ID        string
	Component templ.Component
}

// Overview is the whole hub in one look.
type Overview struct {
	Origin     string // "http://host:port" of this hub, for commands to copy
	Queues     []Queue
	Throughput Series      // of all queues, lately
	Now        []jobs.Job  // the newest jobs, newest first
	Slots      int         // attempts that the hub and its workers can run at a time; 0 if not known
	NextRetry  time.Time   // zero if none is due, or not known
	Range      Range       // of the charts
	History    Series      // what ended in that range
	Times      Times       // how long it took, likewise
	Attention  []Attention // most urgent first
}

// Queue is one line of the table of queues.
type Queue struct {
	jobs.QueueInfo
	Paused bool
	Rates  *Rates // nil while not known
	Series Series
}

// Rates are per second.
type Rates struct{ In, Out, Failed float64 }

// Series counts jobs that ended, oldest bucket first. It may be shorter than the time
// it is drawn over: what was before is not known and stays blank.
type Series struct {
	End     time.Time // end of the last bucket
	Step    time.Duration
	Buckets []Bucket
	Most    time.Duration // that a chart shows; 15 minutes if zero
}

// Bucket counts the jobs that were accepted and that ended within one step.
type Bucket struct{ In, Succeeded, Failed int }

// Attention is something that a person should look at.
type Attention struct {
	Level  Level
	Text   string
	Detail string
	Since  time.Time // zero where it does not matter or is not known
	Link   string    // a path of the hub; may be empty
	Do     Action    // what mends it, if anything here does
}

// Action is a link to what mends something, or a button that does.
type Action struct {
	Label, Path string
	Post        bool // a button, for operators
	Admin       bool // a link that leads others nowhere
}

// Level is how urgent an Attention is.
type Level uint8

const (
	Notice Level = iota
	Warning
	Failure
)

// JobModel is one job and all that is known of its way.
type JobModel struct {
	Job      jobs.Job
	Way      Way
	Watchers int    // subscribers and pages that follow it
	Held     string // what keeps it from starting; empty if nothing but its turn

	Upto   int    // number of the last line of output on the page; 0 for the end of it
	Worker string // the outside worker that runs it; empty if that is not known

	Children     []jobs.Job // whose parent it is, newest first: deliveries of its callbacks
	MoreChildren bool       // there are older ones

	At     time.Time
	Origin string
}

// OverviewFragments lists the live parts of the overview.
func OverviewFragments(o Overview) []Fragment {
	return []Fragment{
		{"overview-rail", overviewRail(o)},
		{"overview-queues", overviewQueues(o)},
		{"overview-chart", overviewChart(o)},
		{"overview-attention", overviewAttention(o)},
		{"overview-now", overviewNow(o)},
	}
}

// JobFragments lists the live parts of a job's page. Each line of output is one, so that
// a line is sent once.
func JobFragments(m JobModel) []Fragment {
	lines := m.recent()
	all := []Fragment{
		{"job-head", jobHead(m)},
		{"job-progress", jobProgress(m)},
		{"job-targets", jobTargets(m)},
		{"job-timeline", jobTimeline(m)},
		{"job-output", jobOutput(m, len(lines))},
		{"job-data", jobData(m)},
		{"job-children", jobChildren(m)},
	}
	for _, l := range lines {
		all = append(all, Fragment{"job-line-" + l.Key, jobLine(l)})
	}
	return all
}

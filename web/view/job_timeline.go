package view

import (
	"iter"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// step is one period of a job in one state.
type step struct {
	State   jobs.State
	From    time.Time
	To      time.Time // zero while it lasts
	Attempt int       // while running; 0 if not known
	Start   int       // likewise; above Attempt if earlier starts were not counted
	Error   *jobs.Problem
}

func (s step) took(at time.Time) time.Duration {
	if s.State.Final() {
		return 0
	}
	if s.To.IsZero() {
		return max(0, at.Sub(s.From))
	}
	return max(0, s.To.Sub(s.From))
}

var stateOf = map[jobs.EventType]jobs.State{
	jobs.JobScheduled: jobs.Scheduled, jobs.JobQueued: jobs.Queued, jobs.JobStarted: jobs.Running, jobs.JobRetrying: jobs.Retrying,
	jobs.JobWaiting: jobs.Waiting, jobs.JobSucceeded: jobs.Succeeded, jobs.JobFailed: jobs.Failed, jobs.JobCancelled: jobs.Cancelled,
}

// Way is the history of a job: its states, and the end of its output. Events are added as
// they come, and only what is shown of them is kept.
type Way struct {
	Cut  bool // earlier events are no longer kept
	Upto int  // number of the last line to keep, for a page of older output; 0 for the newest lines

	steps  []step
	lines  []line
	before int // lines that are no longer kept

	said time.Time // time of the last progress
}

// Add adds events, oldest first.
func (w *Way) Add(events iter.Seq[*jobs.Event]) {
	for e := range events {
		if e.Type == jobs.JobOutput {
			w.addOutput(e)
			continue
		}
		if e.Type == jobs.JobProgress {
			w.said = e.At
		}
		state, ok := stateOf[e.Type]
		if !ok {
			continue
		}
		if n := len(w.steps); n > 0 {
			w.steps[n-1].To = e.At
		}
		var data struct {
			Attempt int           `json:"attempt"`
			Start   int           `json:"start"`
			Error   *jobs.Problem `json:"error"`
		}
		_ = json.Unmarshal(e.Data, &data) // missing members stay unknown
		w.steps = append(w.steps, step{State: state, From: e.At, Attempt: data.Attempt, Start: data.Start, Error: data.Error})
	}
}

// addOutput keeps the newest lines, or those up to Upto.
func (w *Way) addOutput(e *jobs.Event) {
	keep := maxLines
	if w.Upto > 0 {
		if w.before+len(w.lines) > w.Upto { // the line after Upto exists, so Upto is complete
			return
		}
		keep = olderLines + 2 // also the line after Upto, and one before all others, which may be of another start
	}
	w.lines = appendOutput(w.lines, e)
	if w.Upto > 0 {
		w.lines = slices.Delete(w.lines, min(w.Upto+1-w.before, len(w.lines)), len(w.lines))
	}
	if n := len(w.lines) - keep; n > keep {
		w.lines, w.before = slices.Delete(w.lines, 0, n), w.before+n
	}
}

// steps returns the states of the job in order; if events are missing, those that follow from
// the job itself.
func (m JobModel) steps() []step {
	if len(m.Way.steps) > 0 {
		return m.Way.steps
	}
	var steps []step
	j := m.Job
	if !j.StartedAt.IsZero() {
		steps = append(steps, step{State: jobs.Running, From: j.StartedAt, To: j.FinishedAt, Attempt: j.Attempt, Start: j.Start})
	}
	if j.State != jobs.Running {
		from := j.FinishedAt
		if from.IsZero() {
			from = j.CreatedAt
		}
		steps = append(steps, step{State: j.State, From: from, Error: j.Error})
	}
	return steps
}

// ends is the estimated end of the job, if it reports progress.
func (m JobModel) ends() time.Time {
	p, ok := percent(m.Job.Progress)
	if !ok || m.Job.State != jobs.Running || m.Way.said.Before(m.Job.StartedAt) {
		return time.Time{}
	}
	return EndOf(m.Job.StartedAt, m.Way.said, p)
}

// attempt is one execution and how it ended.
type attempt struct {
	step
	Outcome string
	State   jobs.State // of the job after it; Running while it lasts
}

var outcomes = map[jobs.State]string{
	jobs.Queued: "released, not counted", jobs.Scheduled: "snoozed", jobs.Waiting: "waits for other jobs", jobs.Retrying: "failed, will be retried",
	jobs.Succeeded: "succeeded", jobs.Failed: "failed", jobs.Cancelled: "cancelled",
}

func attempts(steps []step) []attempt {
	var all []attempt
	for i, s := range steps {
		if s.State != jobs.Running {
			continue
		}
		a := attempt{step: s, State: jobs.Running, Outcome: "running"}
		if i+1 < len(steps) {
			next := steps[i+1]
			a.State, a.Outcome, a.Error = next.State, outcomes[next.State], next.Error
		}
		all = append(all, a)
	}
	return all
}

// segment is a step as it is drawn, in thousandths of the whole.
type segment struct {
	step
	X, Width float64
	Took     time.Duration
}

// sliver is the smallest width of a step, so that even the shortest is visible.
const sliver = 5

func segments(steps []step, at time.Time) []segment {
	var total time.Duration
	var drawn []segment
	for _, s := range steps {
		if s.State.Final() {
			continue
		}
		took := s.took(at)
		total += took
		drawn = append(drawn, segment{step: s, Took: took})
	}
	var sum float64
	for i := range drawn {
		drawn[i].Width = max(sliver, 1000*float64(drawn[i].Took)/float64(max(total, 1)))
		sum += drawn[i].Width
	}
	var x float64
	for i := range drawn {
		drawn[i].X, drawn[i].Width = x, drawn[i].Width*1000/sum
		x += drawn[i].Width
	}
	return drawn
}

// stay is the total time of a job in one state.
type stay struct {
	State jobs.State
	Took  time.Duration
	Since time.Time // start of the current step; zero if the job is in another state
}

func stays(steps []step) []stay {
	var all []stay
	for _, state := range jobs.States {
		sum, found := stay{State: state}, false
		for _, s := range steps {
			if s.State != state || state.Final() {
				continue
			}
			found = true
			if s.To.IsZero() {
				sum.Since = s.From
			} else {
				sum.Took += s.took(s.To)
			}
		}
		if found {
			all = append(all, sum)
		}
	}
	return all
}

// end is the last moment the timeline shows.
func end(steps []step, at time.Time) time.Time {
	if n := len(steps); n > 0 && steps[n-1].State.Final() {
		return steps[n-1].From
	}
	return at
}

func attemptName(a attempt) string {
	if a.Attempt == 0 {
		return dash
	}
	return startText(a.Attempt, a.Start)
}

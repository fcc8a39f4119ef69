package usage

import (
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

// Words are what calls can be told apart by. The status is the code, not its class; 0 for no
// answer.
var Words = []string{"consumer", "api", "version", "route", "status", "model"}

// Scope is what a caller may ask about.
type Scope struct {
	Tenant   string // one, always
	Own      bool   // only the calls of Consumer
	Consumer string
}

// Question is what to count. All times are seen in UTC.
type Question struct {
	Scope
	By   []string      // some of Words; calls are told apart by these
	From time.Time     // zero: 24 hours before To; with minutes, as long as minutes are kept
	To   time.Time     // not included; zero: now
	Step time.Duration // a minute, an hour or a day: a row for each; 0: one row for the whole time
}

// MaxRows is how many rows an answer can have.
const MaxRows = 10_000

const oneDay = 24 * time.Hour

// plan says how a question is answered.
type plan struct {
	Question
	level    *level
	from, to int64 // whole steps; without steps, whole spans
	step     int64 // 0 for none
}

// plan checks a question. Its error is a problem with status 422 that says what to ask instead.
func (u *Usage) plan(now time.Time, q Question) (p plan, err error) {
	for i, word := range q.By {
		if !slices.Contains(Words, word) || slices.Contains(q.By[:i], word) {
			return p, jobs.Invalid("/by", "must be some of %s, each once", strings.Join(Words, ", "))
		}
	}
	switch q.Step {
	case 0, time.Minute, time.Hour, oneDay:
	default:
		return p, jobs.Invalid("/step", "must be 1m, 1h or 1d; without it there is one row for the whole time")
	}
	if q.To.IsZero() {
		q.To = now
	}
	oldest := time.Unix(u.oldest(hours, now), 0)
	oldestMinute := time.Unix(u.oldest(minutes, now), 0)
	if q.From.IsZero() {
		q.From = q.To.Add(-oneDay)
		if q.Step == time.Minute {
			q.From = oldestMinute
		} else if q.From.Before(oldest) && q.To.After(oldest) {
			q.From = oldest
		}
	}
	switch {
	case !q.From.Before(q.To):
		return p, jobs.Invalid("/to", "must be after from, which is %s", textOf(q.From))
	case q.From.Before(oldest):
		return p, jobs.Invalid("/from", "must not be before %s: usage is kept for %s", textOf(oldest), durationText(u.Retention))
	case q.Step == time.Minute && q.From.Before(oldestMinute):
		return p, jobs.Invalid("/step", "of 1m reaches back to %s only: minutes are kept for %s; ask with step=1h, or from a later time", textOf(oldestMinute), durationText(u.Minutes))
	}

	p = plan{Question: q, level: hours, step: int64(q.Step / time.Second)}
	if q.Step == time.Minute || q.Step == 0 && !q.From.Before(oldestMinute) {
		p.level = minutes
	}
	unit := max(p.step, p.level.width)
	p.from, p.to = floor(q.From.Unix(), unit), floor(q.To.Unix(), unit)
	if q.To.After(time.Unix(p.to, 0)) {
		p.to += unit
	}
	return p, nil
}

// summary returns which block of summaries can answer the question.
func (p *plan) summary() int {
	consumer := p.Own || slices.Contains(p.By, "consumer")
	others := slices.ContainsFunc(p.By, func(word string) bool { return word != "consumer" })
	switch {
	case p.level != hours || consumer && others:
		return noSummary
	case consumer:
		return ofConsumers
	}
	return ofTargets
}

func textOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// durationText writes a duration in days or as Go does.
func durationText(d time.Duration) string {
	if n := d / oneDay; n > 1 && d%oneDay == 0 {
		return string(jobs.AppendInt(nil, int(n))) + " days"
	}
	return d.String()
}

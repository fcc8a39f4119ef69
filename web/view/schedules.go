package view

import (
	"math"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
)

// SchedulesModel is a page of the schedules of a tenant, by name.
type SchedulesModel struct {
	Origin string
	List   []Schedule
	After  string // the page begins after this name; empty for the first page
	Next   string // the next page begins after this name; empty if there is none
	All    int    // number of all schedules
}

// Schedule is a schedule with its newest runs.
type Schedule struct {
	schedule.Schedule
	Kind, Queue string // of its jobs
	OrderingKey string
	Runs        []jobs.Job // the newest MaxRuns with its tag, newest first
}

// ScheduleModel is the model of the page of one schedule.
type ScheduleModel struct {
	At    time.Time
	It    Schedule
	Ticks []time.Time // the next ones, in its time zone
}

// Form holds the fields of a form of a schedule or a job, as written.
type Form struct {
	Values map[string]string // by name of the field
	Errors map[string]string
	Wrong  string // an error that belongs to no field
}

func (f Form) refused() bool { return len(f.Errors) > 0 || f.Wrong != "" }

// overlapText says what happens at a tick while a run is unfinished.
func (it Schedule) overlapText() string {
	switch {
	case it.Overlap == "skip":
		return "skip the tick"
	case it.Overlap == "replace":
		return "replace: cancel the unfinished job"
	case it.Overlap == "queue":
		return "queue: the next job waits"
	case it.OrderingKey != "":
		return "allow, but in order by ordering key"
	}
	return "allow: jobs may run at the same time"
}

// MaxRuns is how many runs of a schedule are drawn.
const MaxRuns = 20

// recentRuns is how many runs are listed.
const recentRuns = 10

// SchedulesFragments lists the live parts of the page of schedules.
func SchedulesFragments(m SchedulesModel) []Fragment {
	return []Fragment{{"schedules-list", schedulesList(m)}}
}

// ScheduleFragments lists the live parts of a schedule's page.
func ScheduleFragments(m ScheduleModel) []Fragment {
	return []Fragment{
		{"schedule-head", scheduleHead(m)},
		{"schedule-runs", scheduleRuns(m)},
		{"schedule-template", scheduleTemplate(m)},
		{"schedule-ticks", scheduleTicks(m)},
		{"schedule-control", scheduleControl(m)},
	}
}

func (m SchedulesModel) view() string {
	if m.After == "" {
		return "schedules"
	}
	return "schedules:" + m.After
}

// formField describes one field of a form.
type formField struct {
	Name, Label, Hint, Example string
	List                       string // id of a list of suggestions
	Rows                       int    // lines of a text area; 0 for a field of one line
	Own                        bool   // in a schedule: the form for changes has it, too
	Key                        string // the keyboard shortcut that focuses it there
}

var scheduleFields = []formField{
	{Name: "name", Label: "Name", Hint: "1 to 64 of a-z 0-9 . _ -", Example: "nightly"},
	{Name: "cron", Label: "Cron expression", Hint: "minute hour day month weekday, or @hourly, @daily …", Example: "0 3 * * mon-fri", List: "cron-words", Own: true, Key: "e"},
	{Name: "time_zone", Label: "Time zone", Hint: "like Europe/Berlin; UTC if empty", Example: "UTC", List: "zones", Own: true},
	{Name: "overlap", Label: "Overlap", Hint: "if a job is unfinished at the next tick: allow, skip, queue or replace", Example: "allow", List: "overlaps", Own: true},
	{Name: "kind", Label: "Kind", Hint: "of the job", Example: "report.daily"},
	{Name: "queue", Label: "Queue", Hint: "default if empty", Example: "default"},
	{Name: "input", Label: "Input", Hint: "as JSON; none if empty", Rows: 4},
	{Name: "more", Label: "More options", Hint: "other members of the job as a JSON object, like {\"timeout\":\"1m\",\"tags\":[\"report\"]}", Rows: 2},
}

// proposals are suggestions for a field; other values are possible, too.
var proposals = []struct {
	ID     string
	Values []string
}{
	{"cron-words", []string{"* * * * *", "*/15 * * * *", "@hourly", "@daily", "@weekly", "@monthly", "0 9 * * mon-fri", "0 12 L * *"}},
	{"overlaps", schedule.Overlaps},
	{"zones", []string{"UTC", "Europe/London", "Europe/Berlin", "Europe/Kyiv", "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo",
		"Africa/Lagos", "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney"}},
}

var (
	schedulesKeys = []key{{"j", "next schedule"}, {"k", "previous schedule"}, {"Enter", "open it"}, {"n", "create one"}}
	scheduleKeys  = []key{{"r", "run it now"}, {"p", "pause or resume it"}, {"e", "edit its timing"}, {"j", "next job"}, {"k", "previous job"}, {"Enter", "open it"}}
)

// last is the newest run of the schedule, or a retry of a run; ok is false if none is kept.
func (s Schedule) last() (j jobs.Job, ok bool) {
	if len(s.Runs) == 0 {
		return j, false
	}
	return s.Runs[0], true
}

// overlap says what happens at a tick while the run before is unfinished.
func (s Schedule) overlap() string {
	switch {
	case s.Overlap != "" && s.Overlap != "allow":
		return s.Overlap
	case s.OrderingKey != "":
		return "by ordering key"
	}
	return "allow"
}

// zone is its time zone, if it is not UTC.
func (s Schedule) zone() string {
	if s.TimeZone == "" {
		return "UTC"
	}
	return s.TimeZone
}

// bar is a run as it is drawn: a successful run is a bar above the line, higher the longer it
// took; a failed run is a bar below it.
type bar struct {
	State       jobs.State
	X, Y, H     float64
	Description string
}

const (
	barWidth  = 5.0
	barEvery  = 7.0
	barsLine  = 20.0 // y of the line
	barsTall  = 28.0
	barLeast  = 4.0
	runsWidth = barEvery * MaxRuns
)

// bars are the runs, oldest first and the newest at the right end.
func (s Schedule) bars() (all []bar) {
	longest := time.Second
	for _, j := range s.Runs {
		longest = max(longest, ranFor(j))
	}
	for i := len(s.Runs) - 1; i >= 0; i-- {
		j := s.Runs[i]
		b := bar{State: j.State, X: runsWidth - barEvery*float64(i+1) + barEvery - barWidth, Description: j.State.String()}
		switch {
		case j.State == jobs.Failed:
			b.Y, b.H = barsLine+1, barsTall-barsLine-1
		case j.State == jobs.Cancelled:
			b.Y, b.H = barsLine-2, 2
		default:
			part := math.Log1p(1000*ranFor(j).Seconds()) / math.Log1p(1000*longest.Seconds())
			b.H = barLeast + part*(barsLine-barLeast)
			b.Y = barsLine - b.H
		}
		if d := ranFor(j); d > 0 {
			b.Description += ", " + span(d)
		}
		all = append(all, b)
	}
	return all
}

// barPath is all bars of one state as one path, which is short enough for a list.
type barPath struct {
	State jobs.State
	D     string
}

func (s Schedule) barPaths() (all []barPath) {
	var paths [int(jobs.Cancelled) + 1][]byte
	for _, b := range s.bars() {
		d := appendCoord(append(paths[b.State], 'M'), b.X)
		d = appendCoord(append(d, ' '), b.Y)
		d = appendCoord(append(appendCoord(append(d, 'h'), barWidth), 'v'), b.H)
		paths[b.State] = append(appendCoord(append(d, 'h'), -barWidth), 'z')
	}
	for _, state := range jobs.States {
		if len(paths[state]) > 0 {
			all = append(all, barPath{state, string(paths[state])})
		}
	}
	return all
}

// ranFor is how long the last attempt at a job took; 0 if there was none.
func ranFor(j jobs.Job) time.Duration {
	if j.StartedAt.IsZero() || j.FinishedAt.Before(j.StartedAt) {
		return 0
	}
	return j.FinishedAt.Sub(j.StartedAt)
}

// history describes the bars in words.
func (s Schedule) history() string {
	if len(s.Runs) == 0 {
		return "no run yet"
	}
	var n [int(jobs.Cancelled) + 1]int64
	for _, j := range s.Runs {
		n[j.State]++
	}
	var parts []string
	for _, state := range jobs.States {
		if n[state] > 0 {
			parts = append(parts, count(n[state])+" "+state.String())
		}
	}
	return "the last " + plural(int64(len(s.Runs)), "run", "runs") + ": " + strings.Join(parts, ", ") + "; the newest " + s.Runs[0].State.String()
}

func scheduleCommand(origin string) string {
	return "curl -X PUT " + origin + "/v1/schedules/nightly \\\n  -H 'Content-Type: application/json' \\\n" +
		"  -d '{\"cron\":\"0 3 * * *\",\"time_zone\":\"Europe/Berlin\",\n       \"job\":{\"kind\":\"http\",\"input\":{\"method\":\"GET\",\"url\":\"https://example.com/\"}}}'"
}

// inZone writes a tick in its time zone.
func inZone(t time.Time) string { return t.Format("Mon 2 Jan 2006, 15:04 MST") }

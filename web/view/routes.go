package view

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const errorsShown = 20 // lines of what is wrong with a configuration

// Routes is the page of routes.
type Routes struct {
	Origin string
	Config *Config // nil where the hub has no configuration file
	Routes []Route // by path
}

// Config is the state of the configuration file.
type Config struct {
	File     string
	LoadedAt time.Time
	Errors   []string // errors of a newer version of the file, which is not in use
	FailedAt time.Time
}

// Route is one path of the hub that leads to an upstream.
type Route struct {
	Path         string
	Upstreams    []Upstream
	Async        string
	Strip        string
	Policy       string // of several upstreams
	Queue        string
	QueueTimeout time.Duration
	Timeout      time.Duration
	MaxAttempts  int
	Traffic      Traffic
	Jobs         RouteJobs
}

// Upstream is an API that a route calls.
type Upstream struct {
	Name    string // of a target; empty for the only one
	URL     string
	Timeout time.Duration // of a target; 0 for that of the route

	Weight int       // its share of the requests, if there are several; 0 for none or if it is the only one
	Ill    bool      // it gets no requests, because a check or its answers failed
	Why    string    // why it is ill
	Since  time.Time // since when it is ill or well; zero if always
}

// Traffic counts the requests of a route, and measures those that were proxied.
type Traffic struct {
	Passed, Failed, Accepted, Refused int64            // since the start of the hub
	RefusedBy                         map[string]int64 // the same by the name of the stage

	WrongRequests, WrongAnswers int64 // not as the OpenAPI document says

	RecentPassed, RecentFailed int64         // of the last 15 minutes
	P50, P95                   time.Duration // until an answer began, in the last 15 minutes; negative if not known

	Status        int // of the last answer; 0 for none
	Last          time.Time
	Good, Failing time.Time
}

// RouteJobs summarizes the newest jobs that called an upstream.
type RouteJobs struct {
	Looked, Failed int
	P50, P95       time.Duration // of the last attempt; negative if not known
	Good           time.Time     // when a job last succeeded; zero if none did
	Failing        time.Time     // since when all failed; zero if the newest succeeded
	Why            string        // the newest failure
}

// Failing returns since when an upstream fails, for proxied requests and jobs; zero if it does
// not fail, or nothing is known. failed counts the recent failures.
func Failing(t Traffic, j RouteJobs) (since time.Time, failed int64) {
	good := t.Good
	if j.Good.After(good) {
		good = j.Good
	}
	for _, at := range []time.Time{t.Failing, j.Failing} {
		if at.After(good) && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	return since, t.RecentFailed + int64(j.Failed)
}

// RoutesFragments lists the live parts of the page of routes.
func RoutesFragments(m Routes) []Fragment {
	return []Fragment{{"routes-config", routesConfig(m)}, {"routes-list", routesList(m)}}
}

func (r Route) failing() time.Time { since, _ := Failing(r.Traffic, r.Jobs); return since }

// idle reports whether nothing is known of the upstream.
func (r Route) idle() bool { return r.Traffic.Last.IsZero() && r.Jobs.Looked == 0 }

// goodWord and badWord describe the last answer of the upstream, as far as it is known.
func (r Route) goodWord() string {
	if t := r.Traffic; !t.Last.IsZero() && t.Status > 0 && t.Failing.IsZero() {
		return "answers " + strconv.Itoa(t.Status)
	}
	return "answers"
}

func (r Route) badWord() string {
	t := r.Traffic
	switch {
	case t.Failing.IsZero():
		return "fails"
	case t.Status == 0:
		return "no answer"
	}
	return "answers " + strconv.Itoa(t.Status)
}

// errors is the share of recent requests that failed.
func (r Route) errors() string {
	return share(r.Traffic.RecentFailed+int64(r.Jobs.Failed), r.Traffic.RecentPassed+int64(r.Jobs.Looked))
}

func (r Route) wrong() bool { return r.Traffic.RecentFailed+int64(r.Jobs.Failed) > 0 }

// settings lists the settings that matter to callers, in words.
func (r Route) settings() string {
	var parts []string
	if r.Async != "never" {
		parts = append(parts, "queue timeout "+short(r.QueueTimeout))
	}
	parts = append(parts, "timeout "+short(r.Timeout))
	if r.MaxAttempts > 1 {
		parts = append(parts, strconv.Itoa(r.MaxAttempts)+" attempts")
	}
	if r.Strip != "" {
		parts = append(parts, "strips "+r.Strip)
	}
	return strings.Join(parts, " · ")
}

// short writes a duration of a configuration as it is written there: 30s, 5m, 1h30m.
func short(d time.Duration) string {
	text := d.String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	if text == "" || text[len(text)-1] >= '0' && text[len(text)-1] <= '9' {
		text = d.String()
	}
	return text
}

func (c Config) shownErrors() []string { return c.Errors[:min(len(c.Errors), errorsShown)] }

// modeText says when a request becomes a job.
func (r Route) modeText() string {
	switch r.Async {
	case "always":
		return "every request is a job"
	case "never":
		return "proxied only"
	}
	return "proxied, or a job on request"
}

const sampleRoutes = "routes: [{path: /api/, upstream: \"http://127.0.0.1:9000\"}]"

// refusedBy names the stages that have refused requests, the busiest first.
func (t Traffic) refusedBy() string {
	stages := slices.SortedFunc(maps.Keys(t.RefusedBy), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.RefusedBy[b], t.RefusedBy[a]), cmp.Compare(a, b))
	})
	for i, stage := range stages {
		stages[i] = stage + " " + count(t.RefusedBy[stage])
	}
	return strings.Join(stages, ", ")
}

package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

const (
	maxTargets = 100      // of a fan-out that are shown
	maxRaw     = 16 << 10 // bytes of a value shown as JSON
)

// fanTarget is one call of a fan-out.
type fanTarget struct {
	Name     string
	State    jobs.State
	Status   string
	Attempts string
	Took     time.Duration // negative if not known
}

// targets returns the calls of a fan-out, in declared order, from its result or its last
// progress, and the longest time of one.
func (m JobModel) targets() (all []fanTarget, longest time.Duration) {
	if m.Job.Response != nil {
		return nil, 0 // the result of an upstream
	}
	fan := kid(parseUpTo(m.Job.Result, 5000), "targets")
	if fan == nil && m.Job.Progress != nil {
		fan = kid(parseUpTo(m.Job.Progress.Data, 5000), "targets")
	}
	if fan == nil || fan.Type != object {
		return nil, 0
	}
	for _, k := range fan.Kids[:min(len(fan.Kids), maxTargets)] {
		t := fanTarget{Name: k.Key, Status: dash, Attempts: dash, Took: -1}
		if k.Type != object {
			return nil, 0
		}
		word := leafOf(k, "state")
		if status := leafOf(k, "status"); status != "" {
			t.Status = status
		}
		if attempts := leafOf(k, "attempts"); attempts != "" {
			t.Attempts = attempts
		}
		if ms, err := strconv.ParseFloat(leafOf(k, "ms"), 64); err == nil && ms >= 0 && ms < 1e12 {
			t.Took = time.Duration(ms * float64(time.Millisecond))
		}
		t.State = m.targetState(word, t.Status)
		if t.Took < 0 && t.State == jobs.Running && !m.Job.StartedAt.IsZero() {
			t.Took = max(0, m.At.Sub(m.Job.StartedAt))
		}
		longest = max(longest, t.Took)
		all = append(all, t)
	}
	return all, longest
}

// fans reports whether the progress of the job is drawn as targets.
func (m JobModel) fans() bool {
	all, _ := m.targets()
	return len(all) > 0
}

// targetState is the state as the fan-out names it, or as it follows from the status.
func (m JobModel) targetState(word, status string) jobs.State {
	if state, ok := jobs.ParseState(word); ok {
		return state
	}
	switch code, err := strconv.Atoi(status); {
	case err != nil && m.Job.State.Final():
		return jobs.Cancelled
	case err != nil:
		return jobs.Running
	case code >= 200 && code < 300:
		return jobs.Succeeded
	}
	return jobs.Failed
}

func (t fanTarget) width(longest time.Duration) float64 {
	if t.Took < 0 {
		return 0
	}
	return max(sliver, 1000*float64(t.Took)/float64(max(longest, 1)))
}

func (t fanTarget) took() string { return span(t.Took) }

// fanText counts the targets by state, in words.
func fanText(all []fanTarget) string {
	var parts []string
	for _, s := range jobs.States {
		n := 0
		for _, t := range all {
			if t.State == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

func kid(n node, name string) *node {
	i := slices.IndexFunc(n.Kids, func(k node) bool { return k.Key == name })
	if i < 0 {
		return nil
	}
	return &n.Kids[i]
}

// leafOf is the text of a member, or empty if it is null.
func leafOf(n node, name string) string {
	k := kid(n, name)
	if k == nil || k.Type == object || k.Type == array || k.Text == "null" {
		return ""
	}
	return k.Text
}

package view

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

// bulkText describes what a bulk job does, its progress and its result.
func bulkText(j jobs.Job) (what, how string) {
	var in struct {
		Action engine.Action `json:"action"`
		Filter struct {
			State  []string `json:"state"`
			Queue  string   `json:"queue"`
			Kind   string   `json:"kind"`
			Tag    string   `json:"tag"`
			Parent string   `json:"parent"`
			Q      string   `json:"q"`
		} `json:"filter"`
	}
	_ = json.Unmarshal(j.Input, &in) // missing members are left out
	var at struct {
		Count   int64 `json:"count"`
		Done    int64 `json:"done"`
		Skipped int64 `json:"skipped"`
	}
	if err := json.Unmarshal(j.Result, &at); err != nil {
		_ = json.Unmarshal(j.Checkpoint, &at)
	}
	total := at.Count
	if j.Progress != nil {
		var far struct {
			Done  *int64 `json:"done"`
			Total *int64 `json:"total"`
		}
		if json.Unmarshal(j.Progress.Data, &far) == nil && far.Done != nil && far.Total != nil {
			at.Count, total = *far.Done, *far.Total
		}
	}
	verbs := map[engine.Action][3]string{engine.CancelAll: {"Cancelling", "Cancelled", "cancelled"}, engine.RetryAll: {"Retrying", "Retried", "retried"},
		engine.DeleteAll: {"Deleting", "Deleted", "deleted"}, engine.RunAll: {"Starting", "Started", "started"}}[in.Action]
	if verbs[0] == "" {
		verbs = [3]string{"Processing", "Processed", "processed"}
	}
	var which []string
	if len(in.Filter.State) > 0 && len(in.Filter.State) < 4 {
		which = append(which, strings.Join(in.Filter.State, " or "))
	}
	for _, part := range [][2]string{{"in queue ", in.Filter.Queue}, {"of kind ", in.Filter.Kind}, {"tagged ", in.Filter.Tag}, {"part of ", in.Filter.Parent}} {
		if part[1] != "" {
			which = append(which, part[0]+part[1])
		}
	}
	if in.Filter.Q != "" {
		which = append(which, "with “"+in.Filter.Q+"”")
	}
	of := fmt.Sprintf("%s of %s", count(at.Count), plural(total, "job", "jobs"))
	switch {
	case j.State == jobs.Succeeded:
		what = fmt.Sprintf("%s %s of %s", verbs[1], count(at.Done), plural(total, "job", "jobs"))
	case j.State == jobs.Cancelled:
		what = "Stopped after " + of + ", of which " + count(at.Done) + " " + verbs[2]
	case j.State == jobs.Failed:
		what = "Failed after " + of + ", of which " + count(at.Done) + " " + verbs[2]
	case j.Progress == nil:
		what = verbs[0] + " all matching jobs"
	default:
		what = verbs[0] + " " + of
	}
	if len(which) > 0 {
		what += ", " + strings.Join(which, ", ")
	}
	switch {
	case j.Error != nil:
		how = problemLine(j.Error)
	case at.Skipped > 0:
		how = count(at.Skipped) + " skipped, because their state had changed"
		if in.Action == engine.RetryAll {
			how += " or they were retried before"
		}
	case j.State.Final():
	case j.CancelRequested:
		how = "stopping"
	case j.State == jobs.Running && j.Progress == nil:
		how = "counting them"
	case j.State != jobs.Running:
		how = "queued"
	}
	return what, how
}

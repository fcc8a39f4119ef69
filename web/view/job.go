package view

import (
	"math"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

// next names what a job that waits for a time waits for.
func (m JobModel) next() string {
	if m.Job.State == jobs.Retrying {
		return "next attempt"
	}
	return "due"
}

// why is the one remark beside the state.
func (m JobModel) why() string {
	if m.Job.State == jobs.Waiting {
		return "for other jobs"
	}
	return reasonText(m.Job.Reason)
}

// childText says what a job is there for that belongs to another.
func childText(j jobs.Job) string {
	if j.Kind == jobs.KindWebhook && len(j.Callbacks) > 0 {
		return "callback to " + HostPath(j.Callbacks[0].URL)
	}
	return j.Kind
}

func coord(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// timelineText says in words what the timeline draws.
func timelineText(steps []step, at time.Time) string {
	var parts []string
	for _, s := range segments(steps, at) {
		parts = append(parts, s.State.String()+" "+span(s.Took))
	}
	return strings.Join(parts, ", then ")
}

func shorten(s string) string {
	s, cut := clip(s, maxText)
	if cut {
		s += " … (cut)"
	}
	return s
}

// answerBody is the body as a JSON value. A large one that is not JSON is cut before
// it is looked at: nobody reads more here, and this runs at every change.
func answerBody(r *jobs.Response) jobs.Value {
	kind := r.Header.Get("Content-Type")
	if len(r.Body) > 64<<10 && !strings.Contains(kind, "json") {
		head := []byte(strings.ToValidUTF8(string(r.Body[:64<<10]), ""))
		return jobs.BodyValue(kind, head)
	}
	return jobs.BodyValue(kind, r.Body)
}

// resultTitle names what a job has come to.
func resultTitle(j jobs.Job) string {
	if j.Kind == jobs.KindWebhook {
		return "Came back"
	}
	return "Result"
}

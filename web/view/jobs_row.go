package view

import (
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// Around is what the rows of a table tell besides what their jobs do.
type Around struct {
	Paused  map[string]bool       // queues
	Workers map[jobs.ID]string    // who runs a job, where that is an external worker
	Ends    map[jobs.ID]time.Time // about when a running job ends, where it says how far it is
}

// mostPreview is about how many bytes of a value a row shows.
const mostPreview = 80

// gist is the line of a row: where the job stands. dim says that it is only what went in
// or came out.
func gist(j jobs.Job, a Around) (text string, dim bool) {
	if r := remark(j); r != "" {
		return clip.Shorten(r, 120), false
	}
	switch j.State {
	case jobs.Queued:
		if a.Paused[j.Queue] {
			return "its queue is paused", false
		}
	case jobs.Waiting:
		return "for other jobs", false
	case jobs.Succeeded:
		return outcomePreview(j), true
	case jobs.Running:
		if a.Workers[j.ID] != "" {
			return "", false
		}
	}
	return inputPreview(j), true
}

// inputPreview is the beginning of what a job works on: of a call its body, as a URL or a
// header may hold what is not for everybody's eyes.
func inputPreview(j jobs.Job) string {
	if _, call := targetOf(j); call || j.Kind == "fanout" {
		body := kid(parseUpTo(j.Input, 40), "body")
		if body == nil {
			return ""
		}
		return body.preview()
	}
	if len(j.Input) == 0 {
		return ""
	}
	n := parseUpTo(j.Input, 40)
	return n.preview()
}

func outcomePreview(j jobs.Job) string {
	if r := j.Response; r != nil {
		if len(r.Body) == 0 || len(r.Body) > jobs.SmallPayload {
			return strconv.Itoa(r.Status)
		}
		n := parseUpTo(answerBody(r), 40)
		if n.Type == text && (len(n.Text) > mostPreview || strings.ContainsAny(n.Text, "\n\r")) {
			return joined(strconv.Itoa(r.Status), size(len(r.Body)))
		}
		return joined(strconv.Itoa(r.Status), n.preview())
	}
	if len(j.Result) == 0 || string(j.Result) == "null" {
		return ""
	}
	n := parseUpTo(j.Result, 40)
	return n.preview()
}

// preview is a value in one line of words: its members without quotes, what is nested as
// how much it holds.
func (n node) preview() string {
	if n.Type != object && n.Type != array {
		return cutLine(n.Text)
	}
	var b strings.Builder
	for i, k := range n.Kids {
		if b.Len() > mostPreview {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if k.Named {
			b.WriteString(k.Key + ": ")
		}
		if len(k.Kids) > 0 {
			b.WriteString(k.summary())
		} else {
			b.WriteString(k.leaf())
		}
	}
	return cutLine(b.String())
}

func cutLine(s string) string {
	s, _ = clip.Text(s, 4*mostPreview)
	return clip.Shorten(strings.Join(strings.Fields(s), " "), mostPreview)
}

// lasted is the text of the column time where it is not a moment.
func lasted(j jobs.Job) string {
	if j.StartedAt.IsZero() || j.FinishedAt.IsZero() {
		return dash
	}
	return span(j.FinishedAt.Sub(j.StartedAt))
}

// EndOf is about when something ends that began and has come so far; zero where that is
// too early or too late to say.
func EndOf(began, said time.Time, percent float64) time.Time {
	took := said.Sub(began)
	if began.IsZero() || percent < 1 || percent >= 100 || took < 2*time.Second || took > 30*24*time.Hour {
		return time.Time{}
	}
	return said.Add(time.Duration(float64(took) * (100 - percent) / percent)).Truncate(time.Second)
}

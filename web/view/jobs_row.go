package view

import (
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// Around is what the rows of a table show besides their jobs.
type Around struct {
	Paused  map[string]bool       // queues
	Workers map[jobs.ID]string    // the external worker that runs a job
	Ends    map[jobs.ID]time.Time // estimated end of a running job that reports progress
}

// mostPreview is about how many bytes of a value a row shows.
const mostPreview = 80

// gist is the details in a row: the progress, or why the job waits or failed. dim says that it
// is only input or result.
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

// inputPreview is the beginning of the input; for a call only its body, as URL and headers may
// hold secrets.
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

// preview is a value in one line: its members without quotes, nested values as their size.
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

// lasted is the text of the column time for a job that has ended.
func lasted(j jobs.Job) string {
	if j.StartedAt.IsZero() || j.FinishedAt.IsZero() {
		return dash
	}
	return span(j.FinishedAt.Sub(j.StartedAt))
}

// EndOf estimates the end from the start and the progress so far; zero if it is too early or
// too late to estimate.
func EndOf(began, said time.Time, percent float64) time.Time {
	took := said.Sub(began)
	if began.IsZero() || percent < 1 || percent >= 100 || took < 2*time.Second || took > 30*24*time.Hour {
		return time.Time{}
	}
	return said.Add(time.Duration(float64(took) * (100 - percent) / percent)).Truncate(time.Second)
}

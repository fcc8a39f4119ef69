package upstream

import (
	"net/http"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// Unavailable is the error of a request for which no member could be used. It wraps a
// *jobs.Problem with status 503. Nothing was sent.
type Unavailable struct {
	*jobs.Problem
	RetryAfter time.Duration // until a member is next tried or checked, in whole seconds
}

// Unwrap is for errors.As.
func (u *Unavailable) Unwrap() error { return u.Problem }

// maxNamed is how many upstreams are named in a problem.
const maxNamed = 3

func (p *Pool) unavailable(now time.Time) *Unavailable {
	var soonest time.Duration = -1
	var reasons []string
	for _, m := range p.members {
		if m.weight == 0 {
			continue
		}
		wait, why := m.wait(now)
		if soonest < 0 || wait < soonest {
			soonest = max(wait, 0)
		}
		if len(reasons) < maxNamed && why != "" {
			reasons = append(reasons, why)
		}
	}
	detail := "All upstreams of this path are drained: their weight is 0. Try again later."
	if soonest >= 0 {
		detail = "No upstream of this path takes requests at the moment; nothing was sent. Try again after the time in Retry-After."
	}
	if len(reasons) > 0 {
		detail += " " + strings.Join(reasons, " ")
	}
	seconds := (max(soonest, 0) + time.Second - 1) / time.Second
	return &Unavailable{&jobs.Problem{Type: "urn:jobhub:problem:" + string(egress.UpstreamUnreachable), Title: "Upstream unavailable", Status: http.StatusServiceUnavailable, Code: egress.UpstreamUnreachable, Detail: detail}, max(seconds, 1) * time.Second}
}

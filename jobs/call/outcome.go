package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// Busy is the code of an attempt that got no memory for its answer in time.
const Busy jobs.Code = "busy"

// judgeAnswer decides by the status of a complete answer: nil for success, else a
// *jobs.Failure.
func judgeAnswer(res *http.Response, expect []int, via jobs.Via) error {
	status := res.StatusCode
	if status >= 200 && status <= 299 || slices.Contains(expect, status) || cameByRoute(via) && status >= 300 && status <= 399 {
		return nil
	}
	answered := strings.TrimSpace(fmt.Sprintf("The upstream answered %d %s", status, http.StatusText(status)))
	if egress.RetryStatus(status) {
		return &jobs.Failure{
			Problem: jobs.NewProblem(egress.UpstreamStatus, "Upstream error", "%s.", answered),
			After:   egress.RetryAfter(res.Header.Get("Retry-After"), time.Now()),
		}
	}
	return egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Upstream error",
		"%s. Correct the request, or list %d in expect if it is a success.", answered, status))
}

// attemptError is the error of an attempt without a complete answer.
func attemptError(ctx context.Context, at *url.URL, err error) error {
	var method *methodChange
	var large *tooLarge
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &large):
		return egress.Never(jobs.NewProblem(jobs.TooLarge, "Answer too large",
			"The answer of %s is larger than the %s that the hub keeps of one job. The call was made and is not repeated. Ask for less at a time, or have the operator raise max_answer.", at.Host, jobs.SizeText(large.most)))
	case errors.Is(err, errBusy):
		return &jobs.Failure{Problem: jobs.NewProblem(Busy, "Hub busy",
			"The hub is reading as many answers as its memory allows, and had no room for that of %s within %s.", at.Host, maxWaitForRoom)}
	case errors.As(err, &method):
		return egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Upstream error",
			"%s answered %d and redirected to %s, where the %s would arrive as a GET without its body, so it was not followed. Call that URL, or list %d in expect if this answer is a success.",
			shownURL(method.from), method.status, shownURL(method.to), method.method, method.status))
	case errors.Is(err, errRedirects):
		return egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Upstream error",
			"The upstream redirected more than %d times. Call the final URL.", maxRedirects))
	case errors.Is(err, errLocation):
		return egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Upstream error",
			"%s redirected to a URL that is not called. Call the final URL.", at.Host))
	}
	return egress.AttemptError(ctx, at, err)
}

// shownURL is a URL for errors: without its query, which may hold secrets.
func shownURL(u *url.URL) string {
	text := u.Scheme + "://" + u.Host + u.EscapedPath()
	if len(text) > maxShown {
		return text[:maxShown] + "…"
	}
	return text
}

const maxShown = 200

package call

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jobhub/jobs"
)

// Codes of attempts that failed, besides those of package jobs.
const (
	UpstreamStatus      jobs.Code = "upstream_status"      // an answer that is not a success
	UpstreamUnreachable jobs.Code = "upstream_unreachable" // no complete answer
)

// maxRetryAfter bounds how long an upstream can put off a job.
const maxRetryAfter = time.Hour

// outcome is the verdict on a complete answer: nil for success, else a *jobs.Failure.
func outcome(res *http.Response, expect []int, via jobs.Via) error {
	status := res.StatusCode
	if status >= 200 && status <= 299 || slices.Contains(expect, status) || routed(via) && status >= 300 && status <= 399 {
		return nil
	}
	answered := strings.TrimSpace(fmt.Sprintf("The upstream answered %d %s", status, http.StatusText(status)))
	switch {
	case status == 408, status == 425, status == 429, status >= 500 && status <= 599:
		return &jobs.Failure{
			Problem: jobs.NewProblem(UpstreamStatus, "Upstream error", "%s.", answered),
			After:   retryAfter(res.Header.Get("Retry-After"), time.Now()),
		}
	}
	return never(jobs.NewProblem(UpstreamStatus, "Upstream error",
		"%s. Correct the request, or list %d in expect if it is a success.", answered, status))
}

// retryAfter reads a Retry-After header: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

// broken is the verdict on an attempt without a complete answer. The texts of net/http
// hold URLs and addresses, so none of them is passed on.
func broken(ctx context.Context, at *url.URL, err error) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		<-ctx.Done() // the dialer's timer may fire a moment before that of ctx
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case errors.Is(err, errBlocked):
		return never(jobs.NewProblem(jobs.BlockedAddress, "Blocked address",
			"%s leads to an address that is not public. Ask the operator to open its range with --egress-allow.", at.Host))
	case errors.Is(err, errTooLarge):
		return never(jobs.NewProblem(jobs.TooLarge, "Answer too large",
			"The answer of %s is larger than the hub keeps. Ask for less at a time.", at.Host))
	case errors.Is(err, errRedirects):
		return never(jobs.NewProblem(UpstreamStatus, "Upstream error",
			"The upstream redirected more than %d times. Call the final URL.", maxRedirects))
	case errors.Is(err, errLocation):
		return never(jobs.NewProblem(UpstreamStatus, "Upstream error",
			"%s redirected to a URL that is not called. Call the final URL.", at.Host))
	}
	return &jobs.Failure{Problem: jobs.NewProblem(UpstreamUnreachable, "Upstream unreachable", "%s", reason(at.Host, err))}
}

// reason says in plain words why host gave no complete answer.
func reason(host string, err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "The name in " + host + " could not be resolved. Check that it is right."
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "The TLS certificate of " + host + " could not be verified. Have it renewed or its issuer trusted."
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return host + " does not speak TLS. Check scheme and port."
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "No connection to " + host + " in time. Check that it is up."
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return host + " refused the connection. Check that it is up and the port is right."
	}
	return "The connection to " + host + " ended before its answer was complete."
}

// never is the failure that is not retried.
func never(problem error) *jobs.Failure {
	p, ok := errors.AsType[*jobs.Problem](problem)
	if !ok {
		p = jobs.NewProblem(jobs.Internal, "Internal error", "%s", problem)
	}
	return &jobs.Failure{Problem: p, Never: true}
}

// invalid is the problem of an input that can't be accepted.
func invalid(pointer, format string, args ...any) *jobs.Problem {
	p := jobs.NewProblem(jobs.BadMessage, "Invalid request", "See errors for the members to correct.")
	p.Status = 422
	p.Errors = []jobs.MemberError{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}
	return p
}

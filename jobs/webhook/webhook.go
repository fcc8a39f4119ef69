// Package webhook delivers callbacks: it is the handler of jobs of kind "webhook".
//
// What it promises (Standard Webhooks 1.0):
//
//   - The body is sent byte for byte as it was stored with the event.
//   - Every attempt at a delivery, and every retry of it by hand, has the same webhook-id;
//     timestamp and signature are those of the attempt.
//   - With two secrets there are two signatures, so that receivers can change over. Without
//     any, neither the callback's nor the hub's, id and timestamp are sent without one.
//   - Only 2xx is a success. Redirects are not followed. Everything else is tried again after
//     the waits of jobs.CallbackRetries, or later if Retry-After says so; but 410 fails the
//     delivery and disables its callback.
//   - No error and no result contains a secret.
package webhook

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

const (
	attemptTimeout = 30 * time.Second
	maxRead        = 64 << 10 // bytes of an answer that are read
	maxResultBody  = 1 << 10  // bytes of the answer in the result
)

// Options of deliveries. The zero value reaches public addresses only.
type Options struct {
	Allow   []netip.Prefix // ranges that may be reached although they are not public (see egress.Options)
	Opened  *egress.Ranges // further ranges, which may change meanwhile; none if nil
	Own     *egress.Own    // where the hub itself listens, which is never called
	Secrets []jobs.Secret  // used for callbacks without secrets

	// Outbound is how calls leave this machine, which may change; directly if nil.
	Outbound *egress.OutboundSetting

	// Wrap, if not nil, wraps the transports that send requests.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Handler returns the handler of deliveries.
func Handler(o Options) jobs.Handler { return newSender(o).handler() }

func newSender(o Options) *sender {
	guard := egress.New(egress.Options{Allow: o.Allow, Opened: o.Opened, Own: o.Own})
	transport := guard.Follow(o.Outbound)
	if o.Wrap != nil {
		transport = o.Wrap(transport)
	}
	return &sender{guard: guard, secrets: o.Secrets, client: http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (s *sender) handler() jobs.Handler {
	return jobs.Handler{
		Requests: true,
		Check:    s.check,
		Run: func(ctx context.Context, run jobs.Run) (jobs.Result, error) {
			return s.run(ctx, run.Job(), run.(jobs.DeliveryRun))
		},
	}
}

// receiver is the part of a jobs.DeliveryRun that knows where a delivery goes.
type receiver interface {
	Callback(ctx context.Context) (jobs.Callback, error)
	EnableCallback(ctx context.Context, on bool) error
}

type sender struct {
	guard   *egress.Guard
	client  http.Client
	secrets []jobs.Secret
}

// delivery is the input of a job of kind webhook.
type delivery struct {
	ID          string     `json:"id"`
	URL         string     `json:"url"`
	Traceparent string     `json:"traceparent"`
	Body        jobs.Value `json:"body"`
}

func (s *sender) check(input jobs.Value, _ jobs.Via) error {
	var d delivery
	if err := json.Unmarshal(input, &d, json.RejectUnknownMembers(true)); err != nil {
		return jobs.DecodeProblem(err)
	}
	_, err := s.guard.Parse("/input/url", d.URL, nil)
	return err
}

// run makes one attempt.
func (s *sender) run(ctx context.Context, job *jobs.Job, to receiver) (jobs.Result, error) {
	var d delivery
	if err := json.Unmarshal(job.Input, &d); err != nil {
		return jobs.Result{}, egress.Never(jobs.DecodeProblem(err))
	}
	url, err := s.guard.Parse("/input/url", d.URL, nil)
	if err != nil {
		return jobs.Result{}, egress.Never(err)
	}
	callback, err := to.Callback(ctx)
	if err != nil {
		return jobs.Result{}, err
	}
	if callback.Disabled {
		return jobs.Result{}, egress.Never(jobs.NewProblem("callback_disabled", "Callback disabled",
			"The receiver answered 410 before, or the queue no longer has this callback, so it was not sent. Retry the delivery to send it all the same."))
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := s.request(limited, &d, callback.Secrets, began)
	if err != nil {
		return jobs.Result{}, egress.Never(jobs.Invalid("/input/url", "can't be sent as an HTTP request"))
	}
	res, err := s.client.Do(req)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			return jobs.Result{}, retryLater(job.Attempt, 0, jobs.NewProblem(egress.UpstreamUnreachable, "No answer",
				"%s did not answer within %s.", url.Host, attemptTimeout))
		}
		return jobs.Result{}, onSchedule(job.Attempt, egress.AttemptError(ctx, url, err))
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxRead)) // the status is what counts
	result := resultOf(res.StatusCode, body, time.Since(began))
	switch {
	case res.StatusCode >= 200 && res.StatusCode <= 299:
		if job.RetryOf != (jobs.ID{}) { // somebody retried it, perhaps to a disabled callback
			err = to.EnableCallback(ctx, true)
		}
		return result, err
	case res.StatusCode == http.StatusGone:
		if err := to.EnableCallback(ctx, false); err != nil {
			return jobs.Result{}, err
		}
		return result, egress.Never(jobs.NewProblem(egress.UpstreamStatus, "Callback disabled",
			"The receiver answered 410 Gone: nothing further is sent to this callback. Retry the delivery once it is there again."))
	}
	answered := strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
	return result, retryLater(job.Attempt, egress.RetryAfter(res.Header.Get("Retry-After"), time.Now()),
		jobs.NewProblem(egress.UpstreamStatus, "Delivery failed", "The receiver answered %s; only 2xx is a success, and redirects are not followed.", answered))
}

// request builds the request of an attempt that begins now.
func (s *sender) request(ctx context.Context, d *delivery, secrets []jobs.Secret, now time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "jobhub")
	// Lower case, as the specification writes them; for HTTP it is the same.
	req.Header["webhook-id"] = []string{d.ID}
	req.Header["webhook-timestamp"] = []string{timestamp}
	if len(secrets) == 0 {
		secrets = s.secrets
	}
	if signature := sign(secrets, d.ID, timestamp, d.Body); signature != "" {
		req.Header["webhook-signature"] = []string{signature}
	}
	if d.Traceparent != "" {
		req.Header.Set("Traceparent", d.Traceparent)
	}
	return req, nil
}

// onSchedule replaces the wait of a failure that is retried by the next one of
// jobs.CallbackRetries.
func onSchedule(attempt int, err error) error {
	if f, ok := err.(*jobs.Failure); ok && !f.Never {
		return retryLater(attempt, f.After, f.Problem)
	}
	return err
}

// retryLater is the failure of an attempt. The next attempt is after the wait of
// jobs.CallbackRetries and up to a fifth more, so that deliveries that failed together are
// not retried together.
func retryLater(attempt int, least time.Duration, p *jobs.Problem) *jobs.Failure {
	wait := jobs.CallbackRetries[min(max(attempt, 1), len(jobs.CallbackRetries))-1]
	wait += time.Duration(rand.Int64N(int64(wait)/5 + 1))
	return &jobs.Failure{Problem: p, After: max(wait, least), Exactly: true}
}

// resultOf is the result of an attempt that got an answer.
func resultOf(status int, body []byte, took time.Duration) jobs.Result {
	text := strings.ToValidUTF8(string(body[:min(len(body), maxResultBody)]), "")
	v := strconv.AppendInt([]byte(`{"status":`), int64(status), 10)
	v, _ = jsontext.AppendQuote(append(v, `,"body":`...), text) // it is valid
	v = strconv.AppendInt(append(v, `,"ms":`...), took.Milliseconds(), 10)
	return jobs.Result{Value: append(v, '}')}
}

package limit

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Verdict is whether a request may pass, and what its caller is told.
type Verdict struct {
	RetryAfter time.Duration // of a refused request: after it one may pass

	problem  *jobs.Problem
	outcomes []outcome
	held     []held
	released atomic.Bool

	outcomeBuf [4]outcome
	heldBuf    [1]held
}

// outcome is what a rule says.
type outcome struct {
	rule  *rule
	known bool
	left  int64
	next  time.Duration
}

// Policy is the state of one rule for one caller.
type Policy struct {
	Name        string        // in headers
	Text        string        // for people: "100 in 1m for each consumer"
	Limit       int64         // requests
	Window      time.Duration // of a rate or quota; 0 for a concurrency
	Known       bool          // false: Left is not known, as the request was refused before its quota was read
	Left        int64         // requests that may pass now
	Next        time.Duration // until Left grows; 0 for a concurrency, where that is not known
	Concurrency bool
	Violated    bool // the request was refused for it
}

const typeQuotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"

// Codes of refusals; that of a concurrency is jobs.LimitExceeded. All have status 429.
const (
	CodeRate  jobs.Code = "rate_limited"
	CodeQuota jobs.Code = "quota_exceeded"
)

var errFull = jobs.Unavailable("Too many consumers", "The hub counts the requests of as many consumers as it can at the moment. Try again in a minute.")

// unavailable is the problem of a request whose quota could not be read or reserved.
func unavailable(err error) *jobs.Problem {
	detail := "The hub could not store that this request counts, so it was not let pass; nothing was done. Try again in a moment."
	if errors.Is(err, errNoStore) {
		detail = "This hub has no store for quotas, so a request under a quota is never let pass. Tell its operator."
	}
	return jobs.Unavailable("Quota not available", detail).Because(err)
}

func newVerdict() *Verdict {
	v := &Verdict{}
	v.outcomes, v.held = v.outcomeBuf[:0], v.heldBuf[:0]
	return v
}

// Allowed reports whether the request may pass.
func (v *Verdict) Allowed() bool { return v.problem == nil }

// Err returns why the request was refused: a *jobs.Problem with status 429, or 503 if its quota
// could not be counted or the hub has no room for another consumer. It is nil if it may pass.
func (v *Verdict) Err() error {
	if v.problem == nil {
		return nil
	}
	return v.problem
}

// Release ends the request for the rules that count how many run at once. It may be called
// again, and of a refused request.
func (v *Verdict) Release() {
	if len(v.held) > 0 && !v.released.Swap(true) {
		for _, h := range v.held {
			h.leave()
		}
	}
}

// Headers sets RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11), and
// Retry-After if the request was refused. With no policies it sets none of the first two.
//
// The only policy is named "default". q is the limit, w the window in seconds, rounded up; r is
// how many requests may pass now; t is in how many seconds, rounded up, r grows.
func (v *Verdict) Headers(h http.Header) {
	if v.problem != nil {
		h.Set("Retry-After", strconv.FormatInt(seconds(v.RetryAfter), 10))
	}
	if len(v.outcomes) == 0 {
		return
	}
	var buf [256]byte
	b := buf[:0]
	for _, o := range v.outcomes {
		b = strconv.AppendInt(append(v.appendName(b, o.rule), ";q="...), o.rule.limit(), 10)
		if o.rule.kind == kindConcurrency {
			b = append(b, `;qu="concurrent-requests"`...)
		} else {
			b = strconv.AppendInt(append(b, ";w="...), seconds(o.rule.window()), 10)
		}
	}
	h.Set("RateLimit-Policy", string(b))
	b = buf[:0]
	for _, o := range v.outcomes {
		if !o.known {
			continue
		}
		b = strconv.AppendInt(append(v.appendName(b, o.rule), ";r="...), o.left, 10)
		if o.rule.kind != kindConcurrency {
			b = strconv.AppendInt(append(b, ";t="...), seconds(o.next), 10)
		}
	}
	if len(b) > 0 {
		h.Set("RateLimit", string(b))
	}
}

// appendName begins an element of a list with the name of a policy.
func (v *Verdict) appendName(b []byte, r *rule) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	name := r.name
	if len(v.outcomes) == 1 {
		name = "default"
	}
	return append(append(append(b, '"'), name...), '"') // Compile has checked it
}

// limit is how many requests a rule lets pass.
func (r *rule) limit() int64 {
	if r.kind == kindRate {
		return int64(r.rate.n)
	}
	return r.quota.N
}

// window is that of a rate or quota.
func (r *rule) window() time.Duration {
	if r.kind == kindRate {
		return time.Duration(r.rate.per)
	}
	return r.quota.Window
}

// seconds rounds up; it is at least 1.
func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// refuse makes the verdict a refusal.
func (v *Verdict) refuse(p *jobs.Problem, retryAfter time.Duration) {
	v.problem, v.RetryAfter = p, retryAfter
}

// judge refuses the request if a rule has nothing left. The time to wait is the longest of
// theirs, the problem that of the rule with the longest.
func (v *Verdict) judge(items []item) {
	var worst *item
	wait := time.Duration(-1)
	v.problem = nil
	for i := range items {
		it := &items[i]
		if !it.known || it.left > 0 {
			continue
		}
		next := it.next
		if it.rule.kind == kindConcurrency {
			next = time.Second // nobody knows when one of those that run ends
		}
		if next > wait {
			worst, wait = it, next
		}
	}
	if worst != nil {
		v.refuse(worst.problem(seconds(wait)), wait)
	}
}

// problem is that of a request that a rule refused.
func (it *item) problem(retry int64) *jobs.Problem {
	p := &jobs.Problem{Type: typeQuotaExceeded, Status: http.StatusTooManyRequests}
	switch r := it.rule; r.kind {
	case kindRate:
		p.Code, p.Title = CodeRate, "Rate limit exceeded"
		p.Detail = fmt.Sprintf("The limit is %s. Try again in %d s.", r.text, retry)
	case kindConcurrency:
		p.Code, p.Title = jobs.LimitExceeded, "Too many requests at once"
		p.Detail = fmt.Sprintf("The limit is %s. Try again when one of them has ended.", r.text)
	case kindQuota:
		p.Code, p.Title = CodeQuota, "Quota used up"
		p.Detail = fmt.Sprintf("The quota is %s, and all of it is used. The next begins at %s, in %d s.",
			r.text, time.Unix(it.quota.end, 0).UTC().Format(time.RFC3339), retry)
	}
	p.Detail = strings.ToValidUTF8(p.Detail, "\ufffd")
	return p
}

// describe keeps what the rules say, after what was taken. It needs no locks.
func (v *Verdict) describe(items []item) {
	for i := range items {
		it := &items[i]
		v.outcomes = append(v.outcomes, outcome{it.rule, it.known, it.left, it.next})
	}
}

// Policies returns what each rule says, after this request if it was let pass.
func (v *Verdict) Policies() []Policy {
	all := make([]Policy, 0, len(v.outcomes))
	for _, o := range v.outcomes {
		all = append(all, Policy{
			Name: o.rule.name, Text: o.rule.text, Limit: o.rule.limit(), Window: o.rule.window(),
			Known: o.known, Left: o.left, Next: o.next, Concurrency: o.rule.kind == kindConcurrency,
			Violated: v.problem != nil && o.known && o.left == 0,
		})
	}
	return all
}

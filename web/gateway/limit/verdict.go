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
	Policies   []Policy      // what each rule says, after this request if it was let pass
	RetryAfter time.Duration // of a refused request: after it one may pass

	problem   *jobs.Problem
	held      []*gate
	released  atomic.Bool
	policyBuf [4]Policy
	heldBuf   [2]*gate
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

func newVerdict(rules int) *Verdict {
	v := &Verdict{}
	v.Policies, v.held = v.policyBuf[:0], v.heldBuf[:0]
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
		for _, g := range v.held {
			g.leave()
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
	if len(v.Policies) == 0 {
		return
	}
	var buf [256]byte
	b := buf[:0]
	for i := range v.Policies {
		p := &v.Policies[i]
		b = strconv.AppendInt(append(v.appendName(b, p), ";q="...), p.Limit, 10)
		if p.Concurrency {
			b = append(b, `;qu="concurrent-requests"`...)
		} else {
			b = strconv.AppendInt(append(b, ";w="...), seconds(p.Window), 10)
		}
	}
	h.Set("RateLimit-Policy", string(b))
	b = buf[:0]
	for i := range v.Policies {
		p := &v.Policies[i]
		if !p.Known {
			continue
		}
		b = strconv.AppendInt(append(v.appendName(b, p), ";r="...), p.Left, 10)
		if !p.Concurrency {
			b = strconv.AppendInt(append(b, ";t="...), seconds(p.Next), 10)
		}
	}
	if len(b) > 0 {
		h.Set("RateLimit", string(b))
	}
}

// appendName begins an element of a list with the name of a policy.
func (v *Verdict) appendName(b []byte, p *Policy) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	name := p.Name
	if len(v.Policies) == 1 {
		name = "default"
	}
	return append(append(append(b, '"'), name...), '"') // Compile has checked it
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

// describe lists the policies, after what was taken. It needs no locks.
func (v *Verdict) describe(items []item) {
	for i := range items {
		it := &items[i]
		r := it.rule
		p := Policy{
			Name: r.name, Text: r.text, Known: it.known, Left: it.left, Next: it.next,
			Limit: r.quota.N, Window: r.quota.Window, Concurrency: r.kind == kindConcurrency,
			Violated: v.problem != nil && it.known && it.left == 0,
		}
		if r.kind == kindRate {
			p.Limit, p.Window = int64(r.rate.n), time.Duration(r.rate.per)
		}
		v.Policies = append(v.Policies, p)
	}
}

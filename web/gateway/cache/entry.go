package cache

import (
	"container/list"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"jobhub/jobs/httpheader"
)

// entryCost is about what an entry costs besides its body and headers, in bytes.
const entryCost = 700

// entry is a stored answer. It does not change, but for the fields of its queue.
type entry struct {
	status  int
	header  http.Header // without those of one connection; with Date
	body    []byte
	public  bool // for all callers
	vary    []string
	variant hash // of the request's headers that vary names

	received time.Time     // when it began to arrive, or was validated
	date     time.Time     // what it says in Date
	age      time.Duration // when it was received (RFC 9111, 4.2.3)
	lifetime time.Duration // of its freshness, from age 0

	noCache, mustRevalidate            bool
	shared                             bool // it has s-maxage, which lets no request allow a stale answer
	staleWhileRevalidate, staleIfError time.Duration

	slot *slot
	// of its queue
	size int64
	uses atomic.Int32 // since it was looked at last, up to 3
	at   *list.Element
	main bool
}

// newEntry makes an entry of an answer without its body. The request was sent at sent, and its
// answer began at received.
func newEntry(req *http.Request, status int, header http.Header, ttl time.Duration, sent, received time.Time) *entry {
	d := parseDirectives(header)
	e := &entry{status: status, header: storedHeader(header), public: d.public, received: received,
		noCache: d.noCache, mustRevalidate: d.mustRevalidate, shared: d.sMaxAge >= 0, staleWhileRevalidate: d.staleWhileRevalidate, staleIfError: d.staleIfError}
	e.vary, _ = varyNames(header)
	e.variant = variantKey(e.vary, req.Header)
	var err error
	if e.date, err = parseTime(header.Get("Date")); err != nil {
		e.date = received
		e.header.Set("Date", received.UTC().Format(http.TimeFormat))
	}
	e.age = max(received.Truncate(time.Second).Sub(e.date), ageOf(header)+received.Sub(sent), 0) // Date has whole seconds
	e.lifetime = lifetime(d, status, header, e.date, ttl)
	return e
}

// ageOf returns the Age of an answer; 0 if there is none or it is malformed.
func ageOf(h http.Header) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	first, _, _ = strings.Cut(first, ";")
	return seconds(strings.TrimSpace(first))
}

// lifetime returns how long an answer is fresh, from the time at which the upstream made it
// (RFC 9111, 4.2.1).
func lifetime(d directives, status int, h http.Header, date time.Time, ttl time.Duration) time.Duration {
	switch {
	case d.sMaxAge >= 0:
		return d.sMaxAge
	case d.maxAge >= 0:
		return d.maxAge
	}
	if lines := h["Expires"]; len(lines) > 0 {
		at, err := parseTime(lines[0])
		if err != nil || len(lines) > 1 {
			return 0
		}
		return max(at.Sub(date), 0)
	}
	if d.public || heuristic(status) {
		return ttl
	}
	return 0
}

// heuristic reports whether answers of a status may be fresh without saying so. These are not all
// of RFC 9110, 15.1: errors that pass by soon (405, 414, 501) are left out.
func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 410:
		return true
	}
	return false
}

// storable reports whether an answer to a request with GET may be stored (RFC 9111, 3).
func (t *Transport) storable(req *http.Request, res *http.Response) bool {
	h := res.Header
	d := parseDirectives(h)
	_, vary := varyNames(h)
	switch {
	case res.StatusCode < 200 || res.StatusCode == http.StatusPartialContent || res.StatusCode == http.StatusNotModified || res.StatusCode > 599:
		return false
	case d.noStore || d.private || !vary || len(h["Set-Cookie"]) > 0 || len(h["Set-Cookie2"]) > 0:
		return false
	case len(res.Trailer) > 0 || res.ContentLength > t.cache.options.EntryBytes || headerSize(h) > maxHeader || isStream(h):
		return false
	case res.ProtoMajor == 1 && res.ContentLength < 0 && len(res.TransferEncoding) == 0: // its end may be a cut
		return false
	case t.policy.ForwardAuth && len(req.Header["Authorization"]) > 0 && !d.public && !d.mustRevalidate && d.sMaxAge < 0:
		return false
	}
	date, err := parseTime(h.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	validator := h.Get("Etag") != "" || h.Get("Last-Modified") != ""
	if lifetime(d, res.StatusCode, h, date, t.policy.TTL) <= 0 || d.noCache {
		return validator && (heuristic(res.StatusCode) || d.given || len(h["Expires"]) > 0)
	}
	return true
}

// maxHeader is the largest header that is stored, in bytes.
const maxHeader = 32 << 10

// isStream reports whether an answer is a stream of events, which may have no end.
func isStream(h http.Header) bool {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return media == "text/event-stream" || media == "application/x-ndjson" || media == "multipart/x-mixed-replace"
}

// storedHeader returns the headers of an answer that are stored: not those about one connection,
// and Age, which changes.
func storedHeader(from http.Header) http.Header {
	h := make(http.Header, len(from)+1)
	for name, values := range from {
		if !httpheader.IsHopByHop(name) && name != "Age" {
			h[name] = append([]string(nil), values...)
		}
	}
	httpheader.DropConnection(h, from["Connection"])
	return h
}

// headerSize is the bytes of a header, with 32 for each field's own costs.
func headerSize(h http.Header) (n int64) {
	for name, values := range h {
		n += 32 + int64(len(name))
		for _, v := range values {
			n += 16 + int64(len(v))
		}
	}
	return n
}

// complete gives the entry its body. It sets Content-Length if the answer had none.
func (e *entry) complete(body []byte, setLength bool) {
	if cap(body)-len(body) > len(body)/4+512 {
		body = append(make([]byte, 0, len(body)), body...)
	}
	e.body = body
	if setLength && e.status != http.StatusNoContent {
		e.header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	e.size = entryCost + headerSize(e.header) + int64(cap(body))
}

// validated returns the entry as a 304 changes it (RFC 9111, 3.2 and 4.3.4).
func (e *entry) validated(req *http.Request, h http.Header, ttl time.Duration, sent, received time.Time) *entry {
	merged := e.header.Clone()
	for name, values := range storedHeader(h) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Set-Cookie", "Set-Cookie2": // of the stored body; not for others
		default:
			merged[name] = values
		}
	}
	if len(h["Date"]) == 0 {
		merged.Del("Date")
	}
	if age := h["Age"]; len(age) > 0 {
		merged["Age"] = age
	}
	next := newEntry(req, e.status, merged, ttl, sent, received)
	next.complete(e.body, false)
	return next
}

// mayStay reports whether an entry may be stored after a 304.
func (e *entry) mayStay() bool {
	d := parseDirectives(e.header)
	_, vary := varyNames(e.header)
	return !d.noStore && !d.private && vary
}

func (e *entry) ageAt(now time.Time) time.Duration { return e.age + max(now.Sub(e.received), 0) }

// left returns for how long the entry is fresh; below zero, for how long it has been stale.
func (e *entry) left(now time.Time) time.Duration { return e.lifetime - e.ageAt(now) }

func (e *entry) hasValidator() bool {
	return e.header.Get("Etag") != "" || e.header.Get("Last-Modified") != ""
}

// matches reports whether the entry's Vary allows it for a request (RFC 9111, 4.1).
func (e *entry) matches(h http.Header) bool {
	return len(e.vary) == 0 || variantKey(e.vary, h) == e.variant
}

// check reports whether an entry may be given (RFC 9111, 4.2.4 and 5.2.1), and whether it has to
// be validated in the background then (RFC 5861, 3); else why not, as fwd of Cache-Status.
func (e *entry) check(d directives, now time.Time) (use, background bool, fwd string) {
	age, left := e.ageAt(now), e.left(now)
	switch {
	case d.noCache:
		return false, false, "request"
	case e.noCache:
		return false, false, "stale"
	case d.minFresh >= 0 && left < d.minFresh || d.maxAge >= 0 && age > d.maxAge && d.maxStale < 0:
		return false, false, "request"
	case left > 0:
		return true, false, ""
	case e.mustRevalidate:
	case d.maxStale >= -left && !e.shared:
		return true, false, ""
	case e.staleWhileRevalidate > -left:
		return true, true, ""
	}
	return false, false, "stale"
}

// onError reports whether an entry may be given in place of an error (RFC 5861, 4).
func (e *entry) onError(d directives, now time.Time) bool {
	over := -e.left(now)
	return over >= 0 && !d.noCache && !e.noCache && !e.mustRevalidate && (e.staleIfError >= over || d.staleIfError >= over && !e.shared)
}

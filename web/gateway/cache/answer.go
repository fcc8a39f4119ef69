package cache

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cacheStatus is the name of the header by which a cache says what it did (RFC 9211).
const cacheStatus = "Cache-Status"

// answer returns the entry as the answer to a request: whole, its headers for HEAD, or 304 where
// the request's conditions say that the client has it. status is that of Cache-Status.
func (e *entry) answer(req *http.Request, now time.Time, status string) *http.Response {
	res := e.headed(req, now, status)
	res.ContentLength = int64(len(e.body))
	switch {
	case e.status == http.StatusOK && e.known(req.Header):
		res.StatusCode, res.Status, res.ContentLength = http.StatusNotModified, statusText(http.StatusNotModified), 0
		for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Language", "Content-Range"} {
			delete(res.Header, name)
		}
	case req.Method != http.MethodHead && len(e.body) > 0:
		res.Body = &memory{Reader: *bytes.NewReader(e.body)}
	}
	return res
}

// headed returns the entry as an answer without its body.
func (e *entry) headed(req *http.Request, now time.Time, status string) *http.Response {
	h := make(http.Header, len(e.header)+2)
	for name, values := range e.header {
		h[name] = values[:len(values):len(values)] // who adds a value makes a copy
	}
	h["Age"] = []string{strconv.FormatInt(int64(e.ageAt(now)/time.Second), 10)}
	addStatus(h, status)
	return &http.Response{Status: statusText(e.status), StatusCode: e.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, Request: req}
}

// memory is a body from memory.
type memory struct{ bytes.Reader }

func (m *memory) Close() error { return nil }

func statusText(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }

func addStatus(h http.Header, status string) {
	h[cacheStatus] = append(h[cacheStatus][:len(h[cacheStatus]):len(h[cacheStatus])], "jobhub; "+status)
}

// ttlText is the parameter ttl of Cache-Status; it is below zero for a stale answer.
func (e *entry) ttlText(now time.Time) string {
	return "; ttl=" + strconv.FormatInt(int64(e.left(now)/time.Second), 10)
}

// known reports whether the client's conditions say that it has the entry (RFC 9110, 13.2.2).
func (e *entry) known(h http.Header) bool {
	if lines := h["If-None-Match"]; len(lines) > 0 {
		etag := e.header.Get("Etag")
		for _, line := range lines {
			for item := range listItems(line) {
				if item == "*" || etag != "" && sameETag(item, etag) {
					return true
				}
			}
		}
		return false
	}
	lines := h["If-Modified-Since"]
	if len(lines) == 0 {
		return false
	}
	since, err := parseTime(lines[0])
	if err != nil {
		return false
	}
	modified, err := parseTime(e.header.Get("Last-Modified"))
	if err != nil {
		modified = e.date
	}
	return !modified.After(since)
}

// sameETag is the weak comparison of entity tags (RFC 9110, 8.8.3.2).
func sameETag(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

// setConditions makes a request ask whether the entry is still good.
func (e *entry) setConditions(h http.Header) {
	h.Del("If-None-Match")
	h.Del("If-Modified-Since")
	if etag := e.header.Get("Etag"); etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified := e.header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
}

// fwdText is the value of Cache-Status for an answer that came from the upstream.
func fwdText(fwd string, status int, stored, collapsed bool) string {
	text := "fwd=" + fwd
	if status != 0 {
		text += fmt.Sprintf("; fwd-status=%d", status)
	}
	if stored {
		text += "; stored"
	}
	if collapsed {
		text += "; collapsed"
	}
	return text
}

package jobs

import (
	"net/http"
	"strings"
)

// IsToken reports whether s is a token, like the name of a header or method (RFC 9110,
// section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// HopByHop reports whether a header is about one connection only (RFC 9110, section 7.6.1).
func HopByHop(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}

// DropNamed deletes the headers that values of Connection name.
func DropNamed(h http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

// ValidTraceparent reports whether text is a traceparent (W3C Trace Context): of version 00,
// or of a later one, which may have more behind the parts of version 00. Version ff and ids
// of zeros are not valid.
func ValidTraceparent(text string) bool {
	if len(text) < 55 || text[:2] == "ff" || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return false
	}
	if len(text) > 55 && (text[:2] == "00" || text[55] != '-' || len(text) > 255) {
		return false
	}
	for _, part := range []string{text[:2], text[3:35], text[36:52], text[53:55]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	for i := 55; i < len(text); i++ {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return strings.Trim(text[3:35], "0") != "" && strings.Trim(text[36:52], "0") != ""
}

// SetTrace sets the headers of the trace context, unless there is a traceparent.
func (v Via) SetTrace(h http.Header) {
	parent, state, _ := strings.Cut(v.Trace, " ")
	if _, own := h["Traceparent"]; own || parent == "" {
		return
	}
	h.Set("Traceparent", parent)
	if state != "" {
		h.Set("Tracestate", state)
	}
}

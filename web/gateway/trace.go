package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// Trace is the trace context that a request carries, as jobs.Via has it: empty if it has
// none that is valid (W3C Trace Context, level 1).
func Trace(h http.Header) string {
	lines := h["Traceparent"]
	if len(lines) != 1 || !validParent(lines[0]) {
		return ""
	}
	state := strings.Join(h["Tracestate"], ",")
	if state == "" || len(state) > maxState {
		return lines[0]
	}
	for i := range len(state) {
		if state[i] < ' ' || state[i] > '~' {
			return lines[0]
		}
	}
	return lines[0] + " " + state
}

// maxState is how many bytes of tracestate are carried; the specification asks for 512.
const maxState = 512

// newTrace begins a trace.
func newTrace() string {
	var id [24]byte
	rand.Read(id[:])
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}

// validParent reports whether text is a traceparent of version 00, or of a later one
// that begins in the same way.
func validParent(text string) bool {
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

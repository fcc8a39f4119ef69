package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// Trace returns the trace context of a request, in the form of jobs.Via; empty if it has none
// or an invalid one (W3C Trace Context, level 1).
func Trace(h http.Header) string {
	lines := h["Traceparent"]
	if len(lines) != 1 || !jobs.ValidTraceparent(lines[0]) {
		return ""
	}
	state := strings.Join(h["Tracestate"], ",")
	if state == "" || len(state) > maxTracestate {
		return lines[0]
	}
	for i := range len(state) {
		if state[i] < ' ' || state[i] > '~' {
			return lines[0]
		}
	}
	return lines[0] + " " + state
}

// maxTracestate is how many bytes of tracestate are passed on; the specification requires 512.
const maxTracestate = 512

// newTrace returns the trace context of a new trace.
func newTrace() string {
	var id [24]byte
	rand.Read(id[:])
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}

package jobs

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

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

// Trace is the W3C trace context of a job, in the form of Via.Trace. A traceparent header in
// the job's input takes precedence, as it does when the request is sent.
func (job *Job) Trace() string {
	if !bytes.Contains(job.Input, []byte("traceparent")) && !bytes.Contains(job.Input, []byte("Traceparent")) {
		return job.Via.Trace
	}
	var in struct {
		Headers map[string]Value `json:"headers"`
	}
	if json.Unmarshal(job.Input, &in) != nil {
		return job.Via.Trace
	}
	for name, value := range in.Headers {
		var text string
		if strings.EqualFold(name, "traceparent") && json.Unmarshal(value, &text) == nil && ValidTraceparent(text) {
			return text
		}
	}
	return job.Via.Trace
}

package call

import (
	"jobhub/jobs/httpheader"
	"net/http"
)

// has reports whether h has the header, even with an empty value.
func has(h http.Header, name string) bool {
	_, ok := h[http.CanonicalHeaderKey(name)]
	return ok
}

// reserved reports whether a caller may not set the header.
func reserved(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Content-Length", "Jobhub-Attempt":
		return true
	}
	return httpheader.IsHopByHop(name)
}

// safeCrossOrigin reports whether a header is sent on after a redirect to another origin. Any
// other header may be a credential, whatever its name.
func safeCrossOrigin(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Encoding",
		"Content-Language", "Content-Type", "Idempotency-Key", "Jobhub-Attempt", "User-Agent":
		return true
	}
	return false
}

// endToEnd returns the headers of an answer that are kept with it.
func endToEnd(h http.Header) http.Header {
	kept := h.Clone()
	httpheader.DropConnection(kept, h.Values("Connection"))
	for name := range kept {
		if httpheader.IsHopByHop(name) || name == "Content-Length" {
			delete(kept, name)
		}
	}
	return kept
}

// isFieldValue reports whether s can be the value of a header.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Package httpheader knows which names HTTP headers may have, and which of them are about one
// connection only and so not passed on.
package httpheader

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

// IsHopByHop reports whether a header is about one connection only (RFC 9110, section 7.6.1).
func IsHopByHop(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}

// DropConnection deletes the headers that values of Connection name: like Connection itself,
// they are about one connection only.
func DropConnection(h http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

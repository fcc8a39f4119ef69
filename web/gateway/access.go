package gateway

import (
	"slices"
	"strings"
)

// Methods are the ways in which callers of a route may identify themselves: key, none for
// everybody, or jwt: and the name of an issuer. If it is empty, the route takes what the hub
// itself takes.
type Methods []string

// Everybody reports whether callers need no credentials.
func (m Methods) Everybody() bool { return slices.Contains(m, "none") }

// Take reports whether callers may identify themselves in a way.
func (m Methods) Take(method string) bool { return len(m) == 0 || slices.Contains(m, method) }

// String returns the methods for people.
func (m Methods) String() string {
	texts := make([]string, len(m))
	for i, method := range m {
		issuer, token := strings.CutPrefix(method, "jwt:")
		switch {
		case token:
			texts[i] = "a token of " + issuer
		case method == "key":
			texts[i] = "a key of the hub"
		default:
			texts[i] = "no credentials"
		}
	}
	return strings.Join(texts, " or ")
}

// Scopes are the scopes that a request to a route needs, all of them, by method; * is the
// methods that are not named.
type Scopes map[string][]string

// For returns the scopes that requests with a method need.
func (s Scopes) For(method string) []string {
	if scopes, named := s[method]; named {
		return scopes
	}
	return s["*"]
}

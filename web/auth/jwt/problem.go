package jwt

import (
	"errors"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// unauthorized is the code of problems with status 401; see rest.Unauthorized.
const unauthorized jobs.Code = "unauthorized"

// refused is the answer to a token that is not valid. Its detail repeats nothing that was sent.
func refused(format string, args ...any) *jobs.Problem {
	p := jobs.NewProblem(unauthorized, "Invalid token", format, args...)
	p.Status = http.StatusUnauthorized
	return p
}

var (
	errMalformed = refused("This is not a signed JSON Web Token. Send the access token as the identity provider gave it.")
	errEncrypted = refused("Encrypted tokens are not taken. Ask the identity provider for a signed token.")
	errSignature = refused("The signature of the token is wrong. Get another token from the identity provider.")
	errNoKey     = refused("The identity provider publishes no key that fits this token. Get another token from it.")
)

func errUnavailable(why error) *jobs.Problem {
	return jobs.Unavailable("Tokens can't be verified", "The keys of the identity provider could not be fetched. Try again in a moment.").Because(why)
}

// Challenge returns the WWW-Authenticate header (RFC 6750, section 3) for an error of Verify
// with status 401; empty for other errors.
func Challenge(err error) string {
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || p.Status != http.StatusUnauthorized {
		return ""
	}
	description := strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, p.Detail)
	return `Bearer error="invalid_token", error_description="` + description + `"`
}

package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"jobhub/jobs"
)

// ReadQuery parses the query of a request. If allowed is given, other parameters are an
// error, which is a *jobs.Problem.
func ReadQuery(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", "The query can't be read: %v.", err)
	}
	return values, CheckParameters(values, allowed...)
}

// CheckParameters returns an error if a parameter is not in allowed. Without allowed it
// accepts all.
func CheckParameters(values url.Values, allowed ...string) error {
	for name := range values {
		if len(allowed) > 0 && !slices.Contains(allowed, name) {
			return BadParameter(name, "is unknown; known are "+strings.Join(allowed, ", "))
		}
	}
	return nil
}

// BadParameter returns the problem for a parameter of a query; detail completes the sentence
// "The parameter name …".
func BadParameter(name, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Malformed query", "The parameter %s %s.", name, detail)
	p.Errors = []jobs.MemberError{{Pointer: "/" + name, Detail: detail}}
	return p
}

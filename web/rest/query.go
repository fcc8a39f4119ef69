package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"jobhub/jobs"
)

// ReadQuery reads the query of a request; it may hold only these parameters, if there are
// any.
func ReadQuery(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", "The query can't be read: %v.", err)
	}
	return values, CheckParameters(values, allowed...)
}

// only refuses a parameter that is not among these, if there are any.
func CheckParameters(values url.Values, allowed ...string) error {
	for name := range values {
		if len(allowed) > 0 && !slices.Contains(allowed, name) {
			return BadParameter(name, "is not known here; there are "+strings.Join(allowed, ", "))
		}
	}
	return nil
}

// BadParameter refuses a parameter of a query.
func BadParameter(name, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Malformed query", "The parameter %s %s.", name, detail)
	p.Errors = []jobs.MemberError{{Pointer: "/" + name, Detail: detail}}
	return p
}

package transform

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"jobhub/web/gateway/transform/jq"
)

// RequestRules are the changes of a route's requests, as its configuration has them.
type RequestRules struct {
	Path    string // a template for the path at the upstream; empty to keep it
	Headers HeaderRules
	Query   QueryRules
	Body    string // a jq program; empty to keep the body
}

// ResponseRules are the changes of a route's answers.
type ResponseRules struct {
	Headers HeaderRules
	Body    string
}

// HeaderRules change headers: first those of Remove go, then those of Set replace all values
// of their name, then those of Add come behind the values there are. Values are templates.
type HeaderRules struct {
	Set, Add map[string]string
	Remove   []string
}

// QueryRules change the parameters of a query. Set replaces the first one of a name and removes
// the others; it appends one that is not there. Values are templates.
type QueryRules struct {
	Set    map[string]string
	Remove []string
}

// An Error is what is wrong with one rule.
type Error struct {
	At   string // the place in the rules, like headers.set.X-Who or body
	Text string // what is wrong and what to do
}

func (e Error) Error() string { return e.At + ": " + e.Text }

// Errors is all that is wrong with rules, in the order of the places.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A compiler collects errors.
type compiler struct {
	params []string // the names in the route's path
	errs   Errors
}

func (c *compiler) fail(at, format string, args ...any) {
	c.errs = append(c.errs, Error{at, fmt.Sprintf(format, args...)})
}

// Request is compiled RequestRules. The zero value changes nothing. It is safe for concurrent
// use.
type Request struct {
	path    *path
	headers headerEdits
	query   queryEdits
	body    *jq.Program
}

// Response is compiled ResponseRules. The zero value changes nothing. It is safe for
// concurrent use.
type Response struct {
	headers headerEdits
	body    *jq.Program
}

// CompileRequest compiles rules. params are the names of the parameters in the route's path:
// id in /orders/{id}. The error is of type Errors.
func CompileRequest(rules RequestRules, params []string) (*Request, error) {
	c := &compiler{params: params}
	t := &Request{
		path:    c.path("path", rules.Path),
		headers: c.headers("headers", rules.Headers, isRequestHeader),
		query:   c.query("query", rules.Query),
		body:    c.program("body", rules.Body),
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return t, nil
}

// CompileResponse compiles rules. params are the names of the parameters in the route's path.
// The error is of type Errors.
func CompileResponse(rules ResponseRules, params []string) (*Response, error) {
	c := &compiler{params: params}
	t := &Response{headers: c.headers("headers", rules.Headers, isResponseHeader), body: c.program("body", rules.Body)}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return t, nil
}

func (c *compiler) program(at, source string) *jq.Program {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	p, err := jq.Compile(source)
	if err != nil {
		c.fail(at, "%s", err)
	}
	return p
}

// sorted returns the keys of rules in a fixed order.
func sorted(rules map[string]string) []string { return slices.Sorted(maps.Keys(rules)) }

package openapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// Fault is one thing that is wrong with a request or an answer, or that has no effect in a
// document.
type Fault struct {
	In      string // path, query, header, cookie, body or status; empty for a document
	Pointer string // a JSON pointer: into the body or document, or like /query/limit
	Detail  string // what is wrong and what to do
	Status  int    // the HTTP status that it leads to: 400, 413, 415 or 422; 0 for a document
}

// Problem is the answer to a request with these faults, nil if there are none. Its status is
// 400 for a body that is not JSON, 413 for one with too many values, 415 for an unsupported
// media type, else 422.
func Problem(faults []Fault) *jobs.Problem {
	if len(faults) == 0 {
		return nil
	}
	p := jobs.NewProblem(jobs.BadMessage, "Invalid request", "The request does not fit the description of the API. See errors for what to correct.")
	p.Status = faults[0].Status
	switch p.Status {
	case http.StatusBadRequest:
		p.Title, p.Detail = "Malformed request", "The body is not one JSON document: "+faults[0].Detail
	case http.StatusRequestEntityTooLarge:
		p.Title, p.Code, p.Detail = "Body too large", jobs.TooLarge, "The body "+faults[0].Detail+"."
	case http.StatusUnsupportedMediaType:
		p.Title, p.Code, p.Detail = "Unsupported media type", jobs.Unsupported, "The body "+faults[0].Detail+"."
	}
	p.Type = "urn:jobhub:problem:" + string(p.Code)
	p.Errors = members(faults)
	return p
}

func members(faults []Fault) []jobs.MemberError {
	all := make([]jobs.MemberError, len(faults))
	for i, f := range faults {
		all[i] = jobs.MemberError{Pointer: f.Pointer, Detail: f.Detail}
	}
	return all
}

// report collects the errors and warnings of a document.
type report struct {
	errors   []Fault
	warnings []Fault
	more     int // errors beyond maxErrors
}

// failed reports whether so many errors were found that looking for more is of no use.
func (r *report) failed() bool { return len(r.errors) >= maxErrors }

func (r *report) fail(at *path, format string, args ...any) {
	if r.failed() {
		r.more++
		return
	}
	r.errors = append(r.errors, Fault{Pointer: at.pointer(), Detail: text(format, args...)})
}

func (r *report) warn(at *path, format string, args ...any) {
	switch {
	case len(r.warnings) < maxErrors:
		r.warnings = append(r.warnings, Fault{Pointer: at.pointer(), Detail: text(format, args...)})
	case len(r.warnings) == maxErrors:
		r.warnings = append(r.warnings, Fault{Detail: fmt.Sprintf("There are more than %d warnings; these are the first.", maxErrors)})
	}
}

// problem is the errors as one problem with status 422, nil without errors.
func (r *report) problem() error {
	if len(r.errors) == 0 {
		return nil
	}
	p := jobs.NewProblem(jobs.BadMessage, "Invalid OpenAPI document", "See errors for what to correct.")
	if r.more > 0 {
		p.Detail = fmt.Sprintf("These are the first %d errors; correct them to see the others.", len(r.errors))
	}
	p.Status = http.StatusUnprocessableEntity
	p.Errors = members(r.errors)
	return p
}

// refuse is the problem of a document that can't be read at all.
func refuse(pointer, format string, args ...any) error {
	r := report{errors: []Fault{{Pointer: pointer, Detail: text(format, args...)}}}
	return r.problem()
}

// text formats a detail; it is UTF-8 and of bounded length whatever the document holds.
func text(format string, args ...any) string {
	return clip.Shorten(strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd"), 1_000)
}

// short is a name or value of a document or request for use in a text, quoted and cut.
func short(s string) string { return strconv.Quote(clip.Shorten(s, 100)) }

// path is the place of a value inside a document or body, built on the way down and written
// only if something is wrong there.
type path struct {
	parent *path
	name   string
	index  int
	item   bool // the place is that of an item, by its index, not of a member
}

func (p *path) member(name string) *path { return &path{parent: p, name: name} }
func (p *path) at(i int) *path           { return &path{parent: p, index: i, item: true} }

// pointer is the place as a JSON pointer (RFC 6901), cut to 512 bytes.
func (p *path) pointer() string {
	var tokens []string
	for ; p != nil && (p.parent != nil || p.name != ""); p = p.parent {
		if p.item {
			tokens = append(tokens, strconv.Itoa(p.index))
		} else {
			tokens = append(tokens, pointerToken.Replace(clip.Shorten(p.name, 200)))
		}
	}
	var b strings.Builder
	for i := len(tokens) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(tokens[i])
	}
	return strings.ToValidUTF8(clip.Shorten(b.String(), 512), "\ufffd")
}

var pointerToken = strings.NewReplacer("~", "~0", "/", "~1")

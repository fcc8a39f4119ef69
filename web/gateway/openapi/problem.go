package openapi

import (
	"fmt"
	"net/http"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
)

// Fault is one thing that is wrong with a request or an answer, or that has no effect in a
// document.
type Fault = jsontree.Fault

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

// problemOf is the errors of a document as one problem with status 422, nil without errors.
func problemOf(r *jsontree.Report) error {
	if len(r.Errors) == 0 {
		return nil
	}
	p := jobs.NewProblem(jobs.BadMessage, "Invalid OpenAPI document", "See errors for what to correct.")
	if r.More > 0 {
		p.Detail = fmt.Sprintf("These are the first %d errors; correct them to see the others.", len(r.Errors))
	}
	p.Status = http.StatusUnprocessableEntity
	p.Errors = members(r.Errors)
	return p
}

// refuse is the problem of a document that can't be read at all.
func refuse(pointer, format string, args ...any) error {
	return problemOf(&jsontree.Report{Errors: []Fault{{Pointer: pointer, Detail: jsontree.Detail(format, args...)}}})
}

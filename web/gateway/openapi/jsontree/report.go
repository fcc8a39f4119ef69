package jsontree

import (
	"fmt"
	"strconv"
	"strings"

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

// Report collects the errors and warnings of a document.
type Report struct {
	Errors   []Fault
	Warnings []Fault
	More     int // errors beyond MaxErrors
}

// Failed reports whether so many errors were found that looking for more is of no use.
func (r *Report) Failed() bool { return len(r.Errors) >= MaxErrors }

// Fail adds an error; one beyond MaxErrors is only counted.
func (r *Report) Fail(at *Path, format string, args ...any) {
	if r.Failed() {
		r.More++
		return
	}
	r.Errors = append(r.Errors, Fault{Pointer: at.Pointer(), Detail: Detail(format, args...)})
}

// Warn adds a warning; of those beyond MaxErrors it says only that there are more.
func (r *Report) Warn(at *Path, format string, args ...any) {
	switch {
	case len(r.Warnings) < MaxErrors:
		r.Warnings = append(r.Warnings, Fault{Pointer: at.Pointer(), Detail: Detail(format, args...)})
	case len(r.Warnings) == MaxErrors:
		r.Warnings = append(r.Warnings, Fault{Detail: fmt.Sprintf("There are more than %d warnings; these are the first.", MaxErrors)})
	}
}

// Detail formats a detail; it is UTF-8 and of bounded length whatever the document holds.
func Detail(format string, args ...any) string {
	return clip.Shorten(strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd"), 1_000)
}

// Quote is a name or value of a document or request for use in a text, quoted and cut.
func Quote(s string) string { return strconv.Quote(clip.Shorten(s, 100)) }

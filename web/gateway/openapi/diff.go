package openapi

import (
	"errors"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oasdiff/oasdiff/checker"
	"github.com/oasdiff/oasdiff/diff"
	"github.com/oasdiff/oasdiff/load"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// maxUnrolled bounds, in schemas, what oasdiff writes out to compare two documents: about two
// seconds of work.
const maxUnrolled = 200_000

// Change is one difference between two versions.
type Change struct {
	Text   string `json:"text"`
	Path   string `json:"path"`
	Method string `json:"method"`
}

// Comparison is the differences between two versions, as oasdiff judges them: what breaks
// callers, or may break them, and what does not.
type Comparison struct {
	Breaking   []Change `json:"breaking"`
	Compatible []Change `json:"compatible"`
}

// Diff compares two versions of a document. It takes some seconds for large documents that
// refer to themselves in many places. kin-openapi reads minimum, maximum and multipleOf as
// float64, so a change beyond 15 digits of these is not seen. Its error is a *jobs.Problem with
// status 422.
func Diff(old, new *Document) (c Comparison, err error) {
	defer func() {
		// The two libraries read documents that come from outside.
		if p := recover(); p != nil {
			err = cannotCompare("a library failed on them")
		}
	}()
	if schema.Unrolls(old.compiled, maxUnrolled) || schema.Unrolls(new.compiled, maxUnrolled) {
		return c, cannotCompare("a schema in allOf, anyOf or oneOf leads to too many others; give it a name in components/schemas and refer to it with $ref")
	}
	before, err := old.kin()
	if err != nil {
		return c, cannotCompare("the old one: " + err.Error())
	}
	after, err := new.kin()
	if err != nil {
		return c, cannotCompare("the new one: " + err.Error())
	}
	report, sources, err := diff.GetWithOperationsSourcesMap(diff.NewConfig(), &load.SpecInfo{Url: "old", Spec: before}, &load.SpecInfo{Url: "new", Spec: after})
	if err != nil {
		return c, cannotCompare(err.Error())
	}
	c = Comparison{Breaking: []Change{}, Compatible: []Change{}}
	words := checker.NewDefaultLocalizer()
	for _, one := range checker.CheckBackwardCompatibilityUntilLevel(checker.NewConfig(checker.GetAllChecks()), report, sources, checker.INFO) {
		if one.GetPath() == "" && slices.Contains(aboutVersion, one.GetId()) {
			continue
		}
		change := Change{Text: one.GetUncolorizedText(words), Path: one.GetPath(), Method: one.GetOperation()}
		if one.IsBreaking() {
			c.Breaking = append(c.Breaking, change)
		} else {
			c.Compatible = append(c.Compatible, change)
		}
	}
	return c, nil
}

// aboutVersion is oasdiff's opinions about info.version; versions are the catalogue's affair.
var aboutVersion = []string{checker.APIVersionNotBumpedId, checker.APIVersionDecreasedId, checker.APIMajorVersionNotBumpedId}

func cannotCompare(why string) *jobs.Problem {
	p := jobs.NewProblem(jobs.BadMessage, "Documents can't be compared", "%s", jsontree.Detail("The two documents can't be compared: %s.", why))
	p.Status = 422
	return p
}

var errOutside = errors.New("nothing outside of the document is read")

// kin is the document as kin-openapi has it.
func (d *Document) kin() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = false
	loader.ReadFromURIFunc = func(*openapi3.Loader, *url.URL) ([]byte, error) { return nil, errOutside }
	return loader.LoadFromData(d.json)
}

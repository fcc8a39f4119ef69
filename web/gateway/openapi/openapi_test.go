package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"jobhub/jobs"
)

// parse parses a document that must be accepted.
func parse(t testing.TB, doc string) *Document {
	t.Helper()
	d, err := Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func orders(t testing.TB) *Document {
	t.Helper()
	data, err := os.ReadFile("testdata/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

// refused is the places and texts of the errors of a document, one a line.
func refused(t testing.TB, doc string) string {
	t.Helper()
	_, err := Parse([]byte(doc))
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || p.Status != 422 || len(p.Errors) == 0 {
		t.Fatalf("error %v, want a problem with status 422 and errors", err)
	}
	var b strings.Builder
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "%s: %s\n", e.Pointer, e.Detail)
	}
	return b.String()
}

// with is a document with these schemas; S is the body of POST /a.
func with(version, schemas string) string {
	return `{"openapi":"` + version + `","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/S"}}}},
		"responses":{"200":{"description":"x","content":{"application/json":{"schema":{"$ref":"#/components/schemas/S"}}}}}}}},"components":{"schemas":` + schemas + `}}`
}

// withPaths is a document of OpenAPI 3.1 with these paths.
func withPaths(paths string) string {
	return `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":` + paths + `}`
}

// ask checks a request and returns its faults, one a line.
func ask(t testing.TB, d *Document, method, target string, header http.Header, body string) string {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	m := d.Find("", method, r.URL.EscapedPath())
	if m.Operation == nil {
		t.Fatalf("%s %s has no operation", method, target)
	}
	return lines(m.Operation.ValidateRequest(r, m.Params, []byte(body)))
}

func lines(faults []Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, fmt.Sprintf("%d %s %s: %s", f.Status, f.In, f.Pointer, f.Detail))
	}
	return strings.Join(all, "\n")
}

// checkBody checks a body of POST /a of a document made by with.
func checkBody(t testing.TB, d *Document, body string) string {
	t.Helper()
	return ask(t, d, "POST", "/a", nil, body)
}

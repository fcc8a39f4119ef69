package schema

import (
	"fmt"
	"strings"
	"testing"

	"jobhub/web/gateway/openapi/jsontree"
)

// document is the schemas of a test; S is the one that values are checked against.
type document struct {
	data     []byte
	s        *Schema
	compiled []*Schema
}

// compile compiles the schemas of an object. The report holds what is wrong with them; the error
// says why they can't be read.
func compile(v31 bool, schemas string) (document, *jsontree.Report, error) {
	data := []byte(`{"components":{"schemas":` + schemas + `}}`)
	root, err := jsontree.Read(data)
	if err != nil {
		return document{}, nil, err
	}
	d, r := document{data: data}, &jsontree.Report{}
	c := NewCompiler(root, v31, r)
	at := (&jsontree.Path{}).Member("components").Member("schemas")
	all := root.Get("components").Get("schemas")
	for i, name := range all.Names {
		one := c.SchemaAt(all.Items[i], at.Member(name))
		if name == "S" {
			d.s = one
		}
	}
	c.CompileAll()
	d.compiled = c.Compiled()
	return d, r, nil
}

// accepted compiles schemas that must be accepted.
func accepted(t testing.TB, v31 bool, schemas string) document {
	t.Helper()
	d, r, err := compile(v31, schemas)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Errors) > 0 {
		t.Fatal(lines(r.Errors))
	}
	return d
}

// checkBody checks the body of a request against S and returns its faults, one a line.
func checkBody(t testing.TB, d document, body string) string {
	t.Helper()
	v, err := jsontree.Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	c := NewCheck(t.Context(), InRequest)
	if ok := c.Value(d.s, v, &jsontree.Path{}); ok != (len(c.Faults) == 0) {
		t.Errorf("%s: verdict %v with faults %q", body, ok, lines(c.Faults))
	}
	return lines(c.Faults)
}

func lines(faults []jsontree.Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, fmt.Sprintf("%d %s %s: %s", f.Status, f.In, f.Pointer, f.Detail))
	}
	return strings.Join(all, "\n")
}

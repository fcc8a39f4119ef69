package schema

import (
	"strings"
	"testing"
)

// TestErrors: what a Compiler refuses, with its place.
func TestErrors(t *testing.T) {
	for schemas, want := range map[string]string{
		`{"S":{"$ref":"other.json"}}`:                                "/components/schemas/S/$ref: refers to \"other.json\", which is outside",
		`{"S":{"$ref":"#/components/schemas/T"}}`:                    "/components/schemas/S/$ref: refers to \"#/components/schemas/T\", which is not in",
		`{"S":{"properties":{"a":{"pattern":"(?=a)"}}}}`:             "/components/schemas/S/properties/a/pattern: is not a regular expression",
		`{"S":{"allOf":[{"$ref":"#/components/schemas/S"}]}}`:        "/components/schemas/S: leads to itself",
		`{"S":{"maxLength":-1}}`:                                     "/components/schemas/S/maxLength: must be a whole number that is not negative",
		`{"S":{"minItems":1.5}}`:                                     "/components/schemas/S/minItems: must be a whole number that is not negative",
		`{"S":{"items":{"$ref":"#/components/schemas/S"}}}`:          "",
		`{"S":{"$ref":"#/components/schemas/T~1~0"},"T/~":{}}`:       "",
		`{"S":{"maxLength":-0},"T":{"$ref":"#/components/schemas"}}`: "",
	} {
		_, r, err := compile(true, schemas)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(r.Errors); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: errors %q, want %q", schemas, got, want)
		}
	}
}

// TestUnrolls: schemas in allOf that double with each level are counted as written out.
func TestUnrolls(t *testing.T) {
	d := accepted(t, true, `{"S":{"allOf":[{"properties":{"a":{"$ref":"#/components/schemas/T"},"b":{"$ref":"#/components/schemas/T"}}}]},
		"T":{"properties":{"a":{"$ref":"#/components/schemas/U"},"b":{"$ref":"#/components/schemas/U"}}},"U":{}}`)
	// The one in allOf; a and b in it with T each; in each T a and b with U each.
	if Unrolls(d.compiled, 13) || !Unrolls(d.compiled, 12) {
		t.Error("it does not lead to 13 schemas")
	}
}

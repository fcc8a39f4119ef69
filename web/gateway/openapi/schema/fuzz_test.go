package schema

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
)

// FuzzAgainstJSONSchema compares the verdicts with those of another implementation.
func FuzzAgainstJSONSchema(f *testing.F) {
	for _, c := range [][2]string{
		{`{"type":"object","properties":{"a":{"type":"integer","multipleOf":0.1}},"required":["a"],"additionalProperties":false}`, `{"a":1.10}`},
		{`{"oneOf":[{"type":"string"},{"minimum":3}],"not":{"const":7}}`, `7`},
		{`{"prefixItems":[{"type":"null"}],"items":{"enum":[1,"a",{}]},"contains":{"const":1},"uniqueItems":true,"minContains":0}`, `[null,1.0,"a"]`},
		{`{"patternProperties":{"^a":{"maxLength":1}},"propertyNames":{"minLength":1},"dependentRequired":{"a":["b"]},"dependentSchemas":{"b":{"maxProperties":1}}}`, `{"a":"xx","b":1}`},
		{`{"if":{"required":["a"]},"then":{"properties":{"b":true}},"else":false,"unevaluatedProperties":false,"allOf":[{"properties":{"a":{}}}]}`, `{"a":1,"b":2,"c":3}`},
		{`{"anyOf":[{"prefixItems":[true]},{"contains":{"type":"string"}}],"unevaluatedItems":{"type":"integer"}}`, `[1,"a",2.5]`},
	} {
		f.Add([]byte(c[0]), []byte(c[1]))
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		if bytes.Contains(schema, []byte("ref")) || bytes.Contains(schema, []byte("discriminator")) || bytes.Contains(schema, []byte("Only")) || bytes.Contains(schema, []byte("format")) || bytes.ContainsAny(value, "eE") && bytes.ContainsAny(value, "0123456789") || bytes.ContainsAny(schema, "\\") {
			return // OpenAPI's own words, and numbers that the other one takes long for
		}
		if !(jobs.Value(schema)).IsValid() {
			return
		}
		d, r, err := compile(true, `{"S":`+string(schema)+`}`)
		if err != nil || len(r.Errors) > 0 {
			return
		}
		v, err := jsontree.Read(value)
		if err != nil {
			return
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		if err != nil {
			return
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("urn:schema", doc); err != nil {
			return
		}
		other, err := c.Compile("urn:schema")
		if err != nil {
			return // it checks more of the schema, like $anchor
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
		if err != nil {
			return
		}
		want := other.Validate(instance)
		ours := NewCheck(t.Context(), EitherWay)
		if got := ours.Value(d.s, v, &jsontree.Path{}); got != (want == nil) {
			t.Fatalf("%s with %s: %v %s, but the other one says %v", schema, value, got, lines(ours.Faults), want)
		}
	})
}

package schema

import (
	"fmt"
	"strings"
	"testing"
)

// TestNumbers: what float64 can't tell apart is told apart.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		schema, value string
		valid         bool
	}{
		{`{"maximum":9007199254740992}`, "9007199254740993", false},
		{`{"maximum":9007199254740993}`, "9007199254740993", true},
		{`{"exclusiveMinimum":9007199254740992}`, "9007199254740993", true},
		{`{"exclusiveMaximum":0.1000000000000000055511151231257827}`, "0.1", true},
		{`{"minimum":0.1000000000000000055511151231257827}`, "0.1", false},
		{`{"const":9007199254740993}`, "9007199254740992", false},
		{`{"const":1}`, "1.0", true},
		{`{"const":1.0}`, "10e-1", true},
		{`{"enum":[1e400]}`, "1e400", true},
		{`{"enum":[1e400]}`, "1e401", false},
		{`{"enum":[0]}`, "-0.0e9", true},
		{`{"type":"integer"}`, "1e400", true},
		{`{"type":"integer"}`, "1.00", true},
		{`{"type":"integer"}`, "1e-1", false},
		{`{"type":"integer"}`, "10e-1", true},
		{`{"multipleOf":0.01}`, "1.10", true},
		{`{"multipleOf":0.01}`, "1.101", false},
		{`{"multipleOf":3}`, "9007199254740993", true},
		{`{"multipleOf":3}`, "9007199254740994", false},
		{`{"multipleOf":7}`, "7e999999999", true},
		{`{"multipleOf":7}`, "1e999999999", false},
		{`{"multipleOf":1e999999999}`, "1", false},
		{`{"multipleOf":1e-999999999}`, "1", true},
		{`{"multipleOf":5}`, "-10", true},
		{`{"maximum":1e999999999}`, "1e-999999999", true},
		{`{"minimum":-1e999999999}`, "-1e999999999", true},
		{`{"maximum":-5}`, "-4.9", false},
		{`{"type":"integer","format":"int64"}`, "9223372036854775807", true},
		{`{"type":"integer","format":"int64"}`, "9223372036854775808", false},
		{`{"type":"integer","format":"int32"}`, "-2147483649", false},
		{`{"type":"number","format":"double"}`, "1e400", false},
		{`{"type":"array","uniqueItems":true}`, "[9007199254740992,9007199254740993]", true},
		{`{"type":"array","uniqueItems":true}`, "[1,1.0]", false},
		{`{"type":"array","uniqueItems":true}`, `[{"a":1,"b":2},{"b":2,"a":1e0}]`, false},
		{`{"minLength":2}`, `"ä"`, false},
		{`{"maxLength":100000000000000000000}`, `"ä"`, true},
	} {
		d := accepted(t, true, `{"S":`+c.schema+`}`)
		if got := checkBody(t, d, c.value); (got == "") != c.valid {
			t.Errorf("%s with %s: faults %q, want valid %v", c.schema, c.value, got, c.valid)
		}
	}
}

// TestSchemasOf30 has what OpenAPI 3.0 writes in its own way.
func TestSchemasOf30(t *testing.T) {
	for _, c := range []struct {
		schema, value, want string
	}{
		{`{"type":"string","nullable":true}`, "null", ""},
		{`{"type":"string"}`, "null", "must be a text, not null"},
		{`{"nullable":true,"enum":["a"]}`, "null", "must be one of"}, // without type it has no effect
		{`{"type":"string","nullable":true,"enum":["a",null]}`, "null", ""},
		{`{"minimum":1,"exclusiveMinimum":true}`, "1", "must be above 1"},
		{`{"minimum":1,"exclusiveMinimum":false}`, "1", ""},
		{`{"maximum":1,"exclusiveMaximum":true}`, "1", "must be below 1"},
		{`{"type":"object","additionalProperties":false,"properties":{"a":{}}}`, `{"b":1}`, "/b: is unknown here"},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, `{"b":"x"}`, "/b: must be a whole number"},
		{`{"allOf":[{"required":["a"]},{"properties":{"a":{"readOnly":true}}}]}`, `{}`, ""},
		{`{"allOf":[{"$ref":"#/components/schemas/T"}],"required":["t"]}`, `{}`, ""},
		{`{"type":"object","properties":{"t":{"allOf":[{"$ref":"#/components/schemas/T/properties/t"}]}}}`, `{"t":1}`, "/t: is set by the API alone"},
	} {
		d := accepted(t, false, `{"S":`+c.schema+`,"T":{"properties":{"t":{"readOnly":true}}}}`)
		if got := checkBody(t, d, c.value); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s with %s: faults %q, want %q", c.schema, c.value, got, c.want)
		}
	}
}

// TestFaults: what people read.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`false`, "1", "422 body : is not allowed here"},
		{`{"type":["string","null"]}`, "1", "must be null or a text, not 1"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "1", "fits several of the 2 alternatives (oneOf), but must fit just one"},
		{`{"anyOf":[{"type":"object","required":["a"]},{"type":"string"}]}`, "{}", "422 body /a: is missing"},
		{`{"anyOf":[{"type":"object","required":["a"]},{"type":"object","required":["b"]}]}`, "{}", "fits none of the 2 alternatives"},
		{`{"not":{"type":"string"}}`, `"a"`, "has a form that is excluded (not)"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `/b: is missing; it is needed with "a"`},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`, "/ab: has 2 characters"},
		{`{"contains":{"const":1},"maxContains":1}`, "[1,1]", "may have at most 1"},
		{`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, "/b: is missing"},
		{`{"properties":{"a":true},"unevaluatedProperties":false}`, `{"a":1,"b":2}`, "/b: is not allowed here"},
		{`{"const":{"a":1}}`, `{"a":2}`, "is an object, but must be an object"},
		{`{"minProperties":1}`, `{}`, "has 0 members, but must have at least 1"},
		{`{"prefixItems":[{"type":"string"}],"items":false}`, `["a",1]`, "/1: is not allowed here"},
	} {
		d := accepted(t, true, `{"S":`+c.schema+`}`)
		if got := checkBody(t, d, c.value); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s with %s: %q, want %q", c.schema, c.value, got, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for format, values := range map[string][2]string{
		"date": {"2024-02-29", "2023-02-29"}, "date-time": {"2026-01-31T10:00:00Z", "2026-01-31"}, "time": {"10:00:00Z", "25:00:00Z"}, "duration": {"PT1H", "1h"},
		"uuid": {"123e4567-e89b-12d3-a456-426614174000", "123"}, "email": {"a@example.com", "a"}, "hostname": {"example.com", "-a-"}, "ipv4": {"127.0.0.1", "127.1"},
		"ipv6": {"::1", "1"}, "uri": {"https://example.com", "/a"}, "uri-reference": {"/a", "\\"}, "json-pointer": {"/a", "a"}, "byte": {"YQ==", "?"},
	} {
		d := accepted(t, true, `{"S":{"type":"string","format":"`+format+`"}}`)
		for i, value := range values {
			if got := checkBody(t, d, fmt.Sprintf("%q", value)); (got == "") != (i == 0) {
				t.Errorf("%s %s: faults %q", format, value, got)
			}
		}
		if sample := NewSampler(t.Context(), d.data, InRequest).Sample(d.s); checkBody(t, d, string(sample)) != "" {
			t.Errorf("the sample of %s is %s", format, sample)
		}
	}
	d := accepted(t, true, `{"S":{"type":"string","format":"team-colour"}}`)
	if got := checkBody(t, d, `"x"`); got != "" {
		t.Errorf("an unknown format: %q", got)
	}
}

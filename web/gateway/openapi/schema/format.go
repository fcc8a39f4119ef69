package schema

import (
	"encoding/base64"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"jobhub/web/gateway/openapi/jsontree"
)

// format is a known value of the keyword format. Unknown formats are for people.
type format struct {
	what   string // for texts
	text   func(string) bool
	number func(jsontree.Decimal) bool
}

// formats is the formats of JSON Schema, as package jsonschema checks them, and those of
// OpenAPI. It leaves out uri-template, of
// which that package refuses valid ones, and regex, which means expressions of ECMA-262.
var formats = sync.OnceValue(func() map[string]*format {
	all := map[string]*format{
		"int32":  {what: "a whole number of 32 bits", number: between("-2147483648", "2147483647", true)},
		"int64":  {what: "a whole number of 64 bits", number: between("-9223372036854775808", "9223372036854775807", true)},
		"float":  {what: "a number of 32 bits", number: between("-3.4028234663852886e38", "3.4028234663852886e38", false)},
		"double": {what: "a number of 64 bits", number: between("-1.7976931348623157e308", "1.7976931348623157e308", false)},
		"byte": {what: "in Base64", text: func(s string) bool {
			_, err := base64.StdEncoding.DecodeString(s)
			return err == nil
		}},
	}
	for name, what := range map[string]string{
		"date": "a date, like 2026-01-31", "date-time": "a time with its date and offset, like 2026-01-31T10:00:00Z", "time": "a time with its offset, like 10:00:00Z",
		"duration": "an ISO 8601 duration, like PT30S", "uuid": "a UUID, like 123e4567-e89b-12d3-a456-426614174000", "email": "an e-mail address",
		"hostname": "a host name", "ipv4": "an IPv4 address", "ipv6": "an IPv6 address", "uri": "a URI with a scheme", "uri-reference": "a URI or a relative reference",
		"iri": "an IRI with a scheme", "iri-reference": "an IRI or a relative reference", "json-pointer": "a JSON pointer",
		"relative-json-pointer": "a relative JSON pointer",
	} {
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("urn:format", map[string]any{"format": name}); err != nil {
			panic(err) // only if package jsonschema no longer takes a plain schema
		}
		valid := c.MustCompile("urn:format").Format.Validate
		all[name] = &format{what: what, text: func(s string) bool { return valid(s) == nil }}
	}
	return all
})

func between(least, most string, whole bool) func(jsontree.Decimal) bool {
	low, high := jsontree.ParseDecimal(least), jsontree.ParseDecimal(most)
	return func(d jsontree.Decimal) bool {
		return d.Compare(low) >= 0 && d.Compare(high) <= 0 && (!whole || d.IsInteger())
	}
}

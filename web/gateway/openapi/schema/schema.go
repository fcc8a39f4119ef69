package schema

import (
	"regexp"

	"jobhub/web/gateway/openapi/jsontree"
)

// kinds is a set of JSON types.
type kinds uint8

const (
	isNull kinds = 1 << iota
	isBoolean
	isInteger
	isNumber // also of integers
	isString
	isArray
	isObject

	anyKind = isNull | isBoolean | isInteger | isNumber | isString | isArray | isObject
)

var kindNames = []struct {
	name string
	kind kinds
	text string // with its article
}{
	{"null", isNull, "null"}, {"boolean", isBoolean, "true or false"}, {"integer", isInteger, "a whole number"}, {"number", isNumber, "a number"},
	{"string", isString, "a text"}, {"array", isArray, "a list"}, {"object", isObject, "an object"},
}

// Schema is a JSON Schema (2020-12, to which those of OpenAPI 3.0 are converted). Limits that
// are not given are nil.
type Schema struct {
	Node  *jsontree.Node // its source, for samples and pages
	never bool           // the schema false

	types    kinds // 0 for all
	ref      *Schema
	refName  string
	enum     map[string]bool // canonical values; nil if not given
	constant *string         // canonical
	format   *format

	minimum, maximum, above, below, multipleOf *jsontree.Decimal

	minLength, maxLength *jsontree.Decimal
	pattern              *pattern

	items, contains, unevaluatedItems *Schema
	prefix                            []*Schema
	minItems, maxItems                *jsontree.Decimal
	minContains, maxContains          *jsontree.Decimal
	unique                            bool

	properties                     map[string]*Schema
	patterns                       []patternProperty
	additional, unevaluated, names *Schema
	required                       []string
	minProperties, maxProperties   *jsontree.Decimal
	dependentRequired              map[string][]string
	dependentSchemas               map[string]*Schema
	allOf, anyOf, oneOf            []*Schema
	not, when, then, otherwise     *Schema
	discriminator                  *discriminator
	readOnly, writeOnly            bool

	possible kinds // which kinds of value it can allow
}

type patternProperty struct {
	pattern *pattern
	schema  *Schema
}

// discriminator says by which property one of the schemas of oneOf or anyOf is chosen.
type discriminator struct {
	property string
	mapping  map[string]*Schema
}

// pattern is a regular expression with the number of instructions that it takes.
type pattern struct {
	*regexp.Regexp
	instructions int
}

// inPlace calls f for the schemas that are applied to the same value as s.
func (s *Schema) inPlace(f func(*Schema)) {
	for _, one := range []*Schema{s.ref, s.not, s.when, s.then, s.otherwise} {
		if one != nil {
			f(one)
		}
	}
	for _, list := range [][]*Schema{s.allOf, s.anyOf, s.oneOf} {
		for _, one := range list {
			f(one)
		}
	}
	for _, one := range s.dependentSchemas {
		f(one)
	}
	if s.discriminator != nil {
		for _, one := range s.discriminator.mapping {
			f(one)
		}
	}
}

// possibleKinds is which kinds of value a schema can allow, from those of the schemas in place.
func (s *Schema) possibleKinds() kinds {
	if s.never {
		return 0
	}
	all := anyKind
	if s.types != 0 {
		all = s.types
		if all&isNumber != 0 {
			all |= isInteger
		}
	}
	if s.ref != nil {
		all &= s.ref.possible
	}
	for _, one := range s.allOf {
		all &= one.possible
	}
	for _, list := range [][]*Schema{s.anyOf, s.oneOf} {
		if len(list) > 0 {
			var some kinds
			for _, one := range list {
				some |= one.possible
			}
			all &= some
		}
	}
	return all
}

// Property is the schema of a property, looked for through references and allOf; nil if there
// is none.
func (s *Schema) Property(name string) *Schema {
	var found *Schema
	s.walk(func(one *Schema) bool {
		found = one.properties[name]
		return found != nil
	})
	return found
}

// walk calls f for s and what it refers to and combines, each once, until f returns true or
// a thousand were seen.
func (s *Schema) walk(f func(*Schema) bool) {
	seen := map[*Schema]bool{}
	queue := []*Schema{s}
	for len(queue) > 0 && len(seen) < 1_000 && len(queue) < 10_000 {
		one := queue[0]
		queue = queue[1:]
		if one == nil || seen[one] {
			continue
		}
		seen[one] = true
		if f(one) {
			return
		}
		queue = append(append(append(append(queue, one.ref), one.allOf...), one.anyOf...), one.oneOf...)
	}
}

// flag reports whether a schema, or what it refers to, is readOnly or writeOnly.
func (s *Schema) flag(of func(*Schema) bool) bool {
	for range MaxRefChain {
		switch {
		case s == nil:
			return false
		case of(s):
			return true
		}
		if s.ref == nil && len(s.allOf) == 1 {
			s = s.allOf[0] // how OpenAPI 3.0 puts something beside a reference
		} else {
			s = s.ref
		}
	}
	return false
}

func isReadOnly(s *Schema) bool  { return s.readOnly }
func isWriteOnly(s *Schema) bool { return s.writeOnly }

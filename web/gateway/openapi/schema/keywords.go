package schema

import (
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
)

// dialects are what only one of the versions knows of a schema. What the other one knows has no
// effect and is a warning.
var (
	only30 = []string{"nullable"}
	only31 = []string{"const", "contains", "minContains", "maxContains", "prefixItems", "patternProperties", "propertyNames", "unevaluatedItems",
		"unevaluatedProperties", "dependentRequired", "dependentSchemas", "if", "then", "else", "examples", "contentEncoding", "contentMediaType",
		"contentSchema", "$defs", "$comment", "$anchor", "$dynamicAnchor", "$schema", "$id"}
)

// keyword reads one member of a schema.
func (c *compiling) keyword(name string, v *jsontree.Node, at *jsontree.Path) {
	if c.V31 && slices.Contains(only30, name) {
		c.Warn(at, "is no keyword of OpenAPI 3.1 and has no effect; write type: [..., \"null\"]")
		return
	}
	if !c.V31 && slices.Contains(only31, name) {
		c.Warn(at, "is no keyword of OpenAPI 3.0 and has no effect; use OpenAPI 3.1")
		return
	}
	switch name {
	case "type":
		c.typeOf(v, at)
	case "enum":
		if v.Kind != '[' || len(v.Items) == 0 {
			c.Fail(at, "must be a list of values that is not empty")
			return
		}
		c.enum = make(map[string]bool, len(v.Items))
		for _, item := range v.Items {
			c.enum[string(appendCanonical(nil, item))] = true
		}
	case "const":
		text := string(appendCanonical(nil, v))
		c.constant = &text
	case "format":
		if v.Kind != '"' {
			c.Fail(at, "must be a text")
			return
		}
		c.format = formats()[v.Text]
	case "readOnly":
		c.readOnly = c.boolean(v, at)
	case "writeOnly":
		c.writeOnly = c.boolean(v, at)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		c.bound(name, v, at)
	case "minLength":
		c.minLength = c.count(v, at)
	case "maxLength":
		c.maxLength = c.count(v, at)
	case "pattern":
		if v.Kind != '"' {
			c.Fail(at, "must be a text")
			return
		}
		c.pattern = c.compilePattern(v.Text, at)
	case "allOf":
		c.allOf = c.list(v, at, false)
	case "anyOf":
		c.anyOf = c.list(v, at, false)
	case "oneOf":
		c.oneOf = c.list(v, at, false)
	case "not":
		c.not = c.sub(v, at)
	case "if":
		c.when = c.sub(v, at)
	case "then":
		c.then = c.sub(v, at)
	case "else":
		c.otherwise = c.sub(v, at)
	case "discriminator":
		c.discriminate(v, at)
	case "$defs":
		c.mapOf(v, at)
	case "$id", "$dynamicRef", "$recursiveRef":
		c.Fail(at, "is not supported; use $ref with #/components/schemas/…")
	case "$schema":
		if s := strings.TrimSuffix(v.Text, "#"); s != "https://json-schema.org/draft/2020-12/schema" && !strings.HasPrefix(s, "https://spec.openapis.org/oas/3.1/dialect/") {
			c.Fail(at, "names another dialect than JSON Schema 2020-12, which is what is supported")
		}
	case "$ref", "nullable", "title", "description", "default", "example", "examples", "deprecated", "externalDocs", "xml", "$comment", "$anchor", "$dynamicAnchor",
		"contentEncoding", "contentMediaType", "contentSchema": // for people and tools
	default:
		if !c.ofArrays(name, v, at) && !c.ofObjects(name, v, at) && !strings.HasPrefix(name, "x-") {
			c.Warn(at, "is no keyword of a schema and has no effect")
		}
	}
}

func (c *compiling) ofArrays(name string, v *jsontree.Node, at *jsontree.Path) bool {
	switch name {
	case "items":
		c.items = c.sub(v, at)
	case "prefixItems":
		c.prefix = c.list(v, at, true)
	case "contains":
		c.contains = c.sub(v, at)
	case "unevaluatedItems":
		c.unevaluatedItems = c.sub(v, at)
	case "minItems":
		c.minItems = c.count(v, at)
	case "maxItems":
		c.maxItems = c.count(v, at)
	case "minContains":
		c.minContains = c.count(v, at)
	case "maxContains":
		c.maxContains = c.count(v, at)
	case "uniqueItems":
		c.unique = c.boolean(v, at)
	default:
		return false
	}
	return true
}

func (c *compiling) ofObjects(name string, v *jsontree.Node, at *jsontree.Path) bool {
	switch name {
	case "properties":
		c.properties = c.mapOf(v, at)
	case "additionalProperties":
		c.additional = c.subOrBool(v, at)
	case "unevaluatedProperties":
		c.unevaluated = c.sub(v, at)
	case "propertyNames":
		c.names = c.sub(v, at)
	case "patternProperties":
		schemas := c.mapOf(v, at)
		for _, text := range v.Names {
			if p := c.compilePattern(text, at.Member(text)); p != nil && schemas[text] != nil {
				c.patterns = append(c.patterns, patternProperty{p, schemas[text]})
			}
		}
	case "required":
		c.required = c.strings(v, at)
	case "minProperties":
		c.minProperties = c.count(v, at)
	case "maxProperties":
		c.maxProperties = c.count(v, at)
	case "dependentSchemas":
		c.dependentSchemas = c.mapOf(v, at)
	case "dependentRequired":
		if v.Kind != '{' {
			c.Fail(at, "must be an object of lists")
			return true
		}
		c.dependentRequired = map[string][]string{}
		for i, name := range v.Names {
			c.dependentRequired[name] = c.strings(v.Items[i], at.Member(name))
		}
	default:
		return false
	}
	return true
}

// bound reads a limit of numbers. In OpenAPI 3.0 exclusiveMinimum and exclusiveMaximum are true
// or false, and say what minimum and maximum mean.
func (c *compiling) bound(name string, v *jsontree.Node, at *jsontree.Path) {
	if !c.V31 && (name == "exclusiveMinimum" || name == "exclusiveMaximum") {
		of := strings.ToLower(strings.TrimPrefix(name, "exclusive"))
		if c.boolean(v, at) && c.n.Get(of) == nil {
			c.Warn(at, "has no effect without %s", of)
		}
		return
	}
	d := c.number(v, at)
	switch name {
	case "minimum":
		if c.isTrue("exclusiveMinimum") {
			c.above = d
		} else {
			c.minimum = d
		}
	case "maximum":
		if c.isTrue("exclusiveMaximum") {
			c.below = d
		} else {
			c.maximum = d
		}
	case "exclusiveMinimum":
		c.above = d
	case "exclusiveMaximum":
		c.below = d
	case "multipleOf":
		if d != nil && d.Sign() <= 0 {
			c.Fail(at, "must be above zero")
			return
		}
		c.multipleOf = d
	}
}

func (c *compiling) typeOf(v *jsontree.Node, at *jsontree.Path) {
	add := func(v *jsontree.Node) {
		for _, k := range kindNames {
			if v.Kind == '"' && v.Text == k.name && (c.V31 || k.kind != isNull) {
				c.types |= k.kind
				return
			}
		}
		c.Fail(at, "must be string, number, integer, boolean, array or object, or in OpenAPI 3.1 null or a list of these")
	}
	if v.Kind == '[' && c.V31 && len(v.Items) > 0 {
		for _, item := range v.Items {
			add(item)
		}
		return
	}
	add(v)
}

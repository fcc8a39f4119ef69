package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// sources is the parts of a request that hold parameters.
type sources struct {
	params  map[string]string
	query   []pair // undecoded
	header  http.Header
	cookies []*http.Cookie
}

// maxPairs bounds the pairs of a query or form that are looked at.
const maxPairs = 10_000

// splitPairs splits a query or form at & and =; more than maxPairs are reported.
func splitPairs(s string) (all []pair, ok bool) {
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		if len(all) == maxPairs {
			return all, false
		}
		name, value, _ := strings.Cut(part, "=")
		all = append(all, pair{name, value})
	}
	return all, true
}

// parameter checks one parameter.
func (c *check) parameter(p *Parameter, from *sources) {
	c.in = p.In
	v, given := c.decode(p, from)
	switch {
	case !given && p.Required:
		c.fail(p.at, "is missing")
	case !given || v == nil:
	case p.Schema != nil:
		c.value(p.Schema.s, v, p.at)
	}
}

// decode is the value of a parameter. v is nil if it was given but can't be read (then it has a
// fault) or need not be checked.
func (c *check) decode(p *Parameter, from *sources) (v *node, given bool) {
	if p.In == "query" && p.MediaType == "" {
		return c.decodeQuery(p, from.query)
	}
	var raw string
	escaped := false
	switch p.In {
	case "path":
		raw, given = from.params[p.Name]
		escaped = true
	case "query":
		for _, q := range from.query {
			if unescape(q.name) == p.Name {
				raw, given, escaped = strings.ReplaceAll(q.value, "+", " "), true, true
			}
		}
	case "header":
		values := from.header.Values(p.Name)
		raw, given = strings.Join(values, ","), len(values) > 0
	case "cookie":
		for _, cookie := range from.cookies {
			if cookie.Name == p.Name {
				raw, given = cookie.Value, true
			}
		}
	}
	if !given {
		return nil, false
	}
	if p.MediaType != "" {
		if escaped {
			raw, _ = url.PathUnescape(raw)
		}
		return c.decodeContent(p, raw), true
	}
	return c.decodeStyle(p, raw, escaped), true
}

func (c *check) decodeContent(p *Parameter, text string) *node {
	if !isJSON(p.MediaType) {
		return textNode(text)
	}
	v, err := read([]byte(text), false)
	if err != nil {
		_, detail := place([]byte(text), err)
		c.fail(p.at, "must be JSON: %s", detail)
		return nil
	}
	return v
}

// decodeStyle reads the styles simple, label, matrix, and form in a cookie.
func (c *check) decodeStyle(p *Parameter, raw string, escaped bool) *node {
	plain := func(s string) string {
		if escaped {
			if u, err := url.PathUnescape(s); err == nil {
				return u
			}
			return s
		}
		return strings.TrimSpace(s)
	}
	separator := ","
	switch p.Style {
	case "label":
		rest, ok := strings.CutPrefix(raw, ".")
		if !ok {
			c.fail(p.at, "must begin with a dot")
			return nil
		}
		if raw = rest; p.Explode {
			separator = "."
		}
	case "matrix":
		rest, ok := strings.CutPrefix(raw, ";")
		if !ok {
			c.fail(p.at, "must begin with a semicolon")
			return nil
		}
		raw = rest
		if p.Explode && want(p)&isObject == 0 {
			raw = strings.ReplaceAll(raw, ";"+p.Name+"=", ",")
		}
		if !p.Explode || want(p)&isObject == 0 {
			raw = strings.TrimPrefix(strings.TrimPrefix(raw, p.Name), "=")
		} else {
			separator = ";"
		}
	}
	s := schemaOf(p)
	switch want(p) {
	case isArray:
		var all []string
		if raw != "" {
			all = strings.SplitN(raw, separator, maxPairs)
		}
		for i := range all {
			all[i] = plain(all[i])
		}
		return c.list(s, all)
	case isObject:
		return c.objectOf(s, pairsOf(strings.SplitN(raw, separator, maxPairs), p.Explode, plain))
	}
	return c.scalar(s, plain(raw))
}

// pairsOf makes pairs of a,1,b,2 or, exploded, of a=1,b=2.
func pairsOf(parts []string, explode bool, plain func(string) string) (all []pair) {
	if explode {
		for _, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			all = append(all, pair{plain(name), plain(value)})
		}
		return all
	}
	for i := 0; i+1 < len(parts); i += 2 {
		all = append(all, pair{plain(parts[i]), plain(parts[i+1])})
	}
	return all
}

// decodeQuery reads the styles of query parameters.
func (c *check) decodeQuery(p *Parameter, query []pair) (v *node, given bool) {
	s, kind := schemaOf(p), want(p)
	if kind == isObject && p.Explode {
		var pairs []pair
		for _, q := range query {
			name := unescape(q.name)
			if p.Style == "deepObject" {
				inner, ok := strings.CutPrefix(name, p.Name+"[")
				if inner, ok = cutBracket(inner, ok); ok {
					pairs = append(pairs, pair{inner, unescape(q.value)})
				}
			} else if s != nil && s.property(name) != nil {
				pairs = append(pairs, pair{name, unescape(q.value)})
			}
		}
		return c.objectOf(s, pairs), len(pairs) > 0
	}
	var values []string
	for _, q := range query {
		if unescape(q.name) == p.Name {
			values = append(values, q.value)
		}
	}
	if len(values) == 0 {
		return nil, false
	}
	if p.AllowEmpty && len(values) == 1 && values[0] == "" {
		return nil, true
	}
	separators := []string{","}
	switch p.Style {
	case "spaceDelimited":
		separators = []string{"%20", "+"}
	case "pipeDelimited":
		separators = []string{"%7C", "%7c", "|"}
	}
	if kind != isScalar && !p.Explode {
		joined := values[0]
		for _, separator := range separators[1:] {
			joined = strings.ReplaceAll(joined, separator, separators[0])
		}
		parts := strings.SplitN(joined, separators[0], maxPairs)
		if kind == isObject {
			return c.objectOf(s, pairsOf(parts, false, unescape)), true
		}
		for i := range parts {
			parts[i] = unescape(parts[i])
		}
		return c.list(s, parts), true
	}
	for i := range values {
		values[i] = unescape(values[i])
	}
	if kind == isArray {
		return c.list(s, values), true
	}
	if len(values) > 1 {
		c.fail(p.at, "is given %d times, but takes one value", len(values))
		return nil, true
	}
	return c.scalar(s, values[0]), true
}

// cutBracket takes the bracket off the end of a name like [color].
func cutBracket(inner string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "]")
	return strings.ReplaceAll(inner, "][", "."), ok
}

// isScalar is want's result for what is neither an array nor an object.
const isScalar kinds = 0

// want is how the text of a parameter is split: as an array, as an object, or not.
func want(p *Parameter) kinds {
	s := schemaOf(p)
	switch {
	case s == nil || s.possible&(isString|isNumber|isInteger|isBoolean) != 0:
		return isScalar
	case s.possible&isArray != 0:
		return isArray
	case s.possible&isObject != 0:
		return isObject
	}
	return isScalar
}

func schemaOf(p *Parameter) *schema {
	if p.Schema == nil {
		return nil
	}
	return p.Schema.s
}

// unescape decodes a name or value of a query; what can't be decoded stays.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// isJSON reports whether a media type is JSON.
func isJSON(mediaType string) bool {
	t, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	t = strings.TrimSpace(t)
	return slices.Contains([]string{"application/json", "text/json"}, t) || strings.HasSuffix(t, "+json")
}

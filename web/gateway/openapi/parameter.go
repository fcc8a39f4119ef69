package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// checking is the check of one request or answer.
type checking struct{ *schema.Check }

// sources is the parts of a request that hold parameters.
type sources struct {
	params  map[string]string
	query   []schema.Pair // undecoded
	header  http.Header
	cookies []*http.Cookie
}

// maxPairs bounds the pairs of a query or form that are looked at.
const maxPairs = 10_000

// splitPairs splits a query or form at & and =; more than maxPairs are reported.
func splitPairs(s string) (all []schema.Pair, ok bool) {
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		if len(all) == maxPairs {
			return all, false
		}
		name, value, _ := strings.Cut(part, "=")
		all = append(all, schema.Pair{Name: name, Value: value})
	}
	return all, true
}

// parameter checks one parameter.
func (c *checking) parameter(p *Parameter, from *sources) {
	c.In = p.In
	v, given := c.decode(p, from)
	switch {
	case !given && p.Required:
		c.Fail(p.at, "is missing")
	case !given || v == nil:
	case p.Schema != nil:
		c.Value(p.Schema.s, v, p.at)
	}
}

// decode is the value of a parameter. v is nil if it was given but can't be read (then it has a
// fault) or need not be checked.
func (c *checking) decode(p *Parameter, from *sources) (v *jsontree.Node, given bool) {
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
			if unescape(q.Name) == p.Name {
				raw, given, escaped = strings.ReplaceAll(q.Value, "+", " "), true, true
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

func (c *checking) decodeContent(p *Parameter, text string) *jsontree.Node {
	if !isJSON(p.MediaType) {
		return jsontree.TextNode(text)
	}
	v, err := jsontree.Read([]byte(text))
	if err != nil {
		_, detail := jsontree.Place([]byte(text), err)
		c.Fail(p.at, "must be JSON: %s", detail)
		return nil
	}
	return v
}

// decodeStyle reads the styles simple, label, matrix, and form in a cookie.
func (c *checking) decodeStyle(p *Parameter, raw string, escaped bool) *jsontree.Node {
	plain := func(s string) string {
		if escaped {
			if u, err := url.PathUnescape(s); err == nil {
				return u
			}
			return s
		}
		return strings.TrimSpace(s)
	}
	s := schemaOf(p)
	separator := ","
	switch p.Style {
	case "label":
		rest, ok := strings.CutPrefix(raw, ".")
		if !ok {
			c.Fail(p.at, "must begin with a dot")
			return nil
		}
		if raw = rest; p.Explode {
			separator = "."
		}
	case "matrix":
		rest, ok := strings.CutPrefix(raw, ";")
		if !ok {
			c.Fail(p.at, "must begin with a semicolon")
			return nil
		}
		raw = rest
		if p.Explode && s.Form() != schema.ObjectForm {
			raw = strings.ReplaceAll(raw, ";"+p.Name+"=", ",")
		}
		if !p.Explode || s.Form() != schema.ObjectForm {
			raw = strings.TrimPrefix(strings.TrimPrefix(raw, p.Name), "=")
		} else {
			separator = ";"
		}
	}
	switch s.Form() {
	case schema.ListForm:
		var all []string
		if raw != "" {
			all = strings.SplitN(raw, separator, maxPairs)
		}
		for i := range all {
			all[i] = plain(all[i])
		}
		return c.List(s, all)
	case schema.ObjectForm:
		return c.ObjectOf(s, pairsOf(strings.SplitN(raw, separator, maxPairs), p.Explode, plain))
	}
	return c.Scalar(s, plain(raw))
}

// pairsOf makes pairs of a,1,b,2 or, exploded, of a=1,b=2.
func pairsOf(parts []string, explode bool, plain func(string) string) (all []schema.Pair) {
	if explode {
		for _, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			all = append(all, schema.Pair{Name: plain(name), Value: plain(value)})
		}
		return all
	}
	for i := 0; i+1 < len(parts); i += 2 {
		all = append(all, schema.Pair{Name: plain(parts[i]), Value: plain(parts[i+1])})
	}
	return all
}

// decodeQuery reads the styles of query parameters.
func (c *checking) decodeQuery(p *Parameter, query []schema.Pair) (v *jsontree.Node, given bool) {
	s := schemaOf(p)
	form := s.Form()
	if form == schema.ObjectForm && p.Explode {
		var pairs []schema.Pair
		for _, q := range query {
			name := unescape(q.Name)
			if p.Style == "deepObject" {
				inner, ok := strings.CutPrefix(name, p.Name+"[")
				if inner, ok = cutBracket(inner, ok); ok {
					pairs = append(pairs, schema.Pair{Name: inner, Value: unescape(q.Value)})
				}
			} else if s != nil && s.Property(name) != nil {
				pairs = append(pairs, schema.Pair{Name: name, Value: unescape(q.Value)})
			}
		}
		return c.ObjectOf(s, pairs), len(pairs) > 0
	}
	var values []string
	for _, q := range query {
		if unescape(q.Name) == p.Name {
			values = append(values, q.Value)
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
	if form != schema.ScalarForm && !p.Explode {
		joined := values[0]
		for _, separator := range separators[1:] {
			joined = strings.ReplaceAll(joined, separator, separators[0])
		}
		parts := strings.SplitN(joined, separators[0], maxPairs)
		if form == schema.ObjectForm {
			return c.ObjectOf(s, pairsOf(parts, false, unescape)), true
		}
		for i := range parts {
			parts[i] = unescape(parts[i])
		}
		return c.List(s, parts), true
	}
	for i := range values {
		values[i] = unescape(values[i])
	}
	if form == schema.ListForm {
		return c.List(s, values), true
	}
	if len(values) > 1 {
		c.Fail(p.at, "is given %d times, but takes one value", len(values))
		return nil, true
	}
	return c.Scalar(s, values[0]), true
}

// cutBracket takes the bracket off the end of a name like [color].
func cutBracket(inner string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "]")
	return strings.ReplaceAll(inner, "][", "."), ok
}

func schemaOf(p *Parameter) *schema.Schema {
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

package schema

import (
	"context"
	"math/big"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/gateway/openapi/jsontree"
)

const (
	sampleDepth  = 10    // levels of a sample
	sampleValues = 1_000 // values of a sample
	sampleText   = 2_000 // characters of a text in it
)

// Sampler makes a value that fits a schema, the same one each time. It tries; what no example
// is given for may not fit a schema with not, if, or several limits at once.
type Sampler struct {
	data   []byte // the document
	check  *Check
	values int
}

// NewSampler is a sampler for the schemas of the document data.
func NewSampler(ctx context.Context, data []byte, way Direction) *Sampler {
	return &Sampler{data: data, check: NewCheck(ctx, way)}
}

// Sample is a value that fits a schema, as JSON.
func (m *Sampler) Sample(s *Schema) jsontext.Value { return m.value(nil, s, sampleDepth) }

// gathered is a schema together with what it refers to and combines: of oneOf and anyOf the
// first.
func gathered(s *Schema) (all []*Schema) {
	seen := map[*Schema]bool{}
	var add func(*Schema)
	add = func(one *Schema) {
		if one == nil || seen[one] || len(all) == 200 {
			return
		}
		seen[one] = true
		all = append(all, one)
		add(one.ref)
		for _, inner := range one.allOf {
			add(inner)
		}
		for _, list := range [][]*Schema{one.oneOf, one.anyOf} {
			for _, inner := range list {
				if inner.possible&^isNull != 0 {
					add(inner)
					break
				}
			}
		}
	}
	add(s)
	return all
}

func (m *Sampler) value(b []byte, s *Schema, depth int) []byte {
	all := gathered(s)
	for _, one := range all {
		if example := m.given(one); example != nil {
			return append(b, example.Raw(m.data)...)
		}
	}
	if m.values++; m.values > sampleValues || depth == 0 {
		return append(b, "null"...)
	}
	possible := s.possible
	for _, one := range all {
		possible &= one.possible
	}
	for _, one := range all {
		if possible == anyKind && (one.properties != nil || one.required != nil) {
			possible = isObject
		}
		if possible == anyKind && one.items != nil {
			possible = isArray
		}
	}
	switch {
	case possible&isObject != 0:
		return m.object(b, all, depth-1)
	case possible&isArray != 0:
		return m.array(b, all, depth-1)
	case possible&isString != 0:
		b, _ = jsontext.AppendQuote(b, m.text(s, all))
		return b
	case possible&(isInteger|isNumber) != 0:
		return append(b, m.number(s, all)...)
	case possible&isBoolean != 0:
		return append(b, "true"...)
	}
	return append(b, "null"...)
}

// given is the value that the document itself gives for a schema.
func (m *Sampler) given(s *Schema) *jsontree.Node {
	if v := s.Node.Get("const"); v != nil && s.constant != nil {
		return v
	}
	if v := s.Node.Get("example"); v != nil {
		return v
	}
	if v := s.Node.Get("examples"); v != nil && v.Kind == '[' && len(v.Items) > 0 {
		return v.Items[0]
	}
	if v := s.Node.Get("default"); v != nil {
		return v
	}
	if v := s.Node.Get("enum"); v != nil && s.enum != nil {
		return v.Items[0]
	}
	return nil
}

func (m *Sampler) object(b []byte, all []*Schema, depth int) []byte {
	b = append(b, '{')
	seen := map[string]bool{}
	add := func(name string, one *Schema) {
		if len(seen) > 0 {
			b = append(b, ',')
		}
		seen[name] = true
		b, _ = jsontext.AppendQuote(b, name)
		if b = append(b, ':'); one == nil {
			b = append(b, `"string"`...)
		} else {
			b = m.value(b, one, depth)
		}
	}
	required := map[string]bool{}
	for _, s := range all {
		for _, name := range s.required {
			required[name] = true
		}
	}
	hidden := func(one *Schema) bool {
		return m.check.direction == InRequest && one.flag(isReadOnly) || m.check.direction == InResponse && one.flag(isWriteOnly)
	}
	for _, s := range all {
		if s.properties == nil {
			continue
		}
		for _, name := range s.Node.Get("properties").Names {
			one := s.properties[name]
			// Deep down only what is required is shown: a sample of a tree has an end.
			if !seen[name] && one.possible != 0 && !hidden(one) && m.values < sampleValues && (required[name] || depth > sampleDepth/2) {
				add(name, one)
			}
		}
	}
	for _, s := range all {
		for _, name := range s.required {
			if one := all[0].Property(name); !seen[name] && (one == nil || !hidden(one)) && m.values < sampleValues {
				add(name, one)
			}
		}
	}
	return append(b, '}')
}

func (m *Sampler) array(b []byte, all []*Schema, depth int) []byte {
	b = append(b, '[')
	count, items := 1, (*Schema)(nil)
	for _, s := range all {
		if items == nil {
			items = s.items
		}
		for i := 2; i <= 20 && s.minItems != nil && size(i).Compare(*s.minItems) <= 0; i++ {
			count = max(count, i)
		}
		if s.maxItems != nil && s.maxItems.Sign() == 0 {
			return append(b, ']')
		}
		if len(s.prefix) > 0 {
			for i, one := range s.prefix {
				if i > 0 {
					b = append(b, ',')
				}
				b = m.value(b, one, depth)
			}
			return append(b, ']')
		}
	}
	if items == nil || depth <= 1 {
		return append(b, ']')
	}
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = m.value(b, items, depth)
	}
	return append(b, ']')
}

var formatSamples = map[string]string{
	"date": "2026-01-31", "date-time": "2026-01-31T10:00:00Z", "time": "10:00:00Z", "duration": "PT30S", "uuid": "123e4567-e89b-12d3-a456-426614174000",
	"email": "user@example.com", "hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uri": "https://example.com/", "uri-reference": "/path",
	"iri": "https://example.com/", "iri-reference": "/path", "uri-template": "/items/{id}", "json-pointer": "/member", "relative-json-pointer": "0",
	"byte": "c2FtcGxl",
}

// text is a text for a schema: the first of some that fits.
func (m *Sampler) text(s *Schema, all []*Schema) string {
	candidates := []string{"string"}
	for _, one := range all {
		if name := one.Node.Str("format"); formatSamples[name] != "" {
			candidates = append([]string{formatSamples[name]}, candidates...)
		}
		if one.pattern != nil {
			if parsed, err := syntax.Parse(one.pattern.String(), syntax.Perl); err == nil {
				candidates = append(candidates, matching(parsed.Simplify(), sampleText))
			}
		}
		if one.minLength != nil && one.minLength.Compare(size(sampleText)) <= 0 {
			least := 0
			for size(least).Compare(*one.minLength) < 0 {
				least++
			}
			candidates = append(candidates, strings.Repeat("string", least/6+1)[:least])
		}
		if one.maxLength != nil && one.maxLength.Compare(size(6)) < 0 {
			most := 0
			for size(most).Compare(*one.maxLength) < 0 {
				most++
			}
			candidates = append(candidates, "string"[:most])
		}
	}
	for _, text := range candidates {
		if m.check.quietly(s, jsontree.TextNode(text)) {
			return text
		}
	}
	return candidates[0]
}

// number is a number for a schema: the first of some that fits.
func (m *Sampler) number(s *Schema, all []*Schema) string {
	candidates := []string{"1", "0"}
	for _, one := range all {
		for _, bound := range []*jsontree.Decimal{one.minimum, one.maximum, one.above, one.below, one.multipleOf} {
			if bound == nil {
				continue
			}
			candidates = append(candidates, bound.String())
			if i, ok := new(big.Int).SetString(bound.String(), 10); ok {
				candidates = append(candidates, new(big.Int).Add(i, big.NewInt(1)).String(), new(big.Int).Sub(i, big.NewInt(1)).String())
			} else if whole, _, _ := strings.Cut(bound.String(), "."); len(whole) > 0 && !strings.Contains(bound.String(), "e") {
				if i, ok := new(big.Int).SetString(whole, 10); ok {
					candidates = append(candidates, new(big.Int).Add(i, big.NewInt(1)).String())
				}
			}
		}
	}
	for _, text := range candidates {
		if m.check.quietly(s, &jsontree.Node{Kind: '0', Text: text, End: len(text), Size: 1}) {
			return text
		}
	}
	return candidates[0]
}

// matching is a short text that a regular expression matches, of at most so many bytes.
func matching(re *syntax.Regexp, most int) string {
	var b strings.Builder
	var write func(*syntax.Regexp)
	write = func(re *syntax.Regexp) {
		if b.Len() > most {
			return
		}
		switch re.Op {
		case syntax.OpLiteral:
			b.WriteString(string(re.Rune))
		case syntax.OpCharClass:
			if len(re.Rune) > 0 {
				b.WriteRune(printableIn(re.Rune))
			}
		case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
			b.WriteByte('a')
		case syntax.OpCapture, syntax.OpPlus:
			write(re.Sub[0])
		case syntax.OpRepeat:
			for range re.Min {
				write(re.Sub[0])
			}
		case syntax.OpConcat:
			for _, sub := range re.Sub {
				write(sub)
			}
		case syntax.OpAlternate:
			write(re.Sub[0])
		}
	}
	write(re)
	return strings.ToValidUTF8(b.String()[:min(b.Len(), most)], "")
}

// printableIn is a character of a class, a printable one if there is one.
func printableIn(ranges []rune) rune {
	for _, want := range "aA0_- " {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i+1] > ' ' && utf8.ValidRune(max(ranges[i], '!')) {
			return max(ranges[i], '!')
		}
	}
	return ranges[0]
}

package schema

import (
	"strings"
	"unicode/utf8"

	"jobhub/web/clip"
	"jobhub/web/gateway/openapi/jsontree"
)

// fixed applies enum and const.
func (c *Check) fixed(s *Schema, v *jsontree.Node, at *jsontree.Path) bool {
	if s.enum == nil && s.constant == nil {
		return true
	}
	if !c.step(v.Size + (v.End-v.Start)/64) {
		return false
	}
	text := string(appendCanonical(nil, v))
	ok := true
	if s.enum != nil && !s.enum[text] {
		ok = c.Fail(at, "is %s, but must be one of %s", plainText(v), enumText(s.Node.Get("enum")))
	}
	if s.constant != nil && *s.constant != text {
		ok = c.Fail(at, "is %s, but must be %s", plainText(v), plainText(s.Node.Get("const")))
	}
	return ok
}

// enumText is the first values of an enum, for people.
func enumText(v *jsontree.Node) string {
	const shown = 12
	var all []string
	for _, item := range v.Items[:min(len(v.Items), shown)] {
		all = append(all, plainText(item))
	}
	if len(v.Items) > shown {
		all = append(all, "…")
	}
	return strings.Join(all, ", ")
}

// plainText is a value beside others of its kind, for people.
func plainText(v *jsontree.Node) string {
	if v.Kind == '"' {
		return jsontree.Quote(v.Text)
	}
	return kindText(v)
}

// string applies the keywords of strings.
func (c *Check) string(s *Schema, v *jsontree.Node, at *jsontree.Path) bool {
	ok := true
	if s.minLength != nil || s.maxLength != nil {
		c.step(len(v.Text) / 256)
		length := utf8.RuneCountInString(v.Text)
		if s.minLength != nil && size(length).Compare(*s.minLength) < 0 {
			ok = c.Fail(at, "has %d characters, but must have at least %s", length, s.minLength)
		}
		if s.maxLength != nil && size(length).Compare(*s.maxLength) > 0 {
			ok = c.Fail(at, "has %d characters, but may have at most %s", length, s.maxLength)
		}
	}
	if s.pattern != nil && !c.match(s.pattern, v.Text) {
		ok = c.Fail(at, "does not match the pattern %s", clip.Shorten(s.pattern.String(), 200))
	}
	if s.format != nil && s.format.text != nil && c.step(1+len(v.Text)/32) && !s.format.text(v.Text) {
		ok = c.Fail(at, "must be %s", s.format.what)
	}
	return ok
}

// number applies the keywords of numbers, without loss of digits.
func (c *Check) number(s *Schema, v *jsontree.Node, at *jsontree.Path) bool {
	number := s.format != nil && s.format.number != nil
	if s.minimum == nil && s.maximum == nil && s.above == nil && s.below == nil && s.multipleOf == nil && !number {
		return true
	}
	c.step(1 + len(v.Text)/16)
	d, ok := jsontree.ParseDecimal(v.Text), true
	if s.minimum != nil && d.Compare(*s.minimum) < 0 {
		ok = c.Fail(at, "is %s, but must be at least %s", kindText(v), s.minimum)
	}
	if s.maximum != nil && d.Compare(*s.maximum) > 0 {
		ok = c.Fail(at, "is %s, but must be at most %s", kindText(v), s.maximum)
	}
	if s.above != nil && d.Compare(*s.above) <= 0 {
		ok = c.Fail(at, "is %s, but must be above %s", kindText(v), s.above)
	}
	if s.below != nil && d.Compare(*s.below) >= 0 {
		ok = c.Fail(at, "is %s, but must be below %s", kindText(v), s.below)
	}
	if s.multipleOf != nil && !(c.step(len(v.Text)) && d.IsMultipleOf(*s.multipleOf)) {
		ok = c.Fail(at, "is %s, but must be a multiple of %s", kindText(v), s.multipleOf)
	}
	if number && !s.format.number(d) {
		ok = c.Fail(at, "is %s, but must be %s", kindText(v), s.format.what)
	}
	return ok
}

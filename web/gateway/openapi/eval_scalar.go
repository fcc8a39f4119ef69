package openapi

import (
	"strings"
	"unicode/utf8"

	"jobhub/web/clip"
)

// fixed applies enum and const.
func (c *check) fixed(s *schema, v *node, at *path) bool {
	if s.enum == nil && s.constant == nil {
		return true
	}
	if !c.step(v.size + (v.end-v.start)/64) {
		return false
	}
	text := string(appendCanonical(nil, v))
	ok := true
	if s.enum != nil && !s.enum[text] {
		ok = c.fail(at, "is %s, but must be one of %s", plainText(v), enumText(s.node.get("enum")))
	}
	if s.constant != nil && *s.constant != text {
		ok = c.fail(at, "is %s, but must be %s", plainText(v), plainText(s.node.get("const")))
	}
	return ok
}

// enumText is the first values of an enum, for people.
func enumText(v *node) string {
	const shown = 12
	var all []string
	for _, item := range v.items[:min(len(v.items), shown)] {
		all = append(all, plainText(item))
	}
	if len(v.items) > shown {
		all = append(all, "…")
	}
	return strings.Join(all, ", ")
}

// plainText is a value beside others of its kind, for people.
func plainText(v *node) string {
	if v.kind == '"' {
		return short(v.text)
	}
	return kindText(v)
}

// string applies the keywords of strings.
func (c *check) string(s *schema, v *node, at *path) bool {
	ok := true
	if s.minLength != nil || s.maxLength != nil {
		c.step(len(v.text) / 256)
		length := utf8.RuneCountInString(v.text)
		if s.minLength != nil && size(length).compare(*s.minLength) < 0 {
			ok = c.fail(at, "has %d characters, but must have at least %s", length, s.minLength)
		}
		if s.maxLength != nil && size(length).compare(*s.maxLength) > 0 {
			ok = c.fail(at, "has %d characters, but may have at most %s", length, s.maxLength)
		}
	}
	if s.pattern != nil && !c.match(s.pattern, v.text) {
		ok = c.fail(at, "does not match the pattern %s", clip.Shorten(s.pattern.String(), 200))
	}
	if s.format != nil && s.format.text != nil && c.step(1+len(v.text)/32) && !s.format.text(v.text) {
		ok = c.fail(at, "must be %s", s.format.what)
	}
	return ok
}

// number applies the keywords of numbers, without loss of digits.
func (c *check) number(s *schema, v *node, at *path) bool {
	number := s.format != nil && s.format.number != nil
	if s.minimum == nil && s.maximum == nil && s.above == nil && s.below == nil && s.multipleOf == nil && !number {
		return true
	}
	c.step(1 + len(v.text)/16)
	d, ok := parseDecimal(v.text), true
	if s.minimum != nil && d.compare(*s.minimum) < 0 {
		ok = c.fail(at, "is %s, but must be at least %s", kindText(v), s.minimum)
	}
	if s.maximum != nil && d.compare(*s.maximum) > 0 {
		ok = c.fail(at, "is %s, but must be at most %s", kindText(v), s.maximum)
	}
	if s.above != nil && d.compare(*s.above) <= 0 {
		ok = c.fail(at, "is %s, but must be above %s", kindText(v), s.above)
	}
	if s.below != nil && d.compare(*s.below) >= 0 {
		ok = c.fail(at, "is %s, but must be below %s", kindText(v), s.below)
	}
	if s.multipleOf != nil && !(c.step(len(v.text)) && d.isMultipleOf(*s.multipleOf)) {
		ok = c.fail(at, "is %s, but must be a multiple of %s", kindText(v), s.multipleOf)
	}
	if number && !s.format.number(d) {
		ok = c.fail(at, "is %s, but must be %s", kindText(v), s.format.what)
	}
	return ok
}

package schema

import (
	"jobhub/web/gateway/openapi/jsontree"
)

// object applies the keywords of objects.
func (c *Check) object(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	ok := true
	if s.minProperties != nil && size(len(v.Names)).Compare(*s.minProperties) < 0 {
		ok = c.Fail(at, "has %d members, but must have at least %s", len(v.Names), s.minProperties)
	}
	if s.maxProperties != nil && size(len(v.Names)).Compare(*s.maxProperties) > 0 {
		ok = c.Fail(at, "has %d members, but may have at most %s", len(v.Names), s.maxProperties)
	}
	c.step(len(s.required))
	for _, name := range s.required {
		if v.Get(name) == nil && !c.mayMiss(s, name) {
			ok = c.Fail(at.Member(name), "is missing")
		}
	}
	for name, required := range s.dependentRequired {
		if v.Get(name) != nil {
			for _, other := range required {
				if v.Get(other) == nil {
					ok = c.Fail(at.Member(other), "is missing; it is needed with %s", jsontree.Quote(name))
				}
			}
		}
	}
	for name, one := range s.dependentSchemas {
		if v.Get(name) != nil {
			ok = c.apply(one, v, at, track) && ok
		}
	}
	c.step(len(s.dependentRequired) + len(s.dependentSchemas))
	if s.properties == nil && s.patterns == nil && s.additional == nil && s.names == nil {
		return ok
	}
	for i, name := range v.Names {
		if !c.step(1) {
			return false
		}
		ok = c.propertyOf(s, name, v.Items[i], at, track) && ok
	}
	return ok
}

// propertyOf applies the keywords of a schema to one property.
func (c *Check) propertyOf(s *Schema, name string, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	ok, known := true, false
	var inner *jsontree.Path // built where it is needed
	if one := s.properties[name]; one != nil {
		known, inner = true, at.Member(name)
		switch {
		case c.direction == InRequest && one.flag(isReadOnly):
			ok = c.Fail(inner, "is set by the API alone (readOnly); leave it out")
		case c.direction == InResponse && one.flag(isWriteOnly):
			ok = c.Fail(inner, "must not be in an answer (writeOnly)")
		default:
			ok = c.child(one, v, inner)
		}
	}
	for _, p := range s.patterns {
		if c.match(p.pattern, name) {
			known = true
			ok = c.child(p.schema, v, at.Member(name)) && ok
		}
	}
	if !known && s.additional != nil {
		known, inner = true, at.Member(name)
		if s.additional.never {
			ok = c.Fail(inner, "is unknown here; leave it out")
		} else {
			ok = c.child(s.additional, v, inner)
		}
	}
	if s.names != nil {
		ok = c.child(s.names, &jsontree.Node{Kind: '"', Text: name, Size: 1}, at.Member(name)) && ok
	}
	if known {
		track.property(name)
	}
	return ok
}

// mayMiss reports whether a required property must not be there in this direction.
func (c *Check) mayMiss(s *Schema, name string) bool {
	if c.direction == EitherWay {
		return false
	}
	flag := isReadOnly
	if c.direction == InResponse {
		flag = isWriteOnly
	}
	if one := s.properties[name]; one != nil {
		return one.flag(flag)
	}
	if c.top == nil || !c.step(50) {
		return false
	}
	one := c.top.Property(name)
	return one != nil && one.flag(flag)
}

// match reports whether a text matches a pattern; the work counts.
func (c *Check) match(p *pattern, s string) bool {
	return c.step(1+len(s)*p.instructions/100) && p.MatchString(s)
}

package openapi

// object applies the keywords of objects.
func (c *check) object(s *schema, v *node, at *path, track *evaluated) bool {
	ok := true
	if s.minProperties != nil && size(len(v.names)).compare(*s.minProperties) < 0 {
		ok = c.fail(at, "has %d members, but must have at least %s", len(v.names), s.minProperties)
	}
	if s.maxProperties != nil && size(len(v.names)).compare(*s.maxProperties) > 0 {
		ok = c.fail(at, "has %d members, but may have at most %s", len(v.names), s.maxProperties)
	}
	c.step(len(s.required))
	for _, name := range s.required {
		if v.get(name) == nil && !c.mayMiss(s, name) {
			ok = c.fail(at.member(name), "is missing")
		}
	}
	for name, required := range s.dependentRequired {
		if v.get(name) != nil {
			for _, other := range required {
				if v.get(other) == nil {
					ok = c.fail(at.member(other), "is missing; it is needed with %s", short(name))
				}
			}
		}
	}
	for name, one := range s.dependentSchemas {
		if v.get(name) != nil {
			ok = c.apply(one, v, at, track) && ok
		}
	}
	c.step(len(s.dependentRequired) + len(s.dependentSchemas))
	if s.properties == nil && s.patterns == nil && s.additional == nil && s.names == nil {
		return ok
	}
	for i, name := range v.names {
		if !c.step(1) {
			return false
		}
		ok = c.propertyOf(s, name, v.items[i], at, track) && ok
	}
	return ok
}

// propertyOf applies the keywords of a schema to one property.
func (c *check) propertyOf(s *schema, name string, v *node, at *path, track *evaluated) bool {
	ok, known := true, false
	var inner *path // built where it is needed
	if one := s.properties[name]; one != nil {
		known, inner = true, at.member(name)
		switch {
		case c.direction == inRequest && one.flag(isReadOnly):
			ok = c.fail(inner, "is set by the API alone (readOnly); leave it out")
		case c.direction == inResponse && one.flag(isWriteOnly):
			ok = c.fail(inner, "must not be in an answer (writeOnly)")
		default:
			ok = c.child(one, v, inner)
		}
	}
	for _, p := range s.patterns {
		if c.match(p.pattern, name) {
			known = true
			ok = c.child(p.schema, v, at.member(name)) && ok
		}
	}
	if !known && s.additional != nil {
		known, inner = true, at.member(name)
		if s.additional.never {
			ok = c.fail(inner, "is unknown here; leave it out")
		} else {
			ok = c.child(s.additional, v, inner)
		}
	}
	if s.names != nil {
		ok = c.child(s.names, &node{kind: '"', text: name, size: 1}, at.member(name)) && ok
	}
	if known {
		track.property(name)
	}
	return ok
}

// mayMiss reports whether a required property must not be there in this direction.
func (c *check) mayMiss(s *schema, name string) bool {
	if c.direction == eitherWay {
		return false
	}
	flag := isReadOnly
	if c.direction == inResponse {
		flag = isWriteOnly
	}
	if one := s.properties[name]; one != nil {
		return one.flag(flag)
	}
	if c.top == nil || !c.step(50) {
		return false
	}
	one := c.top.property(name)
	return one != nil && one.flag(flag)
}

// match reports whether a text matches a pattern; the work counts.
func (c *check) match(p *pattern, s string) bool {
	return c.step(1+len(s)*p.instructions/100) && p.MatchString(s)
}

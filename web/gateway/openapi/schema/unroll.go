package schema

// Unrolls reports whether comparing a document with these schemas would take too long: whether
// they lead to more than most others. For each schema that
// stands in allOf, anyOf or oneOf without being a reference, oasdiff writes out all that it
// leads to, and that may double with each level.
func Unrolls(all []*Schema, most int) bool {
	u := unrolling{left: most, open: map[*Schema]bool{}}
	for _, s := range all {
		for _, list := range [][]*Schema{s.allOf, s.anyOf, s.oneOf} {
			for _, one := range list {
				if one.ref == nil && !u.walk(one) {
					return true
				}
			}
		}
	}
	return false
}

type unrolling struct {
	left int
	open map[*Schema]bool
}

// walk counts what a schema leads to, but not what it is part of; false when there is too much.
func (u *unrolling) walk(s *Schema) bool {
	if s == nil || u.open[s] {
		return true
	}
	if u.left--; u.left < 0 {
		return false
	}
	u.open[s] = true
	defer delete(u.open, s)
	ok := true
	next := func(one *Schema) { ok = ok && u.walk(one) }
	s.inPlace(next)
	for _, one := range s.properties {
		next(one)
	}
	for _, p := range s.patterns {
		next(p.schema)
	}
	for _, one := range s.prefix {
		next(one)
	}
	for _, one := range []*Schema{s.items, s.contains, s.unevaluatedItems, s.additional, s.unevaluated, s.names} {
		next(one)
	}
	return ok
}

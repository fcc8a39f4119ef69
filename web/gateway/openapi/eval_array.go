package openapi

import "strconv"

// size is a count as a decimal, to be compared with a limit.
func size(n int) decimal { return parseDecimal(strconv.Itoa(n)) }

// array applies the keywords of arrays.
func (c *check) array(s *schema, v *node, at *path, track *evaluated) bool {
	ok := true
	if s.minItems != nil && size(len(v.items)).compare(*s.minItems) < 0 {
		ok = c.fail(at, "has %d items, but must have at least %s", len(v.items), s.minItems)
	}
	if s.maxItems != nil && size(len(v.items)).compare(*s.maxItems) > 0 {
		ok = c.fail(at, "has %d items, but may have at most %s", len(v.items), s.maxItems)
	}
	if s.unique {
		ok = c.distinct(v, at) && ok
	}
	for i, one := range s.prefix[:min(len(s.prefix), len(v.items))] {
		ok = c.child(one, v.items[i], at.at(i)) && ok
		track.item(i)
	}
	if s.items != nil {
		for i := len(s.prefix); i < len(v.items); i++ {
			if c.stopped {
				return false
			}
			ok = c.child(s.items, v.items[i], at.at(i)) && ok
		}
		if track != nil {
			track.all = true
		}
	}
	if s.contains != nil {
		ok = c.contains(s, v, at, track) && ok
	}
	return ok
}

// distinct checks uniqueItems.
func (c *check) distinct(v *node, at *path) bool {
	if !c.step(v.size + (v.end-v.start)/64) {
		return false
	}
	seen := make(map[string]int, len(v.items))
	for i, item := range v.items {
		text := string(appendCanonical(nil, item))
		if first, twice := seen[text]; twice {
			return c.fail(at.at(i), "is the same as item %d, but items must be different", first)
		}
		seen[text] = i
	}
	return true
}

func (c *check) contains(s *schema, v *node, at *path, track *evaluated) bool {
	found := 0
	c.quiet++
	for i, item := range v.items {
		if c.child(s.contains, item, at.at(i)) {
			found++
			track.item(i)
		}
	}
	c.quiet--
	least := size(1)
	if s.minContains != nil {
		least = *s.minContains
	}
	if size(found).compare(least) < 0 {
		return c.fail(at, "has %d items of the form that is asked for (contains), but must have at least %s", found, least)
	}
	if s.maxContains != nil && size(found).compare(*s.maxContains) > 0 {
		return c.fail(at, "has %d items of the form that is asked for (contains), but may have at most %s", found, s.maxContains)
	}
	return true
}

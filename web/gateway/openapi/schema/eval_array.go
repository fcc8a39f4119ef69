package schema

import (
	"strconv"

	"jobhub/web/gateway/openapi/jsontree"
)

// size is a count as a decimal, to be compared with a limit.
func size(n int) jsontree.Decimal { return jsontree.ParseDecimal(strconv.Itoa(n)) }

// array applies the keywords of arrays.
func (c *Check) array(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	ok := true
	if s.minItems != nil && size(len(v.Items)).Compare(*s.minItems) < 0 {
		ok = c.Fail(at, "has %d items, but must have at least %s", len(v.Items), s.minItems)
	}
	if s.maxItems != nil && size(len(v.Items)).Compare(*s.maxItems) > 0 {
		ok = c.Fail(at, "has %d items, but may have at most %s", len(v.Items), s.maxItems)
	}
	if s.unique {
		ok = c.distinct(v, at) && ok
	}
	for i, one := range s.prefix[:min(len(s.prefix), len(v.Items))] {
		ok = c.child(one, v.Items[i], at.At(i)) && ok
		track.item(i)
	}
	if s.items != nil {
		for i := len(s.prefix); i < len(v.Items); i++ {
			if c.stopped {
				return false
			}
			ok = c.child(s.items, v.Items[i], at.At(i)) && ok
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
func (c *Check) distinct(v *jsontree.Node, at *jsontree.Path) bool {
	if !c.step(v.Size + (v.End-v.Start)/64) {
		return false
	}
	seen := make(map[string]int, len(v.Items))
	for i, item := range v.Items {
		text := string(appendCanonical(nil, item))
		if first, twice := seen[text]; twice {
			return c.Fail(at.At(i), "is the same as item %d, but items must be different", first)
		}
		seen[text] = i
	}
	return true
}

func (c *Check) contains(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	found := 0
	c.quiet++
	for i, item := range v.Items {
		if c.child(s.contains, item, at.At(i)) {
			found++
			track.item(i)
		}
	}
	c.quiet--
	least := size(1)
	if s.minContains != nil {
		least = *s.minContains
	}
	if size(found).Compare(least) < 0 {
		return c.Fail(at, "has %d items of the form that is asked for (contains), but must have at least %s", found, least)
	}
	if s.maxContains != nil && size(found).Compare(*s.maxContains) > 0 {
		return c.Fail(at, "has %d items of the form that is asked for (contains), but may have at most %s", found, s.maxContains)
	}
	return true
}

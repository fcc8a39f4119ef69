package openapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// direction says which properties must be absent: readOnly ones in requests, writeOnly ones in
// answers.
type direction int

const (
	eitherWay direction = iota
	inRequest
	inResponse
)

// check applies schemas to values and collects the faults. It stops after maxSteps, or when its
// context ends.
type check struct {
	ctx       context.Context
	direction direction
	in        string // for the faults
	faults    []Fault

	left    int // steps that may still be made
	stopped bool
	quiet   int     // above zero: only the verdict matters
	depth   int     // of eval inside itself
	top     *schema // the outermost schema that is applied to the value, for readOnly
}

func newCheck(ctx context.Context, d direction) *check {
	return &check{ctx: ctx, direction: d, in: "body", left: maxSteps}
}

// step counts work and reports whether there may be more of it.
func (c *check) step(n int) bool {
	before := c.left >> 12
	if c.left -= n; c.left < 0 || c.left>>12 != before && c.ctx.Err() != nil {
		c.stopped = true
	}
	return !c.stopped
}

// fail adds a fault; it returns false, as the verdict of what failed.
func (c *check) fail(at *path, format string, args ...any) bool {
	if c.quiet == 0 && len(c.faults) < maxFaults && c.step(10) {
		c.faults = append(c.faults, Fault{In: c.in, Pointer: at.pointer(), Detail: text(format, args...), Status: 422})
	}
	return false
}

// value checks a whole value.
func (c *check) value(s *schema, v *node, at *path) bool {
	if s == nil {
		return true
	}
	c.top = s
	ok := c.eval(s, v, at, nil)
	if c.stopped {
		c.faults = []Fault{{In: c.in, Pointer: at.pointer(), Status: 422,
			Detail: "takes too long to be checked against the description of the API; send less at once"}}
		return false
	}
	return ok
}

// evaluated is the properties and items that a schema has looked at, for unevaluatedProperties
// and unevaluatedItems.
type evaluated struct {
	properties map[string]bool
	items      map[int]bool
	all        bool
}

func (e *evaluated) property(name string) {
	if e != nil {
		if e.properties == nil {
			e.properties = map[string]bool{}
		}
		e.properties[name] = true
	}
}

func (e *evaluated) item(i int) {
	if e != nil {
		if e.items == nil {
			e.items = map[int]bool{}
		}
		e.items[i] = true
	}
}

// merge adds what a schema in place has looked at.
func (c *check) merge(into, from *evaluated) {
	if into == nil || from == nil {
		return
	}
	c.step(len(from.properties) + len(from.items))
	for name := range from.properties {
		into.property(name)
	}
	for i := range from.items {
		into.item(i)
	}
	into.all = into.all || from.all
}

// eval applies a schema to a value. seen is filled if not nil.
func (c *check) eval(s *schema, v *node, at *path, seen *evaluated) bool {
	if !c.step(1) {
		return false
	}
	if c.depth++; c.depth > maxEval {
		c.stopped = true
	}
	defer func() { c.depth-- }()
	if s.never {
		return c.fail(at, "is not allowed here")
	}
	if s.types != 0 && s.types&kindOf(v) == 0 {
		return c.fail(at, "must be %s, not %s", kindsText(s.types), kindText(v))
	}
	var track *evaluated
	if seen != nil || s.unevaluated != nil || s.unevaluatedItems != nil {
		track = &evaluated{}
	}
	ok := c.fixed(s, v, at)
	if s.ref != nil {
		ok = c.apply(s.ref, v, at, track) && ok
	}
	switch v.kind {
	case '{':
		ok = c.object(s, v, at, track) && ok
	case '[':
		ok = c.array(s, v, at, track) && ok
	case '"':
		ok = c.string(s, v, at) && ok
	case '0':
		ok = c.number(s, v, at) && ok
	}
	ok = c.combined(s, v, at, track) && ok
	if s.unevaluated != nil && v.kind == '{' && !track.all {
		for i, name := range v.names {
			if !track.properties[name] {
				track.property(name)
				ok = c.child(s.unevaluated, v.items[i], at.member(name)) && ok
			}
		}
	}
	if s.unevaluatedItems != nil && v.kind == '[' && !track.all {
		for i, item := range v.items {
			if !track.items[i] {
				ok = c.child(s.unevaluatedItems, item, at.at(i)) && ok
			}
		}
		track.all = true
	}
	if ok {
		c.merge(seen, track)
	}
	return ok && !c.stopped
}

// child applies a schema to a value inside the one that is being checked.
func (c *check) child(s *schema, v *node, at *path) bool {
	top := c.top
	c.top = s
	ok := c.eval(s, v, at, nil)
	c.top = top
	return ok
}

// apply applies a schema to the same value.
func (c *check) apply(s *schema, v *node, at *path, track *evaluated) bool {
	if track == nil {
		return c.eval(s, v, at, nil)
	}
	var inner evaluated
	ok := c.eval(s, v, at, &inner)
	if ok {
		c.merge(track, &inner)
	}
	return ok
}

// silently is apply when only the verdict matters.
func (c *check) silently(s *schema, v *node, at *path, track *evaluated) bool {
	c.quiet++
	ok := c.apply(s, v, at, track)
	c.quiet--
	return ok
}

// combined applies allOf, anyOf, oneOf, not, if and discriminator.
func (c *check) combined(s *schema, v *node, at *path, track *evaluated) bool {
	ok := true
	for _, one := range s.allOf {
		ok = c.apply(one, v, at, track) && ok
	}
	switch {
	case s.discriminator != nil && v.kind == '{':
		ok = c.chosen(s.discriminator, v, at, track) && ok
	default:
		if len(s.anyOf) > 0 {
			ok = c.alternatives(s.anyOf, v, at, track, false) && ok
		}
		if len(s.oneOf) > 0 {
			ok = c.alternatives(s.oneOf, v, at, track, true) && ok
		}
	}
	if s.not != nil && c.silently(s.not, v, at, nil) {
		ok = c.fail(at, "has a form that is excluded (not)")
	}
	if s.when != nil {
		next := s.otherwise
		if c.silently(s.when, v, at, track) {
			next = s.then
		}
		if next != nil {
			ok = c.apply(next, v, at, track) && ok
		}
	}
	return ok
}

// chosen applies the schema that the discriminator names.
func (c *check) chosen(d *discriminator, v *node, at *path, track *evaluated) bool {
	value := v.get(d.property)
	switch {
	case value == nil:
		return c.fail(at.member(d.property), "is missing; it says which form the object has")
	case value.kind != '"':
		return c.fail(at.member(d.property), "must be a text, not %s", kindText(value))
	case d.mapping[value.text] == nil:
		names := make([]string, 0, len(d.mapping))
		for name := range d.mapping {
			names = append(names, name)
		}
		slices.Sort(names)
		return c.fail(at.member(d.property), "is %s, but must be one of %s", short(value.text), strings.Join(names, ", "))
	}
	return c.apply(d.mapping[value.text], v, at, track)
}

// alternatives applies anyOf, or oneOf if just one may fit. Where only one of them is for this
// kind of value, its faults are the answer.
func (c *check) alternatives(list []*schema, v *node, at *path, track *evaluated, justOne bool) bool {
	var best []Fault
	fit, candidates, start := 0, 0, len(c.faults)
	for _, one := range list {
		ok := c.apply(one, v, at, track)
		if ok {
			fit++
		} else if one.possible&kindOf(v) != 0 {
			if candidates++; candidates == 1 {
				best = slices.Clone(c.faults[start:])
			}
		}
		c.faults = c.faults[:start]
		if c.stopped || fit > 1 && justOne || fit == 1 && !justOne && track == nil {
			break
		}
	}
	switch {
	case fit == 1 || fit > 1 && !justOne:
		return true
	case fit > 1:
		return c.fail(at, "fits several of the %d alternatives (oneOf), but must fit just one", len(list))
	case candidates == 1 && len(best) > 0:
		c.faults = append(c.faults, best...)
		return false
	}
	return c.fail(at, "fits none of the %d alternatives that the API describes", len(list))
}

// kindOf is the kind of a value; of a whole number both integer and number.
func kindOf(v *node) kinds {
	switch v.kind {
	case 'n':
		return isNull
	case 't', 'f':
		return isBoolean
	case '"':
		return isString
	case '[':
		return isArray
	case '{':
		return isObject
	}
	if parseDecimal(v.text).isInteger() {
		return isInteger | isNumber
	}
	return isNumber
}

// kindText is a value for a text: its kind, and what it is if that is short.
func kindText(v *node) string {
	switch v.kind {
	case 'n':
		return "null"
	case 't':
		return "true"
	case 'f':
		return "false"
	case '"':
		return "the text " + short(v.text)
	case '[':
		return "a list"
	case '{':
		return "an object"
	}
	return fmt.Sprintf("%.40s", v.text)
}

func kindsText(all kinds) string {
	var names []string
	for _, k := range kindNames {
		if all&k.kind != 0 {
			names = append(names, k.text)
		}
	}
	return strings.Join(names, " or ")
}

// appendCanonical appends a value such that equal values have equal texts: members sorted,
// numbers by their value.
func appendCanonical(b []byte, v *node) []byte {
	switch v.kind {
	case '0':
		return parseDecimal(v.text).appendCanonical(b)
	case '"':
		b, _ = jsontext.AppendQuote(b, v.text)
		return b
	case '[':
		b = append(b, '[')
		for _, item := range v.items {
			b = append(appendCanonical(b, item), ',')
		}
		return append(b, ']')
	case '{':
		order := make([]int, len(v.names))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.names[i], v.names[j]) })
		b = append(b, '{')
		for _, i := range order {
			b, _ = jsontext.AppendQuote(b, v.names[i])
			b = append(appendCanonical(append(b, ':'), v.items[i]), ',')
		}
		return append(b, '}')
	}
	return append(b, byte(v.kind))
}

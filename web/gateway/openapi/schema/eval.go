package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/gateway/openapi/jsontree"
)

// Direction says which properties must be absent: readOnly ones in requests, writeOnly ones in
// answers.
type Direction int

const (
	EitherWay Direction = iota
	InRequest
	InResponse
)

// Check applies schemas to values and collects the faults. It stops after maxSteps, or when its
// context ends.
type Check struct {
	ctx       context.Context
	direction Direction
	In        string // for the faults
	Faults    []jsontree.Fault

	left    int // steps that may still be made
	stopped bool
	quiet   int     // above zero: only the verdict matters
	depth   int     // of eval inside itself
	top     *Schema // the outermost schema that is applied to the value, for readOnly
}

// NewCheck is a check of a message that goes in a direction. It ends with ctx.
func NewCheck(ctx context.Context, d Direction) *Check {
	return &Check{ctx: ctx, direction: d, In: "body", left: maxSteps}
}

// step counts work and reports whether there may be more of it.
func (c *Check) step(n int) bool {
	before := c.left >> 12
	if c.left -= n; c.left < 0 || c.left>>12 != before && c.ctx.Err() != nil {
		c.stopped = true
	}
	return !c.stopped
}

// Fail adds a fault; it returns false, as the verdict of what failed.
func (c *Check) Fail(at *jsontree.Path, format string, args ...any) bool {
	if c.quiet == 0 && len(c.Faults) < MaxFaults && c.step(10) {
		c.Faults = append(c.Faults, jsontree.Fault{In: c.In, Pointer: at.Pointer(), Detail: jsontree.Detail(format, args...), Status: 422})
	}
	return false
}

// Value checks a whole value.
func (c *Check) Value(s *Schema, v *jsontree.Node, at *jsontree.Path) bool {
	if s == nil {
		return true
	}
	c.top = s
	ok := c.eval(s, v, at, nil)
	if c.stopped {
		c.Faults = []jsontree.Fault{{In: c.In, Pointer: at.Pointer(), Status: 422,
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
func (c *Check) merge(into, from *evaluated) {
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
func (c *Check) eval(s *Schema, v *jsontree.Node, at *jsontree.Path, seen *evaluated) bool {
	if !c.step(1) {
		return false
	}
	if c.depth++; c.depth > maxEval {
		c.stopped = true
	}
	defer func() { c.depth-- }()
	if s.never {
		return c.Fail(at, "is not allowed here")
	}
	if s.types != 0 && s.types&kindOf(v) == 0 {
		return c.Fail(at, "must be %s, not %s", kindsText(s.types), kindText(v))
	}
	var track *evaluated
	if seen != nil || s.unevaluated != nil || s.unevaluatedItems != nil {
		track = &evaluated{}
	}
	ok := c.fixed(s, v, at)
	if s.ref != nil {
		ok = c.apply(s.ref, v, at, track) && ok
	}
	switch v.Kind {
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
	if s.unevaluated != nil && v.Kind == '{' && !track.all {
		for i, name := range v.Names {
			if !track.properties[name] {
				track.property(name)
				ok = c.child(s.unevaluated, v.Items[i], at.Member(name)) && ok
			}
		}
	}
	if s.unevaluatedItems != nil && v.Kind == '[' && !track.all {
		for i, item := range v.Items {
			if !track.items[i] {
				ok = c.child(s.unevaluatedItems, item, at.At(i)) && ok
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
func (c *Check) child(s *Schema, v *jsontree.Node, at *jsontree.Path) bool {
	top := c.top
	c.top = s
	ok := c.eval(s, v, at, nil)
	c.top = top
	return ok
}

// apply applies a schema to the same value.
func (c *Check) apply(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
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
func (c *Check) silently(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	c.quiet++
	ok := c.apply(s, v, at, track)
	c.quiet--
	return ok
}

// combined applies allOf, anyOf, oneOf, not, if and discriminator.
func (c *Check) combined(s *Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	ok := true
	for _, one := range s.allOf {
		ok = c.apply(one, v, at, track) && ok
	}
	switch {
	case s.discriminator != nil && v.Kind == '{':
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
		ok = c.Fail(at, "has a form that is excluded (not)")
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
func (c *Check) chosen(d *discriminator, v *jsontree.Node, at *jsontree.Path, track *evaluated) bool {
	value := v.Get(d.property)
	switch {
	case value == nil:
		return c.Fail(at.Member(d.property), "is missing; it says which form the object has")
	case value.Kind != '"':
		return c.Fail(at.Member(d.property), "must be a text, not %s", kindText(value))
	case d.mapping[value.Text] == nil:
		names := make([]string, 0, len(d.mapping))
		for name := range d.mapping {
			names = append(names, name)
		}
		slices.Sort(names)
		return c.Fail(at.Member(d.property), "is %s, but must be one of %s", jsontree.Quote(value.Text), strings.Join(names, ", "))
	}
	return c.apply(d.mapping[value.Text], v, at, track)
}

// alternatives applies anyOf, or oneOf if just one may fit. Where only one of them is for this
// kind of value, its faults are the answer.
func (c *Check) alternatives(list []*Schema, v *jsontree.Node, at *jsontree.Path, track *evaluated, justOne bool) bool {
	var best []jsontree.Fault
	fit, candidates, start := 0, 0, len(c.Faults)
	for _, one := range list {
		ok := c.apply(one, v, at, track)
		if ok {
			fit++
		} else if one.possible&kindOf(v) != 0 {
			if candidates++; candidates == 1 {
				best = slices.Clone(c.Faults[start:])
			}
		}
		c.Faults = c.Faults[:start]
		if c.stopped || fit > 1 && justOne || fit == 1 && !justOne && track == nil {
			break
		}
	}
	switch {
	case fit == 1 || fit > 1 && !justOne:
		return true
	case fit > 1:
		return c.Fail(at, "fits several of the %d alternatives (oneOf), but must fit just one", len(list))
	case candidates == 1 && len(best) > 0:
		c.Faults = append(c.Faults, best...)
		return false
	}
	return c.Fail(at, "fits none of the %d alternatives that the API describes", len(list))
}

// kindOf is the kind of a value; of a whole number both integer and number.
func kindOf(v *jsontree.Node) kinds {
	switch v.Kind {
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
	if jsontree.ParseDecimal(v.Text).IsInteger() {
		return isInteger | isNumber
	}
	return isNumber
}

// kindText is a value for a text: its kind, and what it is if that is short.
func kindText(v *jsontree.Node) string {
	switch v.Kind {
	case 'n':
		return "null"
	case 't':
		return "true"
	case 'f':
		return "false"
	case '"':
		return "the text " + jsontree.Quote(v.Text)
	case '[':
		return "a list"
	case '{':
		return "an object"
	}
	return fmt.Sprintf("%.40s", v.Text)
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
func appendCanonical(b []byte, v *jsontree.Node) []byte {
	switch v.Kind {
	case '0':
		return jsontree.ParseDecimal(v.Text).AppendCanonical(b)
	case '"':
		b, _ = jsontext.AppendQuote(b, v.Text)
		return b
	case '[':
		b = append(b, '[')
		for _, item := range v.Items {
			b = append(appendCanonical(b, item), ',')
		}
		return append(b, ']')
	case '{':
		order := make([]int, len(v.Names))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(i, j int) int { return strings.Compare(v.Names[i], v.Names[j]) })
		b = append(b, '{')
		for _, i := range order {
			b, _ = jsontext.AppendQuote(b, v.Names[i])
			b = append(appendCanonical(append(b, ':'), v.Items[i]), ',')
		}
		return append(b, '}')
	}
	return append(b, byte(v.Kind))
}

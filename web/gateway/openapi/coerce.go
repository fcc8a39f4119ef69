package openapi

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// This file turns the texts of parameters and forms into values of the type that their schema
// asks for.

func textNode(s string) *node { return &node{kind: '"', text: s, end: len(s), size: 1} }

// readings is what a text may stand for, as far as the schema allows it; the text itself last.
func readings(s *schema, text string) []*node {
	possible := anyKind
	if s != nil {
		possible = s.possible
	}
	var all []*node
	switch {
	case possible&(isNumber|isInteger) != 0 && isPlainNumber(text):
		all = append(all, &node{kind: '0', text: text, end: len(text), size: 1})
	case possible&isBoolean != 0 && (text == "true" || text == "false"):
		all = append(all, &node{kind: jsontext.Kind(text[0]), size: 1})
	case possible&isNull != 0 && (text == "null" || text == "" && possible&isString == 0):
		all = append(all, &node{kind: 'n', size: 1})
	}
	if len(all) == 0 || possible&isString != 0 {
		all = append(all, textNode(text))
	}
	return all
}

// isPlainNumber reports whether a text is a number that read would accept.
func isPlainNumber(s string) bool {
	if len(s) > maxNumber || !isJSONNumber(s) {
		return false
	}
	i := strings.IndexAny(s, "eE")
	return i < 0 || len(strings.TrimLeft(s[i+1:], "+-0")) <= 9
}

// scalar is the first reading of a text that its schema accepts, else the last one.
func (c *check) scalar(s *schema, text string) *node {
	all := readings(s, text)
	if s == nil {
		return all[len(all)-1]
	}
	for _, v := range all[:len(all)-1] {
		if c.quietly(s, v) {
			return v
		}
	}
	if len(all) > 1 && s.possible&isString != 0 && !c.quietly(s, all[len(all)-1]) {
		return all[0] // neither fits; the fault about the number says more
	}
	return all[len(all)-1]
}

// quietly reports whether a value fits, without faults.
func (c *check) quietly(s *schema, v *node) bool {
	c.quiet++
	top := c.top
	c.top = s
	ok := c.eval(s, v, &path{}, nil)
	c.top = top
	c.quiet--
	return ok
}

// itemSchema is the schema of the items of an array, through references; nil if there is none.
func itemSchema(s *schema) (items *schema) {
	if s != nil {
		s.walk(func(one *schema) bool {
			items = one.items
			return items != nil
		})
	}
	return items
}

// propertySchema is the schema of a property, also by additionalProperties.
func propertySchema(s *schema, name string) (found *schema) {
	if s == nil {
		return nil
	}
	if found = s.property(name); found == nil {
		s.walk(func(one *schema) bool {
			found = one.additional
			return found != nil
		})
	}
	return found
}

func (c *check) list(s *schema, texts []string) *node {
	items := itemSchema(s)
	n := &node{kind: '[', size: 1 + len(texts)}
	for _, text := range texts {
		n.items = append(n.items, c.scalar(items, text))
		n.end += len(text)
	}
	return n
}

// pair is a name and a value of a query or form.
type pair struct{ name, value string }

// objectOf makes an object of pairs; a name that comes several times makes a list.
func (c *check) objectOf(s *schema, pairs []pair) *node {
	n := &node{kind: '{', size: 1}
	values := map[string][]string{}
	for _, p := range pairs {
		if values[p.name] == nil {
			n.names = append(n.names, p.name)
		}
		values[p.name] = append(values[p.name], p.value)
		n.end += len(p.name) + len(p.value)
	}
	for _, name := range n.names {
		one := propertySchema(s, name)
		var v *node
		switch {
		case len(values[name]) > 1, one != nil && one.possible&isArray != 0 && one.possible&isString == 0:
			v = c.list(one, values[name])
		case one != nil && one.possible&isObject != 0 && one.possible&isString == 0:
			if v, _ = read([]byte(values[name][0]), false); v == nil {
				v = textNode(values[name][0])
			}
		default:
			v = c.scalar(one, values[name][0])
		}
		n.items = append(n.items, v)
		n.size += v.size
	}
	if len(n.names) > 8 {
		n.index = make(map[string]int, len(n.names))
		for i, name := range n.names {
			n.index[name] = i
		}
	}
	return n
}

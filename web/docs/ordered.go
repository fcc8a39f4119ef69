package docs

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// object is a JSON object whose members have an order. A value in it is an object, a []any,
// or what json.Marshal takes.
type object []member

type member struct {
	name  string
	value any
}

func (o object) index(name string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.name == name })
}

// parse reads a YAML document that is an object.
func parse(text string) (object, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, err
	}
	value, err := valueOf(&document)
	if err != nil {
		return nil, err
	}
	whole, ok := value.(object)
	if !ok {
		return nil, fmt.Errorf("is not an object")
	}
	return whole, nil
}

func valueOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return valueOf(n.Content[0])
	case yaml.AliasNode:
		return valueOf(n.Alias)
	case yaml.SequenceNode:
		list := []any{}
		for _, element := range n.Content {
			value, err := valueOf(element)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.MappingNode:
		return objectOf(n)
	}
	if n.Tag == "!!str" || n.Tag == "!!timestamp" {
		return n.Value, nil
	}
	var value any
	err := n.Decode(&value)
	return value, err
}

// objectOf reads a mapping. Members given by the mapping itself win over those that a merge
// key (<<) brings, in their place.
func objectOf(n *yaml.Node) (object, error) {
	all := object{}
	own := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		value, err := valueOf(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		if own[name] {
			return nil, fmt.Errorf("line %d: the member %s is given twice", n.Content[i].Line, name)
		}
		own[name] = true
		given := object{{name, value}}
		if name == "<<" {
			merged, ok := value.(object)
			if !ok {
				return nil, fmt.Errorf("line %d: << takes one mapping", n.Content[i].Line)
			}
			given = merged
		}
		for _, m := range given {
			if at := all.index(m.name); at < 0 {
				all = append(all, m)
			} else if name != "<<" || !own[m.name] {
				all[at].value = m.value
			}
		}
	}
	return all, nil
}

// merge adds the members of b to those of a; a member that both have must be an object
// in both.
func merge(a, b object) (object, error) {
	for _, m := range b {
		i := a.index(m.name)
		if i < 0 {
			a = append(a, m)
			continue
		}
		old, ok := a[i].value.(object)
		add, also := m.value.(object)
		if !ok || !also {
			return nil, fmt.Errorf("the member %s is given twice", m.name)
		}
		joined, err := merge(old, add)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		a[i].value = joined
	}
	return a, nil
}

// appendOrdered appends a value as JSON, the members of objects in their order.
func appendOrdered(b []byte, value any) ([]byte, error) {
	var err error
	switch v := value.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = jsontext.AppendQuote(b, m.name); err != nil {
				return nil, err
			}
			if b, err = appendOrdered(append(b, ':'), m.value); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendOrdered(b, element); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	text, err := json.Marshal(value)
	return append(b, text...), err
}

package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/gateway/openapi/jsontree"
)

// toJSON returns a document as JSON: itself if it is JSON, else what its YAML says. Members
// keep their order and numbers their digits. Its error is a *jobs.Problem.
func toJSON(doc []byte) ([]byte, error) {
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	if first := bytes.TrimLeft(doc, " \t\r\n"); len(first) > 0 && first[0] == '{' {
		if len(doc) > MaxJSON {
			return nil, refuse("", "has more than %s", jobs.SizeText(MaxJSON))
		}
		return bytes.Clone(doc), nil
	}
	if len(doc) > MaxYAML {
		return nil, refuse("", "has more than %s; YAML is slow to read: send JSON, which may have %s", jobs.SizeText(MaxYAML), jobs.SizeText(MaxJSON))
	}
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var root, more yaml.Node
	if err := dec.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, refuse("", "is empty; send an OpenAPI document as JSON or YAML")
		}
		return nil, refuse("", "is neither JSON nor YAML: %s", err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, refuse("", "has a second YAML document; send one")
	}
	w := yamlWriter{Report: &jsontree.Report{}, open: map[*yaml.Node]bool{}}
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		w.value(root.Content[0], &jsontree.Path{}, jobs.MaxDepth)
	} else {
		w.value(&root, &jsontree.Path{}, jobs.MaxDepth)
	}
	if err := problemOf(w.Report); err != nil {
		return nil, err
	}
	return w.out, nil
}

// yamlWriter writes YAML as JSON. What is over a limit stops it.
type yamlWriter struct {
	*jsontree.Report
	out    []byte
	values int
	open   map[*yaml.Node]bool // anchors that are being written, to find those that hold themselves
	done   bool                // a limit was passed
}

func (w *yamlWriter) stop(n *yaml.Node, at *jsontree.Path, format string, args ...any) {
	if !w.done {
		w.done = true
		w.failLine(n, at, format, args...)
	}
}

func (w *yamlWriter) failLine(n *yaml.Node, at *jsontree.Path, format string, args ...any) {
	w.Fail(at, "line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

func (w *yamlWriter) value(n *yaml.Node, at *jsontree.Path, levels int) {
	if w.done || w.Failed() {
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if w.values++; w.values > jsontree.MaxValues || len(w.out) > MaxJSON {
		w.stop(n, at, "has more than %d values or %s when its aliases are written out", jsontree.MaxValues, jobs.SizeText(MaxJSON))
		return
	}
	if n.Kind == yaml.ScalarNode {
		w.scalar(n, at)
		return
	}
	if levels == 0 {
		w.stop(n, at, "has more than %d levels of mappings and lists inside one another", jobs.MaxDepth)
		return
	}
	if w.open[n] {
		w.failLine(n, at, "is an alias of something that it is part of")
		return
	}
	w.open[n] = true
	defer delete(w.open, n)
	switch n.Kind {
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(item, at.At(i), levels-1)
		}
		w.out = append(w.out, ']')
	case yaml.MappingNode:
		w.mapping(n, at, levels-1)
	default:
		w.failLine(n, at, "is something that JSON can't hold")
	}
}

func (w *yamlWriter) mapping(n *yaml.Node, at *jsontree.Path, levels int) {
	seen := make(map[string]int, len(n.Content)/2)
	w.out = append(w.out, '{')
	for i := 0; i+1 < len(n.Content) && !w.done; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			w.failLine(key, at, "has a key that is not a text")
			return
		}
		if key.Tag == "!!merge" {
			w.failLine(key, at, "has a merge key (<<), which is not supported; write the members out, or use $ref")
			return
		}
		inner := at.Member(key.Value)
		if line, twice := seen[key.Value]; twice {
			w.failLine(key, inner, "is given twice, first in line %d; keep one", line)
			continue
		}
		seen[key.Value] = key.Line
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.quote(key, inner)
		w.out = append(w.out, ':')
		w.value(value, inner, levels)
	}
	w.out = append(w.out, '}')
}

func (w *yamlWriter) quote(n *yaml.Node, at *jsontree.Path) {
	out, err := jsontext.AppendQuote(w.out, n.Value)
	if err != nil {
		w.failLine(n, at, "is not UTF-8")
		return
	}
	w.out = out
}

func (w *yamlWriter) scalar(n *yaml.Node, at *jsontree.Path) {
	switch n.Tag {
	case "!!str", "!!timestamp", "":
		if n.Style == 0 && jsontree.IsJSONNumber(n.Value) { // 1e400, which is no float64
			w.out = append(w.out, n.Value...)
			return
		}
		w.quote(n, at)
	case "!!null":
		w.out = append(w.out, "null"...)
	case "!!bool":
		if strings.EqualFold(n.Value, "true") {
			w.out = append(w.out, "true"...)
		} else {
			w.out = append(w.out, "false"...)
		}
	case "!!int", "!!float":
		number, ok := jsonNumber(n.Value)
		if !ok {
			w.failLine(n, at, "is a number that JSON can't hold; put it into quotes if it is a text")
			return
		}
		w.out = append(w.out, number...)
	default:
		w.failLine(n, at, "has the YAML tag %s, which JSON can't hold", jsontree.Quote(n.Tag))
	}
}

// jsonNumber returns a YAML number as JSON writes it. Decimal digits stay as they are.
func jsonNumber(s string) (string, bool) {
	s = strings.TrimPrefix(s, "+")
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	if jsontree.IsJSONNumber(sign + s) {
		return sign + s, true
	}
	if len(s) > jsontree.MaxNumber || len(s) > 1 && s[0] == '0' && (s[1] >= '0' && s[1] <= '9' || s[1] == '_') {
		return "", false // 010 is ten in YAML 1.2 and eight in YAML 1.1
	}
	if i, ok := new(big.Int).SetString(s, 0); ok { // 0x1F, 0o17, 0b1, 1_000
		return sign + i.String(), true
	}
	if strings.HasPrefix(s, ".") {
		s = "0" + s
	}
	if mantissa, exp, _ := strings.Cut(s, "."); exp == "" || exp[0] == 'e' || exp[0] == 'E' {
		s = mantissa + exp // 1. and 1.e5
	}
	return sign + s, jsontree.IsJSONNumber(sign + s)
}

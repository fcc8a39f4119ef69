package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/clip"
)

// maxFile is the largest configuration in bytes.
const maxFile = 4 << 20

// reader walks a YAML document and collects its errors.
type reader struct {
	file    string
	errs    Errors
	foreign bool // reads routes that the operator has not written; see DecodeRoutes
	mocked  bool // these need no upstream
}

// field reads the value of one key.
type field func(n *yaml.Node, at string)

// fail adds an error at a node, which may be nil.
func (r *reader) fail(n *yaml.Node, at, format string, args ...any) {
	e := Error{File: r.file, At: at, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line = n.Line
	}
	r.errs = append(r.errs, e)
}

var yamlErrorPrefix = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// document parses data; it returns nil if it is empty or not valid YAML.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		r.fail(nil, "", "is over %d bytes, the limit for a configuration", maxFile)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	if err == io.EOF {
		return nil
	}
	if err == nil {
		if err = d.Decode(&more); err == nil {
			r.fail(&more, "", "has a second document; put everything into one")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		text := err.Error()
		m := yamlErrorPrefix.FindStringSubmatch(text)
		var at yaml.Node
		if m != nil {
			at.Line, _ = strconv.Atoi(m[1])
			text = text[len(m[0]):]
		}
		r.fail(&at, "", "is not YAML: %s", printable(text))
		return nil
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return nil
	}
	if n := tooDeep(doc.Content[0], jobs.MaxDepth); n != nil {
		r.fail(n, "", "has more than %d levels of mappings and lists inside one another", jobs.MaxDepth)
		return nil
	}
	return doc.Content[0]
}

// tooDeep returns a mapping or list that is nested in more levels, or nil.
func tooDeep(n *yaml.Node, levels int) *yaml.Node {
	if n.Kind == yaml.ScalarNode || n.Kind == yaml.AliasNode {
		return nil
	}
	if levels == 0 {
		return n
	}
	for _, child := range n.Content {
		if deep := tooDeep(child, levels-1); deep != nil {
			return deep
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// mapping reads a mapping; keys that are not in fields are errors.
func (r *reader) mapping(n *yaml.Node, at string, fields map[string]field) {
	r.each(n, at, func(key, value *yaml.Node, at string) {
		read, known := fields[key.Value]
		switch {
		case !known:
			r.fail(key, at, "is unknown here; known are: %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		case isNull(value):
			r.fail(value, at, "has no value; give one or delete the line")
		default:
			read(value, at)
		}
	})
}

// each calls do for each entry of a mapping.
func (r *reader) each(n *yaml.Node, at string, do func(key, value *yaml.Node, at string)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, at, "must be a mapping, like key: value, not %s", describeNode(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		inner := strings.TrimPrefix(at+"."+r.keyIn(key.Value), ".")
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			r.fail(key, at, "has a key that is not a text; put it into quotes")
		case twice:
			r.fail(key, inner, "is given twice, first in line %d; keep one", line)
		default:
			seen[key.Value] = key.Line
			if r.checkNotAlias(value, inner) {
				do(key, value, inner)
			}
		}
	}
}

// checkNotAlias reports an error for a YAML alias.
func (r *reader) checkNotAlias(n *yaml.Node, at string) bool {
	if n.Kind == yaml.AliasNode {
		r.fail(n, at, "is an alias, which is not supported; write the value out")
		return false
	}
	return true
}

// list reads a sequence.
func (r *reader) list(n *yaml.Node, at string, item field) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, at, "must be a list, like [a, b], not %s", describeNode(n))
		return
	}
	for i, value := range n.Content {
		inner := fmt.Sprintf("%s[%d]", at, i)
		if r.checkNotAlias(value, inner) {
			item(value, inner)
		}
	}
}

// text reads a text that is not empty.
func (r *reader) text(n *yaml.Node, at string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		r.fail(n, at, "must be a text, not %s", describeNode(n))
		return "", false
	}
	if n.Value == "" || strings.ContainsFunc(n.Value, unicode.IsControl) {
		r.fail(n, at, "must be a text of one line that is not empty")
		return "", false
	}
	return n.Value, true
}

// boolean reads true or false.
func (r *reader) boolean(n *yaml.Node, at string) (value, ok bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.fail(n, at, "must be true or false, not %s", describeNode(n))
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

func (r *reader) number(n *yaml.Node, at string, least, most int) (int, bool) {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < least || v > most {
		r.fail(n, at, "must be a whole number from %d to %d", least, most)
		return 0, false
	}
	return v, true
}

func (r *reader) duration(n *yaml.Node, at string, least, most time.Duration) (time.Duration, bool) {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float") {
		r.fail(n, at, "must have a unit, like %ss", printable(n.Value))
		return 0, false
	}
	text, ok := r.text(n, at)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		r.fail(n, at, "must be a duration like 500ms, 30s or 1h30m, not %q", text)
		return 0, false
	}
	if d < least || d > most {
		r.fail(n, at, "must be from %s to %s", least, most)
		return 0, false
	}
	return d, true
}

// oneOf reads one of words and returns its index.
func (r *reader) oneOf(n *yaml.Node, at string, words []string) (int, bool) {
	i := slices.Index(words, n.Value)
	if n.Kind != yaml.ScalarNode || i < 0 {
		r.fail(n, at, "must be one of %s", strings.Join(words, ", "))
		return 0, false
	}
	return i, true
}

// describeNode returns what a node is, for errors.
func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	case "!!str":
		return "a text"
	}
	return "something else"
}

// printable returns a text that is safe to show in a terminal, cut to 200 bytes.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '\ufffd'
	}, s)
	return clip.Shorten(s, 200)
}

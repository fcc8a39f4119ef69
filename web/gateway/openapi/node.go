package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// node is one JSON value. Numbers keep their text.
type node struct {
	kind       jsontext.Kind // n, t, f, ", 0, { or [
	start, end int           // its bytes in what was read
	size       int           // values in it, itself included
	text       string        // of a string, decoded; of a number, as written
	names      []string      // of an object, in order
	items      []*node       // the members of an object, or the items of an array
	index      map[string]int
}

// get is a member of an object; nil if there is none, or if n is no object.
func (n *node) get(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return n.items[i]
		}
		return nil
	}
	for i, other := range n.names {
		if other == name {
			return n.items[i]
		}
	}
	return nil
}

// str is a member that is a string; empty if there is none.
func (n *node) str(name string) string {
	if m := n.get(name); m != nil && m.kind == '"' {
		return m.text
	}
	return ""
}

// isTrue reports whether a member is true.
func (n *node) isTrue(name string) bool {
	m := n.get(name)
	return m != nil && m.kind == 't'
}

// errTooMany: a document has more than MaxValues values.
var errTooMany = fmt.Errorf("has more than %d values", MaxValues)

// limitError is a limit of a document that was passed at a pointer.
type limitError struct{ pointer, detail string }

func (e *limitError) Error() string { return e.detail }

// reader reads JSON into nodes.
type reader struct {
	data   []byte
	dec    *jsontext.Decoder
	values int
	paths  bool // refuse more than MaxPaths members of the member paths
}

// read reads one JSON value: UTF-8, no member twice, at most jobs.MaxDepth levels, MaxValues
// values and maxNumber characters of a number.
func read(data []byte, paths bool) (*node, error) {
	if jobs.TooDeep(data, jobs.MaxDepth) {
		return nil, &limitError{detail: fmt.Sprintf("has more than %d levels of objects and arrays inside one another", jobs.MaxDepth)}
	}
	r := reader{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), paths: paths}
	n, err := r.value()
	if err == nil {
		if _, err = r.dec.ReadToken(); err == nil {
			err = errors.New("more follows after the end of the JSON value")
		} else if err == io.EOF {
			return n, nil
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

func (r *reader) value() (*node, error) {
	if r.values++; r.values > MaxValues {
		return nil, errTooMany
	}
	start := int(r.dec.InputOffset())
	for start < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[start]) >= 0 {
		start++
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &node{kind: tok.Kind(), start: start}
	before := r.values - 1
	switch n.kind {
	case '{', '[':
		err = r.children(n)
	case '0':
		n.text = tok.String()
		err = r.number(n.text)
	case '"':
		n.text = tok.String()
	}
	n.end, n.size = int(r.dec.InputOffset()), r.values-before
	return n, err
}

func (r *reader) children(n *node) error {
	countPaths := r.paths && n.kind == '{' && r.dec.StackDepth() == 2 && string(r.dec.StackPointer()) == "/paths"
	for {
		kind := r.dec.PeekKind()
		if kind == '}' || kind == ']' {
			_, err := r.dec.ReadToken()
			if len(n.names) > 8 {
				n.index = make(map[string]int, len(n.names))
				for i, name := range n.names {
					n.index[name] = i
				}
			}
			return err
		}
		if n.kind == '{' {
			if countPaths && len(n.names) == MaxPaths {
				return &limitError{"/paths", fmt.Sprintf("has more than %d paths; split the API into several documents", MaxPaths)}
			}
			name, err := r.dec.ReadToken()
			if err != nil {
				return err
			}
			n.names = append(n.names, name.String())
		}
		item, err := r.value()
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
}

// number refuses numbers that would take long to compare.
func (r *reader) number(s string) error {
	if len(s) > maxNumber {
		return &limitError{string(r.dec.StackPointer()), fmt.Sprintf("has a number of more than %d characters", maxNumber)}
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 9 {
		return &limitError{string(r.dec.StackPointer()), "has a number with an exponent of more than 9 digits"}
	}
	return nil
}

// place is where an error of read is: its pointer, and its text for people.
func place(data []byte, err error) (pointer, detail string) {
	var limit *limitError
	if errors.As(err, &limit) {
		return limit.pointer, limit.detail
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		offset := min(max(int(syntactic.ByteOffset), 0), len(data))
		line := 1 + bytes.Count(data[:offset], []byte{'\n'})
		detail = fmt.Sprintf("line %d: %s", line, syntactic.Err)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			detail = fmt.Sprintf("line %d: is given twice; keep one", line)
		}
		return string(syntactic.JSONPointer), detail
	}
	return "", err.Error()
}

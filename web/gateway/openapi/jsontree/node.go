package jsontree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// Node is one JSON value. Numbers keep their text.
type Node struct {
	Kind       jsontext.Kind // n, t, f, ", 0, { or [
	Start, End int           // its bytes in what was read
	Size       int           // values in it, itself included
	Text       string        // of a string, decoded; of a number, as written
	Names      []string      // of an object, in order
	Items      []*Node       // the members of an object, or the items of an array
	index      map[string]int
}

// Get is a member of an object; nil if there is none, or if n is no object.
func (n *Node) Get(name string) *Node {
	if n == nil || n.Kind != '{' {
		return nil
	}
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return n.Items[i]
		}
		return nil
	}
	for i, other := range n.Names {
		if other == name {
			return n.Items[i]
		}
	}
	return nil
}

// IndexNames makes Get fast for an object of many members, once it has all of them.
func (n *Node) IndexNames() {
	if len(n.Names) > 8 {
		n.index = make(map[string]int, len(n.Names))
		for i, name := range n.Names {
			n.index[name] = i
		}
	}
}

// Str is a member that is a string; empty if there is none.
func (n *Node) Str(name string) string {
	if m := n.Get(name); m != nil && m.Kind == '"' {
		return m.Text
	}
	return ""
}

// IsTrue reports whether a member is true.
func (n *Node) IsTrue(name string) bool {
	m := n.Get(name)
	return m != nil && m.Kind == 't'
}

// Raw is the bytes of n in the data that it was read from, which the caller must not change.
func (n *Node) Raw(data []byte) jobs.Value { return jobs.Value(data[n.Start:n.End]) }

// TextNode is a string that was not read from JSON.
func TextNode(s string) *Node { return &Node{Kind: '"', Text: s, End: len(s), Size: 1} }

// errTooMany: a document has more than MaxValues values.
var ErrTooMany = fmt.Errorf("has more than %d values", MaxValues)

// limitError is a limit of a document that was passed at a pointer.
type limitError struct{ pointer, detail string }

func (e *limitError) Error() string { return e.detail }

// reader reads JSON into nodes.
type reader struct {
	data   []byte
	dec    *jsontext.Decoder
	values int
	limits []Limit
}

// Limit is the most members that one member of the outermost object may have.
type Limit struct {
	Name   string // of that member
	Most   int
	Detail string // what the error says
}

// Read reads one JSON value: UTF-8, no member twice, at most jobs.MaxDepth levels, MaxValues
// values and maxNumber characters of a number. Place says where an error is.
func Read(data []byte, limits ...Limit) (*Node, error) {
	if jobs.TooDeep(data, jobs.MaxDepth) {
		return nil, &limitError{detail: fmt.Sprintf("has more than %d levels of objects and arrays inside one another", jobs.MaxDepth)}
	}
	r := reader{data: data, dec: jsontext.NewDecoder(bytes.NewBuffer(data)), limits: limits}
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

func (r *reader) value() (*Node, error) {
	if r.values++; r.values > MaxValues {
		return nil, ErrTooMany
	}
	start := int(r.dec.InputOffset())
	for start < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[start]) >= 0 {
		start++
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &Node{Kind: tok.Kind(), Start: start}
	before := r.values - 1
	switch n.Kind {
	case '{', '[':
		err = r.children(n)
	case '0':
		n.Text = tok.String()
		err = r.number(n.Text)
	case '"':
		n.Text = tok.String()
	}
	n.End, n.Size = int(r.dec.InputOffset()), r.values-before
	return n, err
}

func (r *reader) children(n *Node) error {
	most := r.limit(n)
	for {
		kind := r.dec.PeekKind()
		if kind == '}' || kind == ']' {
			_, err := r.dec.ReadToken()
			n.IndexNames()
			return err
		}
		if n.Kind == '{' {
			if most != nil && len(n.Names) == most.Most {
				return &limitError{"/" + most.Name, most.Detail}
			}
			name, err := r.dec.ReadToken()
			if err != nil {
				return err
			}
			n.Names = append(n.Names, name.String())
		}
		item, err := r.value()
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
}

// limit is what applies to the members of n, which is being read; nil for nothing.
func (r *reader) limit(n *Node) *Limit {
	if len(r.limits) == 0 || n.Kind != '{' || r.dec.StackDepth() != 2 {
		return nil
	}
	for i, l := range r.limits {
		if string(r.dec.StackPointer()) == "/"+l.Name {
			return &r.limits[i]
		}
	}
	return nil
}

// number refuses numbers that would take long to compare.
func (r *reader) number(s string) error {
	if len(s) > MaxNumber {
		return &limitError{string(r.dec.StackPointer()), fmt.Sprintf("has a number of more than %d characters", MaxNumber)}
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 9 {
		return &limitError{string(r.dec.StackPointer()), "has a number with an exponent of more than 9 digits"}
	}
	return nil
}

// Place is where an error of Read is: its pointer, and its text for people.
func Place(data []byte, err error) (pointer, detail string) {
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

// IsJSONNumber reports whether s is a number as JSON writes it.
func IsJSONNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && jsontext.Value(s).IsValid() && s[len(s)-1] != ' '
}

// IsPlainNumber reports whether a text is a number that Read would accept.
func IsPlainNumber(s string) bool {
	if len(s) > MaxNumber || !IsJSONNumber(s) {
		return false
	}
	i := strings.IndexAny(s, "eE")
	return i < 0 || len(strings.TrimLeft(s[i+1:], "+-0")) <= 9
}

package view

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/clip"
)

const (
	maxNodes = 400
	maxDepth = 24
	maxText  = 8 << 10 // bytes of one string
	longText = 600     // bytes from which a text gets a scroll bar of its own
)

// node is a JSON value to be shown. Numbers keep every digit, members their order.
type node struct {
	Key   string
	Named bool // has a key
	Type  nodeType
	Text  string // of a leaf
	Cut   bool   // Text or Kids are not complete
	Kids  []node
}

type nodeType string

const (
	object nodeType = "object"
	array  nodeType = "array"
	text   nodeType = "text"
	digits nodeType = "number"
	word   nodeType = "word" // true, false, null
)

// parse reads as much of v as is shown. It stops at the limits, so that a large document
// costs no more than a small one.
func parse(v jobs.Value) node { return parseUpTo(v, maxNodes) }

func parseUpTo(v jobs.Value, nodes int) node {
	p := parser{jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), nodes}
	return p.value(0)
}

type parser struct {
	dec  *jsontext.Decoder
	left int // nodes that may still be read
}

func (p *parser) value(depth int) node {
	token, err := p.dec.ReadToken()
	if err != nil {
		p.left = 0
		return node{Type: word, Cut: true}
	}
	p.left--
	n := node{Type: word}
	switch token.Kind() {
	case '{', '[':
		n.Type = object
		if token.Kind() == '[' {
			n.Type = array
		}
		p.kids(&n, depth+1)
		return n
	case '"':
		n.Type = text
	case '0':
		n.Type = digits
	}
	n.Text, n.Cut = clip.Text(token.String(), maxText)
	return n
}

func (p *parser) kids(n *node, depth int) {
	for kind := p.dec.PeekKind(); kind != '}' && kind != ']'; kind = p.dec.PeekKind() {
		if p.left <= 0 || depth > maxDepth {
			p.left, n.Cut = 0, true
			return
		}
		key := ""
		if n.Type == object {
			name, err := p.dec.ReadToken()
			if err != nil {
				p.left, n.Cut = 0, true
				return
			}
			key, _ = clip.Text(name.String(), 256)
		}
		kid := p.value(depth)
		kid.Key, kid.Named = key, n.Type == object
		n.Kids = append(n.Kids, kid)
		if p.left <= 0 && kid.Cut && kid.Type != text { // the decoder is still inside the child
			n.Cut = true
			return
		}
	}
	_, _ = p.dec.ReadToken() // the closing bracket
}

// summary says how much a closed branch hides.
func (n node) summary() string {
	size := count(int64(len(n.Kids)))
	if n.Cut {
		size += "+"
	}
	if n.Type == array {
		return "[" + size + "]"
	}
	return "{" + size + "}"
}

// open reports whether a branch is open at first: a small one is.
func (n node) open(depth int) bool {
	return depth == 0 && len(n.Kids) <= 60 || depth < 3 && n.size() <= 24
}

// size is how many nodes there are below.
func (n node) size() (all int) {
	for _, kid := range n.Kids {
		all += 1 + kid.size()
	}
	return all
}

func (n node) branch() bool { return len(n.Kids) > 0 || n.Cut && (n.Type == object || n.Type == array) }

func (n node) leaf() string {
	switch n.Type {
	case object:
		return "{}"
	case array:
		return "[]"
	}
	return n.Text
}

package view

import (
	"bytes"
	"encoding/json"

	"jobhub/jobs"
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
	Cut   bool   // Text or Kids are not all there is
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

// parse reads as much of v as is shown. It stops reading at the limits, so that a
// large document costs no more than a small one.
func parse(v jobs.Value) node { return parseUpTo(v, maxNodes) }

func parseUpTo(v jobs.Value, nodes int) node {
	p := parser{dec: json.NewDecoder(bytes.NewReader(v)), left: nodes}
	p.dec.UseNumber()
	return p.value(0)
}

type parser struct {
	dec  *json.Decoder
	left int // nodes that may still be read
}

func (p *parser) value(depth int) node {
	token, err := p.dec.Token()
	if err != nil {
		return node{Type: word, Cut: true}
	}
	p.left--
	switch t := token.(type) {
	case json.Delim:
		n := node{Type: object}
		if t == '[' {
			n.Type = array
		}
		p.kids(&n, depth+1)
		return n
	case string:
		s, cut := clip(t, maxText)
		return node{Type: text, Text: s, Cut: cut}
	case json.Number:
		s, cut := clip(t.String(), maxText)
		return node{Type: digits, Text: s, Cut: cut}
	case bool:
		if t {
			return node{Type: word, Text: "true"}
		}
		return node{Type: word, Text: "false"}
	}
	return node{Type: word, Text: "null"}
}

func (p *parser) kids(n *node, depth int) {
	for p.dec.More() {
		if p.left <= 0 || depth > maxDepth {
			p.left, n.Cut = 0, true
			return
		}
		key := ""
		if n.Type == object {
			token, err := p.dec.Token()
			name, ok := token.(string)
			if err != nil || !ok {
				p.left, n.Cut = 0, true
				return
			}
			key, _ = clip(name, 256)
		}
		kid := p.value(depth)
		kid.Key, kid.Named = key, n.Type == object
		n.Kids = append(n.Kids, kid)
		if p.left <= 0 && kid.Cut && kid.Type != text { // the reader stands inside the child
			n.Cut = true
			return
		}
	}
	_, _ = p.dec.Token() // the closing bracket
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

// open reports whether a branch is open at first: one that does not fill the page.
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

package jsontree

import (
	"strconv"
	"strings"

	"jobhub/web/clip"
)

// Path is the place of a value inside a document or body, built on the way down and written
// only if something is wrong there.
type Path struct {
	parent *Path
	name   string
	index  int
	item   bool // the place is that of an item, by its index, not of a member
}

// Member is the place of a member of the object at p.
func (p *Path) Member(name string) *Path { return &Path{parent: p, name: name} }

// At is the place of an item of the array at p, by its index from 0.
func (p *Path) At(i int) *Path { return &Path{parent: p, index: i, item: true} }

// Pointer is the place as a JSON pointer (RFC 6901), cut to 512 bytes.
func (p *Path) Pointer() string {
	var tokens []string
	for ; p != nil && (p.parent != nil || p.name != ""); p = p.parent {
		if p.item {
			tokens = append(tokens, strconv.Itoa(p.index))
		} else {
			tokens = append(tokens, Escape(clip.Shorten(p.name, 200)))
		}
	}
	var b strings.Builder
	for i := len(tokens) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(tokens[i])
	}
	return strings.ToValidUTF8(clip.Shorten(b.String(), 512), "\ufffd")
}

// Escape is a name as it stands in a JSON pointer.
func Escape(name string) string { return pointerToken.Replace(name) }

var pointerToken = strings.NewReplacer("~", "~0", "/", "~1")

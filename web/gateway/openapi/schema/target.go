package schema

import (
	"net/url"
	"strconv"
	"strings"

	"jobhub/web/clip"
	"jobhub/web/gateway/openapi/jsontree"
)

// Target finds what a $ref names inside the document; nil if it is an error, which it reports.
func (b *Compiler) Target(ref string, at *jsontree.Path) (*jsontree.Node, *jsontree.Path) {
	fragment, local := strings.CutPrefix(ref, "#")
	if !local {
		b.Fail(at, "refers to %s, which is outside of this document; nothing is fetched: put it into components and refer to it with #/components/…", jsontree.Quote(ref))
		return nil, nil
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil || fragment != "" && fragment[0] != '/' {
		b.Fail(at, "refers to %s; only JSON pointers like #/components/schemas/Name are followed", jsontree.Quote(ref))
		return nil, nil
	}
	n, place := b.root, &jsontree.Path{}
	if fragment != "" {
		for token := range strings.SplitSeq(fragment[1:], "/") {
			token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
			place = place.Member(token)
			if n.Kind == '[' {
				i, err := strconv.Atoi(token)
				if err != nil || i < 0 || i >= len(n.Items) {
					n = nil
				} else {
					n = n.Items[i]
				}
			} else {
				n = n.Get(token)
			}
			if n == nil {
				b.Fail(at, "refers to %s, which is not in this document", jsontree.Quote(ref))
				return nil, nil
			}
		}
	}
	if b.refCost > maxRefCost {
		return nil, nil
	}
	if b.refCost += n.Size; b.refCost > maxRefCost {
		b.Fail(at, "is one of too many references to large parts of the document; split the API into several documents")
		return nil, nil
	}
	return n, place
}

// RefName is the last part of a reference, which is the name of a component.
func RefName(ref string) string {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return clip.Shorten(strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~"), 200)
}

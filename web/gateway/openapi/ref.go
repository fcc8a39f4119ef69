package openapi

import (
	"net/url"
	"strconv"
	"strings"

	"jobhub/web/clip"
)

// target finds what a $ref names inside the document; nil if it is an error, which it reports.
func (b *builder) target(ref string, at *path) (*node, *path) {
	fragment, local := strings.CutPrefix(ref, "#")
	if !local {
		b.fail(at, "refers to %s, which is outside of this document; nothing is fetched: put it into components and refer to it with #/components/…", short(ref))
		return nil, nil
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil || fragment != "" && fragment[0] != '/' {
		b.fail(at, "refers to %s; only JSON pointers like #/components/schemas/Name are followed", short(ref))
		return nil, nil
	}
	n, place := b.root, &path{}
	if fragment != "" {
		for token := range strings.SplitSeq(fragment[1:], "/") {
			token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
			place = place.member(token)
			if n.kind == '[' {
				i, err := strconv.Atoi(token)
				if err != nil || i < 0 || i >= len(n.items) {
					n = nil
				} else {
					n = n.items[i]
				}
			} else {
				n = n.get(token)
			}
			if n == nil {
				b.fail(at, "refers to %s, which is not in this document", short(ref))
				return nil, nil
			}
		}
	}
	if b.refCost > maxRefCost {
		return nil, nil
	}
	if b.refCost += n.size; b.refCost > maxRefCost {
		b.fail(at, "is one of too many references to large parts of the document; split the API into several documents")
		return nil, nil
	}
	return n, place
}

// resolve follows the $ref of an object that is no schema; nil if it is an error, which it
// reports.
func (b *builder) resolve(n *node, at *path) (*node, *path) {
	for range maxRefChain {
		if n.kind != '{' {
			b.fail(at, "must be an object")
			return nil, nil
		}
		ref := n.get("$ref")
		if ref == nil {
			return n, at
		}
		if ref.kind != '"' {
			b.fail(at.member("$ref"), "must be a text")
			return nil, nil
		}
		for _, name := range n.names {
			if name != "$ref" && !(b.v31 && (name == "summary" || name == "description")) {
				b.warn(at.member(name), "stands beside a $ref and has no effect")
			}
		}
		if n, at = b.target(ref.text, at.member("$ref")); n == nil {
			return nil, nil
		}
	}
	b.fail(at, "is a reference that leads to itself, or over more than %d others", maxRefChain)
	return nil, nil
}

// refName is the last part of a reference, which is the name of a component.
func refName(ref string) string {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return clip.Shorten(strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~"), 200)
}

package openapi

import (
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

// resolve follows the $ref of an object that is no schema; nil if it is an error, which it
// reports.
func (b *builder) resolve(n *jsontree.Node, at *jsontree.Path) (*jsontree.Node, *jsontree.Path) {
	for range schema.MaxRefChain {
		if n.Kind != '{' {
			b.Fail(at, "must be an object")
			return nil, nil
		}
		ref := n.Get("$ref")
		if ref == nil {
			return n, at
		}
		if ref.Kind != '"' {
			b.Fail(at.Member("$ref"), "must be a text")
			return nil, nil
		}
		for _, name := range n.Names {
			if name != "$ref" && !(b.V31 && (name == "summary" || name == "description")) {
				b.Warn(at.Member(name), "stands beside a $ref and has no effect")
			}
		}
		if n, at = b.Target(ref.Text, at.Member("$ref")); n == nil {
			return nil, nil
		}
	}
	b.Fail(at, "is a reference that leads to itself, or over more than %d others", schema.MaxRefChain)
	return nil, nil
}

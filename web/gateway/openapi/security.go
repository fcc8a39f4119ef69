package openapi

import (
	"regexp"
	"slices"

	"jobhub/web/gateway/openapi/jsontree"
)

var componentName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// components reads every component, also those that nothing refers to.
func (b *builder) components(n *jsontree.Node, at *jsontree.Path) {
	b.open = map[*jsontree.Node]bool{}
	if !b.object(n, at) {
		return
	}
	b.known(n, at, "schemas", "responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes", "links", "callbacks", "pathItems")
	each := func(group string, read func(name string, n *jsontree.Node, at *jsontree.Path)) {
		all, inner := n.Get(group), at.Member(group)
		if !b.object(all, inner) {
			return
		}
		for i, name := range all.Names {
			if b.Failed() {
				return
			}
			if !componentName.MatchString(name) {
				b.Fail(inner.Member(name), "must be a name of letters, digits, dots, hyphens and underscores")
			}
			read(name, all.Items[i], inner.Member(name))
		}
	}
	each("schemas", func(name string, n *jsontree.Node, at *jsontree.Path) {
		if s := b.named(n, at); s != nil {
			s.Name = name
			b.doc.Schemas = append(b.doc.Schemas, s)
		}
	})
	each("securitySchemes", b.scheme)
	each("responses", func(_ string, n *jsontree.Node, at *jsontree.Path) { b.response(n, at) })
	each("parameters", func(_ string, n *jsontree.Node, at *jsontree.Path) { b.parameter(n, at) })
	each("requestBodies", func(_ string, n *jsontree.Node, at *jsontree.Path) { b.body(n, at) })
	each("headers", func(name string, n *jsontree.Node, at *jsontree.Path) { b.header(name, n, at) })
	each("examples", func(name string, n *jsontree.Node, at *jsontree.Path) {
		if n, at := b.resolve(n, at); n != nil {
			b.example(name, n, at)
		}
	})
	each("links", func(_ string, n *jsontree.Node, at *jsontree.Path) { b.resolve(n, at) })
	each("callbacks", func(_ string, n *jsontree.Node, at *jsontree.Path) { b.callback(n, at) })
	each("pathItems", func(name string, n *jsontree.Node, at *jsontree.Path) {
		if n, at := b.resolve(n, at); n != nil {
			b.pathItem(n, at, name, nil)
		}
	})
}

func (b *builder) scheme(name string, n *jsontree.Node, at *jsontree.Path) {
	if n, at = b.resolve(n, at); n == nil {
		return
	}
	s := Scheme{Name: name, Type: b.text(n, at, "type"), Description: b.text(n, at, "description"), In: b.text(n, at, "in"), Parameter: b.text(n, at, "name"),
		HTTP: b.text(n, at, "scheme"), BearerFormat: b.text(n, at, "bearerFormat"), OpenIDConnect: b.text(n, at, "openIdConnectUrl")}
	if !slices.Contains([]string{"apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"}, s.Type) {
		b.Fail(at.Member("type"), "must be apiKey, http, oauth2, openIdConnect or mutualTLS")
	}
	if flows := n.Get("flows"); b.object(flows, at.Member("flows")) {
		s.Flows = flows.Names
	}
	b.doc.Security = append(b.doc.Security, s)
}

// security reads the requirements of an operation; without any those of the document apply.
func (b *builder) security(n *jsontree.Node, at *jsontree.Path) (all []Requirement) {
	if n == nil {
		if n = b.root.Get("security"); n == nil {
			return nil
		}
		at = (&jsontree.Path{}).Member("security")
	}
	if n.Kind != '[' {
		b.Fail(at, "must be a list of requirements")
		return nil
	}
	for i, item := range n.Items {
		if !b.object(item, at.At(i)) {
			continue
		}
		one := Requirement{}
		for j, name := range item.Names {
			if !slices.ContainsFunc(b.doc.Security, func(s Scheme) bool { return s.Name == name }) {
				b.Fail(at.At(i).Member(name), "names no scheme of components/securitySchemes")
			}
			use := SchemeUse{Scheme: name}
			for _, scope := range item.Items[j].Items {
				use.Scopes = append(use.Scopes, scope.Text)
			}
			one = append(one, use)
		}
		all = append(all, one)
	}
	return all
}

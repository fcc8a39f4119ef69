package openapi

import (
	"regexp"
	"slices"
)

var componentName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// components reads every component, also those that nothing refers to.
func (b *builder) components(n *node, at *path) {
	b.open = map[*node]bool{}
	if !b.object(n, at) {
		return
	}
	b.known(n, at, "schemas", "responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes", "links", "callbacks", "pathItems")
	each := func(group string, read func(name string, n *node, at *path)) {
		all, inner := n.get(group), at.member(group)
		if !b.object(all, inner) {
			return
		}
		for i, name := range all.names {
			if b.failed() {
				return
			}
			if !componentName.MatchString(name) {
				b.fail(inner.member(name), "must be a name of letters, digits, dots, hyphens and underscores")
			}
			read(name, all.items[i], inner.member(name))
		}
	}
	each("schemas", func(name string, n *node, at *path) {
		if s := b.named(n, at); s != nil {
			s.Name = name
			s.s.name = name
			b.doc.Schemas = append(b.doc.Schemas, s)
		}
	})
	each("securitySchemes", b.scheme)
	each("responses", func(_ string, n *node, at *path) { b.response(n, at) })
	each("parameters", func(_ string, n *node, at *path) { b.parameter(n, at) })
	each("requestBodies", func(_ string, n *node, at *path) { b.body(n, at) })
	each("headers", func(name string, n *node, at *path) { b.header(name, n, at) })
	each("examples", func(name string, n *node, at *path) {
		if n, at := b.resolve(n, at); n != nil {
			b.example(name, n, at)
		}
	})
	each("links", func(_ string, n *node, at *path) { b.resolve(n, at) })
	each("callbacks", func(_ string, n *node, at *path) { b.callback(n, at) })
	each("pathItems", func(name string, n *node, at *path) {
		if n, at := b.resolve(n, at); n != nil {
			b.pathItem(n, at, name, nil)
		}
	})
}

func (b *builder) scheme(name string, n *node, at *path) {
	if n, at = b.resolve(n, at); n == nil {
		return
	}
	s := Scheme{Name: name, Type: b.text(n, at, "type"), Description: b.text(n, at, "description"), In: b.text(n, at, "in"), Parameter: b.text(n, at, "name"),
		HTTP: b.text(n, at, "scheme"), BearerFormat: b.text(n, at, "bearerFormat"), OpenIDConnect: b.text(n, at, "openIdConnectUrl")}
	if !slices.Contains([]string{"apiKey", "http", "oauth2", "openIdConnect", "mutualTLS"}, s.Type) {
		b.fail(at.member("type"), "must be apiKey, http, oauth2, openIdConnect or mutualTLS")
	}
	if flows := n.get("flows"); b.object(flows, at.member("flows")) {
		s.Flows = flows.names
	}
	b.doc.Security = append(b.doc.Security, s)
}

// security reads the requirements of an operation; without any those of the document apply.
func (b *builder) security(n *node, at *path) (all []Requirement) {
	if n == nil {
		if n = b.root.get("security"); n == nil {
			return nil
		}
		at = (&path{}).member("security")
	}
	if n.kind != '[' {
		b.fail(at, "must be a list of requirements")
		return nil
	}
	for i, item := range n.items {
		if !b.object(item, at.at(i)) {
			continue
		}
		one := Requirement{}
		for j, name := range item.names {
			if !slices.ContainsFunc(b.doc.Security, func(s Scheme) bool { return s.Name == name }) {
				b.fail(at.at(i).member(name), "names no scheme of components/securitySchemes")
			}
			use := SchemeUse{Scheme: name}
			for _, scope := range item.items[j].items {
				use.Scopes = append(use.Scopes, scope.text)
			}
			one = append(one, use)
		}
		all = append(all, one)
	}
	return all
}

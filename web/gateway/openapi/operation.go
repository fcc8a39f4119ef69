package openapi

import (
	"slices"
	"strings"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

func (b *builder) paths(n *node, at *path) {
	if n == nil {
		if !b.v31 {
			b.fail(at, "is missing")
		}
		return
	}
	if !b.object(n, at) {
		return
	}
	for i, template := range n.names {
		if b.failed() {
			return
		}
		if strings.HasPrefix(template, "x-") {
			continue
		}
		inner := at.member(template)
		segments, err := parseTemplate(template)
		if err != "" {
			b.fail(inner, "%s", err)
			continue
		}
		item, place := b.resolve(n.items[i], inner)
		if item == nil {
			continue
		}
		operations := b.pathItem(item, place, template, segments)
		if len(b.doc.Operations)+len(operations) > MaxOperations {
			b.fail(at, "has more than %d operations; split the API into several documents", MaxOperations)
			return
		}
		b.doc.Operations = append(b.doc.Operations, operations...)
		if other, fault := b.doc.routes.add(segments, template, operations); fault != "" {
			b.fail(inner, fault, short(other))
		}
	}
}

// webhooks are checked as paths are, but are nothing that a gateway serves.
func (b *builder) webhooks(n *node, at *path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.names {
		if item, place := b.resolve(n.items[i], at.member(name)); item != nil {
			b.pathItem(item, place, name, nil)
		}
	}
}

// pathItem reads the operations of a path. Without segments its parameters are not compared
// with those of the path.
func (b *builder) pathItem(n *node, at *path, template string, segments []segment) (all []*Operation) {
	b.known(n, at, append([]string{"$ref", "summary", "description", "servers", "parameters"}, methods...)...)
	if list := n.get("servers"); list != nil {
		b.servers(n, at)
	}
	shared := b.parameters(n.get("parameters"), at.member("parameters"))
	for i, method := range n.names {
		if !slices.Contains(methods, method) {
			continue
		}
		o := n.items[i]
		inner := at.member(method)
		if !b.object(o, inner) {
			continue
		}
		op := b.operation(o, inner)
		op.Method, op.Path = strings.ToUpper(method), template
		if op.Summary == "" {
			op.Summary = n.str("summary")
		}
		if op.Description == "" {
			op.Description = n.str("description")
		}
		for _, p := range shared {
			if !slices.ContainsFunc(op.Parameters, func(own *Parameter) bool { return own.Name == p.Name && own.In == p.In }) {
				op.Parameters = append(op.Parameters, p)
			}
		}
		if segments != nil {
			b.comparePath(op, segments, inner)
		}
		all = append(all, op)
	}
	return all
}

// comparePath checks that the parameters of the path are those of its template.
func (b *builder) comparePath(op *Operation, segments []segment, at *path) {
	declared := map[string]bool{}
	for _, p := range op.Parameters {
		if p.In == "path" {
			declared[p.Name] = true
		}
	}
	for _, s := range segments {
		for _, name := range s.names {
			if !declared[name] {
				b.fail(at, "does not describe the parameter {%s} of its path; add it to parameters, with in: path", clipName(name))
			}
			delete(declared, name)
		}
	}
	for name := range declared {
		b.fail(at, "describes a parameter of the path, %s, that %s does not have", short(name), short(op.Path))
	}
}

func (b *builder) operation(n *node, at *path) *Operation {
	b.known(n, at, "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses", "callbacks", "deprecated", "security", "servers")
	op := &Operation{doc: b.doc, ID: b.text(n, at, "operationId"), Summary: b.text(n, at, "summary"), Description: b.text(n, at, "description"),
		Deprecated: b.boolean(n, at, "deprecated"), Docs: b.link(n)}
	if op.ID != "" {
		if other, twice := b.ids[op.ID]; twice {
			b.fail(at.member("operationId"), "is %s, as that of %s; give each operation its own", short(op.ID), other)
		}
		b.ids[op.ID] = at.pointer()
	}
	if tags := n.get("tags"); tags != nil {
		for i, tag := range tags.items {
			if tag.kind != '"' {
				b.fail(at.member("tags").at(i), "must be a text")
				continue
			}
			op.Tags = append(op.Tags, tag.text)
			if !b.tags[tag.text] {
				b.tags[tag.text] = true
				b.doc.Tags = append(b.doc.Tags, Tag{Name: tag.text})
			}
		}
	}
	if n.get("servers") != nil {
		b.servers(n, at)
	}
	op.Parameters = b.parameters(n.get("parameters"), at.member("parameters"))
	if body := n.get("requestBody"); body != nil {
		op.Body = b.body(body, at.member("requestBody"))
	}
	op.Responses = b.responses(n.get("responses"), at.member("responses"))
	op.Security = b.security(n.get("security"), at.member("security"))
	b.callbacks(n.get("callbacks"), at.member("callbacks"))
	return op
}

func (b *builder) callbacks(n *node, at *path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.names {
		b.callback(n.items[i], at.member(name))
	}
}

func (b *builder) callback(n *node, at *path) {
	if n, at = b.resolve(n, at); n == nil {
		return
	}
	if b.open[n] {
		return // an operation whose callback refers to itself
	}
	b.open[n] = true
	defer delete(b.open, n)
	for i, expression := range n.names {
		if strings.HasPrefix(expression, "x-") {
			continue
		}
		if item, place := b.resolve(n.items[i], at.member(expression)); item != nil {
			b.pathItem(item, place, expression, nil)
		}
	}
}

// parameters reads a list of parameters.
func (b *builder) parameters(n *node, at *path) (all []*Parameter) {
	if n == nil {
		return nil
	}
	if n.kind != '[' {
		b.fail(at, "must be a list of parameters")
		return nil
	}
	for i, item := range n.items {
		p := b.parameter(item, at.at(i))
		if p == nil {
			continue
		}
		if slices.ContainsFunc(all, func(other *Parameter) bool { return other.Name == p.Name && other.In == p.In }) {
			b.fail(at.at(i), "is the second parameter %s in %s; keep one", short(p.Name), p.In)
			continue
		}
		all = append(all, p)
	}
	return all
}

var parameterStyles = map[string][]string{ // the default first
	"path": {"simple", "label", "matrix"}, "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"}, "header": {"simple"}, "cookie": {"form"},
}

func (b *builder) parameter(n *node, at *path) *Parameter {
	desc := n.str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "name", "in", "description", "required", "deprecated", "allowEmptyValue", "style", "explode", "allowReserved", "schema", "example", "examples", "content")
	p := &Parameter{Name: b.text(n, at, "name"), In: b.text(n, at, "in"), Required: b.boolean(n, at, "required"), AllowEmpty: b.boolean(n, at, "allowEmptyValue")}
	switch {
	case p.Name == "":
		b.fail(at.member("name"), "is missing")
		return nil
	case parameterStyles[p.In] == nil:
		b.fail(at.member("in"), "must be path, query, header or cookie")
		return nil
	case p.In == "path" && !p.Required:
		b.fail(at.member("required"), "must be true for a parameter of the path")
	case p.In == "header" && slices.ContainsFunc([]string{"Accept", "Content-Type", "Authorization"}, func(s string) bool { return strings.EqualFold(s, p.Name) }):
		b.warn(at, "describes the header %s, which OpenAPI leaves to other parts of the document; it has no effect", p.Name)
		return nil
	}
	b.valueOf(p, n, at)
	if desc != "" {
		p.Description = desc
	}
	p.at = (&path{}).member(p.In).member(p.Name)
	return p
}

// valueOf reads what parameters and headers have in common.
func (b *builder) valueOf(p *Parameter, n *node, at *path) {
	p.Description, p.Deprecated = b.text(n, at, "description"), b.boolean(n, at, "deprecated")
	styles := parameterStyles[p.In]
	p.Style = b.text(n, at, "style")
	if p.Style == "" {
		p.Style = styles[0]
	} else if !slices.Contains(styles, p.Style) {
		b.fail(at.member("style"), "must be one of %s for a parameter in %s", strings.Join(styles, ", "), p.In)
	}
	p.Explode = p.Style == "form"
	if n.get("explode") != nil {
		p.Explode = b.boolean(n, at, "explode")
	}
	if p.Style == "deepObject" {
		p.Explode = true
	}
	content := n.get("content")
	switch schema := n.get("schema"); {
	case schema != nil && content != nil:
		b.fail(at, "has both schema and content; keep one")
	case schema != nil:
		p.Schema = b.named(schema, at.member("schema"))
		p.Examples = b.examples(n, at, schema)
	case content != nil:
		media := b.content(content, at.member("content"))
		if len(media) != 1 {
			b.fail(at.member("content"), "must have just one media type")
			return
		}
		p.MediaType, p.Schema, p.Examples = media[0].Type, media[0].Schema, media[0].Examples
	default:
		b.warn(at, "has neither schema nor content; any value is allowed")
	}
}

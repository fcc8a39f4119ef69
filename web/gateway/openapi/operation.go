package openapi

import (
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

func (b *builder) paths(n *jsontree.Node, at *jsontree.Path) {
	if n == nil {
		if !b.V31 {
			b.Fail(at, "is missing")
		}
		return
	}
	if !b.object(n, at) {
		return
	}
	for i, template := range n.Names {
		if b.Failed() {
			return
		}
		if strings.HasPrefix(template, "x-") {
			continue
		}
		inner := at.Member(template)
		segments, err := parseTemplate(template)
		if err != "" {
			b.Fail(inner, "%s", err)
			continue
		}
		item, place := b.resolve(n.Items[i], inner)
		if item == nil {
			continue
		}
		operations := b.pathItem(item, place, template, segments)
		if len(b.doc.Operations)+len(operations) > MaxOperations {
			b.Fail(at, "has more than %d operations; split the API into several documents", MaxOperations)
			return
		}
		b.doc.Operations = append(b.doc.Operations, operations...)
		if other, fault := b.doc.routes.add(segments, template, operations); fault != "" {
			b.Fail(inner, fault, jsontree.Quote(other))
		}
	}
}

// webhooks are checked as paths are, but are nothing that a gateway serves.
func (b *builder) webhooks(n *jsontree.Node, at *jsontree.Path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.Names {
		if item, place := b.resolve(n.Items[i], at.Member(name)); item != nil {
			b.pathItem(item, place, name, nil)
		}
	}
}

// pathItem reads the operations of a path. Without segments its parameters are not compared
// with those of the path.
func (b *builder) pathItem(n *jsontree.Node, at *jsontree.Path, template string, segments []segment) (all []*Operation) {
	b.known(n, at, append([]string{"$ref", "summary", "description", "servers", "parameters"}, methods...)...)
	if list := n.Get("servers"); list != nil {
		b.servers(n, at)
	}
	shared := b.parameters(n.Get("parameters"), at.Member("parameters"))
	for i, method := range n.Names {
		if !slices.Contains(methods, method) {
			continue
		}
		o := n.Items[i]
		inner := at.Member(method)
		if !b.object(o, inner) {
			continue
		}
		op := b.operation(o, inner)
		op.Method, op.Path = strings.ToUpper(method), template
		if op.Summary == "" {
			op.Summary = n.Str("summary")
		}
		if op.Description == "" {
			op.Description = n.Str("description")
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
func (b *builder) comparePath(op *Operation, segments []segment, at *jsontree.Path) {
	declared := map[string]bool{}
	for _, p := range op.Parameters {
		if p.In == "path" {
			declared[p.Name] = true
		}
	}
	for _, s := range segments {
		for _, name := range s.names {
			if !declared[name] {
				b.Fail(at, "does not describe the parameter {%s} of its path; add it to parameters, with in: path", clipName(name))
			}
			delete(declared, name)
		}
	}
	for name := range declared {
		b.Fail(at, "describes a parameter of the path, %s, that %s does not have", jsontree.Quote(name), jsontree.Quote(op.Path))
	}
}

func (b *builder) operation(n *jsontree.Node, at *jsontree.Path) *Operation {
	b.known(n, at, "tags", "summary", "description", "externalDocs", "operationId", "parameters", "requestBody", "responses", "callbacks", "deprecated", "security", "servers")
	op := &Operation{doc: b.doc, ID: b.text(n, at, "operationId"), Summary: b.text(n, at, "summary"), Description: b.text(n, at, "description"),
		Deprecated: b.boolean(n, at, "deprecated"), Docs: b.link(n)}
	if op.ID != "" {
		if other, twice := b.ids[op.ID]; twice {
			b.Fail(at.Member("operationId"), "is %s, as that of %s; give each operation its own", jsontree.Quote(op.ID), other)
		}
		b.ids[op.ID] = at.Pointer()
	}
	if tags := n.Get("tags"); tags != nil {
		for i, tag := range tags.Items {
			if tag.Kind != '"' {
				b.Fail(at.Member("tags").At(i), "must be a text")
				continue
			}
			op.Tags = append(op.Tags, tag.Text)
			if !b.tags[tag.Text] {
				b.tags[tag.Text] = true
				b.doc.Tags = append(b.doc.Tags, Tag{Name: tag.Text})
			}
		}
	}
	if n.Get("servers") != nil {
		b.servers(n, at)
	}
	op.Parameters = b.parameters(n.Get("parameters"), at.Member("parameters"))
	if body := n.Get("requestBody"); body != nil {
		op.Body = b.body(body, at.Member("requestBody"))
	}
	op.Responses = b.responses(n.Get("responses"), at.Member("responses"))
	op.Security = b.security(n.Get("security"), at.Member("security"))
	b.callbacks(n.Get("callbacks"), at.Member("callbacks"))
	return op
}

func (b *builder) callbacks(n *jsontree.Node, at *jsontree.Path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.Names {
		b.callback(n.Items[i], at.Member(name))
	}
}

func (b *builder) callback(n *jsontree.Node, at *jsontree.Path) {
	if n, at = b.resolve(n, at); n == nil {
		return
	}
	if b.open[n] {
		return // an operation whose callback refers to itself
	}
	b.open[n] = true
	defer delete(b.open, n)
	for i, expression := range n.Names {
		if strings.HasPrefix(expression, "x-") {
			continue
		}
		if item, place := b.resolve(n.Items[i], at.Member(expression)); item != nil {
			b.pathItem(item, place, expression, nil)
		}
	}
}

// parameters reads a list of parameters.
func (b *builder) parameters(n *jsontree.Node, at *jsontree.Path) (all []*Parameter) {
	if n == nil {
		return nil
	}
	if n.Kind != '[' {
		b.Fail(at, "must be a list of parameters")
		return nil
	}
	for i, item := range n.Items {
		p := b.parameter(item, at.At(i))
		if p == nil {
			continue
		}
		if slices.ContainsFunc(all, func(other *Parameter) bool { return other.Name == p.Name && other.In == p.In }) {
			b.Fail(at.At(i), "is the second parameter %s in %s; keep one", jsontree.Quote(p.Name), p.In)
			continue
		}
		all = append(all, p)
	}
	return all
}

var parameterStyles = map[string][]string{ // the default first
	"path": {"simple", "label", "matrix"}, "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"}, "header": {"simple"}, "cookie": {"form"},
}

func (b *builder) parameter(n *jsontree.Node, at *jsontree.Path) *Parameter {
	desc := n.Str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "name", "in", "description", "required", "deprecated", "allowEmptyValue", "style", "explode", "allowReserved", "schema", "example", "examples", "content")
	p := &Parameter{Name: b.text(n, at, "name"), In: b.text(n, at, "in"), Required: b.boolean(n, at, "required"), AllowEmpty: b.boolean(n, at, "allowEmptyValue")}
	switch {
	case p.Name == "":
		b.Fail(at.Member("name"), "is missing")
		return nil
	case parameterStyles[p.In] == nil:
		b.Fail(at.Member("in"), "must be path, query, header or cookie")
		return nil
	case p.In == "path" && !p.Required:
		b.Fail(at.Member("required"), "must be true for a parameter of the path")
	case p.In == "header" && slices.ContainsFunc([]string{"Accept", "Content-Type", "Authorization"}, func(s string) bool { return strings.EqualFold(s, p.Name) }):
		b.Warn(at, "describes the header %s, which OpenAPI leaves to other parts of the document; it has no effect", p.Name)
		return nil
	}
	b.valueOf(p, n, at)
	if desc != "" {
		p.Description = desc
	}
	p.at = (&jsontree.Path{}).Member(p.In).Member(p.Name)
	return p
}

// valueOf reads what parameters and headers have in common.
func (b *builder) valueOf(p *Parameter, n *jsontree.Node, at *jsontree.Path) {
	p.Description, p.Deprecated = b.text(n, at, "description"), b.boolean(n, at, "deprecated")
	styles := parameterStyles[p.In]
	p.Style = b.text(n, at, "style")
	if p.Style == "" {
		p.Style = styles[0]
	} else if !slices.Contains(styles, p.Style) {
		b.Fail(at.Member("style"), "must be one of %s for a parameter in %s", strings.Join(styles, ", "), p.In)
	}
	p.Explode = p.Style == "form"
	if n.Get("explode") != nil {
		p.Explode = b.boolean(n, at, "explode")
	}
	if p.Style == "deepObject" {
		p.Explode = true
	}
	content := n.Get("content")
	switch schema := n.Get("schema"); {
	case schema != nil && content != nil:
		b.Fail(at, "has both schema and content; keep one")
	case schema != nil:
		p.Schema = b.named(schema, at.Member("schema"))
		p.Examples = b.examples(n, at, schema)
	case content != nil:
		media := b.content(content, at.Member("content"))
		if len(media) != 1 {
			b.Fail(at.Member("content"), "must have just one media type")
			return
		}
		p.MediaType, p.Schema, p.Examples = media[0].Type, media[0].Schema, media[0].Examples
	default:
		b.Warn(at, "has neither schema nor content; any value is allowed")
	}
}

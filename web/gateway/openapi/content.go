package openapi

import (
	"mime"
	"regexp"
	"slices"
	"strings"

	"jobhub/web/clip"
	"jobhub/web/gateway/openapi/jsontree"
	"jobhub/web/gateway/openapi/schema"
)

func clipName(s string) string { return clip.Shorten(s, 100) }

// named is a schema with the name of the component that it refers to.
func (b *builder) named(n *jsontree.Node, at *jsontree.Path) *Schema {
	if n.Kind != '{' && !(b.V31 && (n.Kind == 't' || n.Kind == 'f')) {
		b.Fail(at, "must be a schema, which is an object")
		return nil
	}
	s := &Schema{doc: b.doc, s: b.SchemaAt(n, at)}
	if ref := n.Str("$ref"); ref != "" {
		s.Name = schema.RefName(ref)
	}
	return s
}

func (b *builder) body(n *jsontree.Node, at *jsontree.Path) *Body {
	desc := n.Str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "content", "required")
	body := &Body{Description: b.text(n, at, "description"), Required: b.boolean(n, at, "required")}
	if desc != "" {
		body.Description = desc
	}
	if content := n.Get("content"); content == nil {
		b.Fail(at.Member("content"), "is missing")
	} else {
		body.Content = b.content(content, at.Member("content"))
	}
	return body
}

func (b *builder) content(n *jsontree.Node, at *jsontree.Path) (all []*Media) {
	if !b.object(n, at) {
		return nil
	}
	for i, name := range n.Names {
		inner := at.Member(name)
		m := n.Items[i]
		if !b.object(m, inner) {
			continue
		}
		b.known(m, inner, "schema", "example", "examples", "encoding")
		t, _, err := mime.ParseMediaType(name)
		if err != nil || !strings.Contains(t, "/") {
			b.Fail(inner, "is not a media type")
			continue
		}
		media := &Media{Type: name}
		if s := m.Get("schema"); s != nil {
			media.Schema = b.named(s, inner.Member("schema"))
		}
		media.Examples = b.examples(m, inner, m.Get("schema"))
		b.encoding(media, m.Get("encoding"), inner.Member("encoding"))
		all = append(all, media)
	}
	return all
}

// encoding reads the media types of the parts of a form.
func (b *builder) encoding(media *Media, n *jsontree.Node, at *jsontree.Path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.Names {
		e, inner := n.Items[i], at.Member(name)
		if !b.object(e, inner) {
			continue
		}
		if t := b.text(e, inner, "contentType"); t != "" {
			if media.encodings == nil {
				media.encodings = map[string]string{}
			}
			media.encodings[name] = t
		}
		b.headers(e.Get("headers"), inner.Member("headers"))
		for _, name := range e.Names {
			if slices.Contains([]string{"style", "explode", "allowReserved"}, name) {
				b.Warn(inner.Member(name), "has no effect on checks: parts of forms are read one value each")
			}
		}
	}
}

// examples reads example and examples of a parameter, header or media type, and else those of
// its schema.
func (b *builder) examples(n *jsontree.Node, at *jsontree.Path, schema *jsontree.Node) (all []Example) {
	one, many := n.Get("example"), n.Get("examples")
	switch {
	case one != nil && many != nil:
		b.Fail(at, "has both example and examples; keep one")
	case one != nil:
		return []Example{{Value: b.doc.raw(one)}}
	case b.object(many, at.Member("examples")):
		for i, name := range many.Names {
			inner := at.Member("examples").Member(name)
			if e, place := b.resolve(many.Items[i], inner); e != nil {
				all = append(all, b.example(name, e, place))
			}
		}
		return all
	}
	if schema == nil {
		return nil
	}
	if one := schema.Get("example"); one != nil {
		return []Example{{Value: b.doc.raw(one)}}
	}
	if many := schema.Get("examples"); b.V31 && many != nil && many.Kind == '[' && len(many.Items) > 0 {
		return []Example{{Value: b.doc.raw(many.Items[0])}}
	}
	return nil
}

func (b *builder) example(name string, n *jsontree.Node, at *jsontree.Path) Example {
	b.known(n, at, "summary", "description", "value", "externalValue")
	e := Example{Name: name, Summary: b.text(n, at, "summary"), Description: b.text(n, at, "description"), External: b.text(n, at, "externalValue")}
	if v := n.Get("value"); v != nil {
		e.Value = b.doc.raw(v)
	} else if e.External != "" {
		b.Warn(at.Member("externalValue"), "is outside of this document and not fetched; mocks can't answer with it")
	}
	return e
}

var statusKey = regexp.MustCompile(`^([1-5]\d\d|[1-5]XX|default)$`)

func (b *builder) responses(n *jsontree.Node, at *jsontree.Path) (all []*Response) {
	if n == nil {
		if !b.V31 {
			b.Fail(at, "is missing")
		}
		return nil
	}
	if !b.object(n, at) {
		return nil
	}
	for i, status := range n.Names {
		inner := at.Member(status)
		switch {
		case strings.HasPrefix(status, "x-"):
		case !statusKey.MatchString(status):
			b.Fail(inner, "must be a status like 200, a range like 4XX, or default")
		default:
			if r := b.response(n.Items[i], inner); r != nil {
				r.Status = status
				all = append(all, r)
			}
		}
	}
	return all
}

func (b *builder) response(n *jsontree.Node, at *jsontree.Path) *Response {
	desc := n.Str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "headers", "content", "links")
	if n.Get("description") == nil {
		b.Warn(at.Member("description"), "is missing")
	}
	r := &Response{Description: b.text(n, at, "description")}
	if desc != "" {
		r.Description = desc
	}
	r.Headers = b.headers(n.Get("headers"), at.Member("headers"))
	r.Content = b.content(n.Get("content"), at.Member("content"))
	b.links(n.Get("links"), at.Member("links"))
	return r
}

func (b *builder) headers(n *jsontree.Node, at *jsontree.Path) (all []*Parameter) {
	if !b.object(n, at) {
		return nil
	}
	for i, name := range n.Names {
		if h := b.header(name, n.Items[i], at.Member(name)); h != nil && !strings.EqualFold(name, "Content-Type") {
			all = append(all, h)
		}
	}
	return all
}

func (b *builder) header(name string, n *jsontree.Node, at *jsontree.Path) *Parameter {
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "required", "deprecated", "style", "explode", "schema", "example", "examples", "content", "allowEmptyValue", "allowReserved")
	h := &Parameter{Name: name, In: "header", Required: b.boolean(n, at, "required")}
	b.valueOf(h, n, at)
	h.at = (&jsontree.Path{}).Member("header").Member(name)
	return h
}

func (b *builder) links(n *jsontree.Node, at *jsontree.Path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.Names {
		b.resolve(n.Items[i], at.Member(name))
	}
}

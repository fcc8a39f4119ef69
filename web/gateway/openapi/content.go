package openapi

import (
	"mime"
	"regexp"
	"slices"
	"strings"

	"jobhub/web/clip"
)

func clipName(s string) string { return clip.Shorten(s, 100) }

// named is a schema with the name of the component that it refers to.
func (b *builder) named(n *node, at *path) *Schema {
	if n.kind != '{' && !(b.v31 && (n.kind == 't' || n.kind == 'f')) {
		b.fail(at, "must be a schema, which is an object")
		return nil
	}
	s := &Schema{doc: b.doc, s: b.schemaAt(n, at)}
	if ref := n.str("$ref"); ref != "" {
		s.Name = refName(ref)
	}
	return s
}

func (b *builder) body(n *node, at *path) *Body {
	desc := n.str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "content", "required")
	body := &Body{Description: b.text(n, at, "description"), Required: b.boolean(n, at, "required")}
	if desc != "" {
		body.Description = desc
	}
	if content := n.get("content"); content == nil {
		b.fail(at.member("content"), "is missing")
	} else {
		body.Content = b.content(content, at.member("content"))
	}
	return body
}

func (b *builder) content(n *node, at *path) (all []*Media) {
	if !b.object(n, at) {
		return nil
	}
	for i, name := range n.names {
		inner := at.member(name)
		m := n.items[i]
		if !b.object(m, inner) {
			continue
		}
		b.known(m, inner, "schema", "example", "examples", "encoding")
		t, _, err := mime.ParseMediaType(name)
		if err != nil || !strings.Contains(t, "/") {
			b.fail(inner, "is not a media type")
			continue
		}
		media := &Media{Type: name}
		if s := m.get("schema"); s != nil {
			media.Schema = b.named(s, inner.member("schema"))
		}
		media.Examples = b.examples(m, inner, m.get("schema"))
		b.encoding(media, m.get("encoding"), inner.member("encoding"))
		all = append(all, media)
	}
	return all
}

// encoding reads the media types of the parts of a form.
func (b *builder) encoding(media *Media, n *node, at *path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.names {
		e, inner := n.items[i], at.member(name)
		if !b.object(e, inner) {
			continue
		}
		if t := b.text(e, inner, "contentType"); t != "" {
			if media.encodings == nil {
				media.encodings = map[string]string{}
			}
			media.encodings[name] = t
		}
		b.headers(e.get("headers"), inner.member("headers"))
		for _, name := range e.names {
			if slices.Contains([]string{"style", "explode", "allowReserved"}, name) {
				b.warn(inner.member(name), "has no effect on checks: parts of forms are read one value each")
			}
		}
	}
}

// examples reads example and examples of a parameter, header or media type, and else those of
// its schema.
func (b *builder) examples(n *node, at *path, schema *node) (all []Example) {
	one, many := n.get("example"), n.get("examples")
	switch {
	case one != nil && many != nil:
		b.fail(at, "has both example and examples; keep one")
	case one != nil:
		return []Example{{Value: b.doc.raw(one)}}
	case b.object(many, at.member("examples")):
		for i, name := range many.names {
			inner := at.member("examples").member(name)
			if e, place := b.resolve(many.items[i], inner); e != nil {
				all = append(all, b.example(name, e, place))
			}
		}
		return all
	}
	if schema == nil {
		return nil
	}
	if one := schema.get("example"); one != nil {
		return []Example{{Value: b.doc.raw(one)}}
	}
	if many := schema.get("examples"); b.v31 && many != nil && many.kind == '[' && len(many.items) > 0 {
		return []Example{{Value: b.doc.raw(many.items[0])}}
	}
	return nil
}

func (b *builder) example(name string, n *node, at *path) Example {
	b.known(n, at, "summary", "description", "value", "externalValue")
	e := Example{Name: name, Summary: b.text(n, at, "summary"), Description: b.text(n, at, "description"), External: b.text(n, at, "externalValue")}
	if v := n.get("value"); v != nil {
		e.Value = b.doc.raw(v)
	} else if e.External != "" {
		b.warn(at.member("externalValue"), "is outside of this document and not fetched; mocks can't answer with it")
	}
	return e
}

var statusKey = regexp.MustCompile(`^([1-5]\d\d|[1-5]XX|default)$`)

func (b *builder) responses(n *node, at *path) (all []*Response) {
	if n == nil {
		if !b.v31 {
			b.fail(at, "is missing")
		}
		return nil
	}
	if !b.object(n, at) {
		return nil
	}
	for i, status := range n.names {
		inner := at.member(status)
		switch {
		case strings.HasPrefix(status, "x-"):
		case !statusKey.MatchString(status):
			b.fail(inner, "must be a status like 200, a range like 4XX, or default")
		default:
			if r := b.response(n.items[i], inner); r != nil {
				r.Status = status
				all = append(all, r)
			}
		}
	}
	return all
}

func (b *builder) response(n *node, at *path) *Response {
	desc := n.str("description")
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "headers", "content", "links")
	if n.get("description") == nil {
		b.warn(at.member("description"), "is missing")
	}
	r := &Response{Description: b.text(n, at, "description")}
	if desc != "" {
		r.Description = desc
	}
	r.Headers = b.headers(n.get("headers"), at.member("headers"))
	r.Content = b.content(n.get("content"), at.member("content"))
	b.links(n.get("links"), at.member("links"))
	return r
}

func (b *builder) headers(n *node, at *path) (all []*Parameter) {
	if !b.object(n, at) {
		return nil
	}
	for i, name := range n.names {
		if h := b.header(name, n.items[i], at.member(name)); h != nil && !strings.EqualFold(name, "Content-Type") {
			all = append(all, h)
		}
	}
	return all
}

func (b *builder) header(name string, n *node, at *path) *Parameter {
	if n, at = b.resolve(n, at); n == nil {
		return nil
	}
	b.known(n, at, "description", "required", "deprecated", "style", "explode", "schema", "example", "examples", "content", "allowEmptyValue", "allowReserved")
	h := &Parameter{Name: name, In: "header", Required: b.boolean(n, at, "required")}
	b.valueOf(h, n, at)
	h.at = (&path{}).member("header").member(name)
	return h
}

func (b *builder) links(n *node, at *path) {
	if !b.object(n, at) {
		return
	}
	for i, name := range n.names {
		b.resolve(n.items[i], at.member(name))
	}
}

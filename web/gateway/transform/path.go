package transform

import (
	"net/url"
	"strings"
)

// path is a compiled template of a path.
type path struct{ template template }

func (c *compiler) path(at, text string) *path {
	if text == "" {
		return nil
	}
	before := len(c.errs)
	t := c.template(at, text)
	if len(c.errs) > before {
		return nil
	}
	var literal strings.Builder
	for _, p := range t {
		if p.kind != "" {
			literal.WriteByte('x')
			continue
		}
		literal.WriteString(p.text)
	}
	u, err := url.ParseRequestURI(literal.String())
	switch {
	case !strings.HasPrefix(text, "/"):
		c.fail(at, "must begin with a slash, like /v2/orders/{id}")
	case strings.ContainsAny(literal.String(), "?#"):
		c.fail(at, "must be a path only; set parameters with query.set")
	case err != nil || strings.ContainsFunc(literal.String(), func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\\\"<>^`|{}", r) }):
		c.fail(at, "must be a path with all other characters escaped, like /caf%%C3%%A9")
	case hasDots(u.EscapedPath()) || strings.Contains(literal.String(), "//"):
		c.fail(at, "must not have empty segments, . or ..")
	default:
		return &path{t}
	}
	return nil
}

// expand returns the escaped path at the upstream.
func (p *path) expand(v *Values) (string, error) {
	var b strings.Builder
	for _, x := range p.template {
		text, escaped, ok := x.raw(v)
		switch {
		case x.kind == "":
			b.WriteString(x.text)
		case !ok || text == "":
			return "", refuse("Malformed path", "This route makes the path at its upstream from {%s}, which the request does not have.", x)
		case escaped != "":
			b.WriteString(escaped)
		default:
			b.WriteString(url.PathEscape(text))
		}
	}
	out := b.String() + v.Rest
	if hasDots(out) || strings.HasPrefix(out, "//") {
		return "", refuse("Malformed path", "A value in the path may not be . or .., because it would name another path at the upstream.")
	}
	return out, nil
}

// String returns the name of a value as it stands in a template.
func (p piece) String() string {
	if p.kind == "param" {
		return p.name
	}
	return p.kind + "." + p.name
}

// hasDots reports whether a segment of an escaped path is . or .., in any form, also for
// upstreams that read a backslash or an escaped slash as a slash or cut a segment at a semicolon.
func hasDots(escaped string) bool {
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return true
	}
	for segment := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

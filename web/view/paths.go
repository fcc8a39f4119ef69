package view

import (
	"context"
	"strings"

	"github.com/a-h/templ"
)

type baseKey struct{}

// WithBase is for a hub below a path of its host, like /jobhub: all links of the components
// that are rendered with this context begin with that path.
func WithBase(ctx context.Context, base string) context.Context {
	if base == "" {
		return ctx
	}
	return context.WithValue(ctx, baseKey{}, base)
}

// at is the link to a path of this hub; any other text gives an empty link.
func at(ctx context.Context, path string) templ.SafeURL {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) {
		return "about:invalid"
	}
	base, _ := ctx.Value(baseKey{}).(string)
	return templ.SafeURL(base + path)
}

// prose is trusted HTML, whose links are changed to paths of this hub.
func prose(ctx context.Context, html string) templ.Component {
	return templ.Raw(strings.ReplaceAll(html, `href="/`, `href="`+string(at(ctx, "/"))))
}

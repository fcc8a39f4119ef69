package config

import (
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// template reads the path of a route, whose segments may be parameters like {id}.
func (r *routeReader) template(n *yaml.Node, at string) string {
	text, ok := r.text(n, at)
	if !ok {
		return ""
	}
	plain := make([]string, 0, 8)
	for segment := range strings.SplitSeq(text, "/") {
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && len(segment) > 2 {
			segment = "x" // package match checks the name
		}
		plain = append(plain, segment)
	}
	if !r.checkPath(n, at, strings.Join(plain, "/")) {
		return ""
	}
	return text
}

func (r *routeReader) upstream(n *yaml.Node, at string) *url.URL {
	u, ok := r.url(n, at)
	switch {
	case !ok:
		return nil
	case u.RawQuery != "" || u.ForceQuery:
		r.fail(n, at, "must not have a query; that of the request is passed on")
	case u.EscapedPath() != "" && !isPlainPath(u.EscapedPath()):
		r.fail(n, at, "must have a path without empty segments, . and ..")
	default:
		return u
	}
	return nil
}

// path reads a path prefix.
func (r *routeReader) path(n *yaml.Node, at string) string {
	if text, ok := r.text(n, at); ok && r.checkPath(n, at, text) {
		return text
	}
	return ""
}

func (r *routeReader) checkPath(n *yaml.Node, at, text string) bool {
	switch {
	case !strings.HasPrefix(text, "/"):
		r.fail(n, at, "must begin with a slash, like /api/orders/")
	case !isPlainPath(text):
		r.fail(n, at, "must have no empty segments, . and .., and otherwise only letters, digits and - . _ ~")
	default:
		return true
	}
	return false
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*/?$`)

func isPlainPath(path string) bool {
	return plainPath.MatchString(path) && !strings.Contains(path+"/", "/./") && !strings.Contains(path+"/", "/../")
}

// hasPathPrefix reports whether path begins with the segments of prefix.
func hasPathPrefix(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

package config

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs/httpheader"
	"jobhub/web/gateway"
)

// accessFields reads the members of a route that say who may call it.
func (r *routeReader) accessFields() map[string]field {
	return map[string]field{
		"auth": func(n *yaml.Node, at string) {
			r.texts((*[]string)(&r.route.Auth), r.method)(n, at)
			if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				r.fail(n, at, "must name at least one way, or be left out")
			}
		},
		"scopes": func(n *yaml.Node, at string) {
			r.route.Scopes = gateway.Scopes{}
			r.each(n, at, func(key, value *yaml.Node, at string) {
				var scopes []string
				r.texts(&scopes, r.scope)(value, at)
				if key.Value == "*" || r.httpMethod(key, at, key.Value) {
					r.route.Scopes[key.Value] = scopes
				}
			})
		},
		"cors": func(n *yaml.Node, at string) { r.route.CORS = r.cors(n, at) },
	}
}

var issuerMethod = regexp.MustCompile(`^jwt:[a-z0-9._-]{1,64}$`)

func (r *routeReader) method(n *yaml.Node, at, text string) bool {
	if text == "key" || text == "none" || issuerMethod.MatchString(text) {
		return true
	}
	r.fail(n, at, "must be key, none, or jwt: and the name of an issuer below auth.jwt, like jwt:corp, not %q", text)
	return false
}

// scopeForm is scope-token of RFC 6749, section 3.3.
var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,128}$`)

func (r *routeReader) scope(n *yaml.Node, at, text string) bool {
	if scopeForm.MatchString(text) {
		return true
	}
	r.fail(n, at, "must be the name of a scope, like orders.read, without spaces, not %q", text)
	return false
}

func (r *routeReader) httpMethod(n *yaml.Node, at, text string) bool {
	if httpheader.IsToken(text) && text == strings.ToUpper(text) && text != http.MethodConnect && text != http.MethodTrace {
		return true
	}
	r.fail(n, at, "must be an HTTP method in capitals, like GET, not %q", text)
	return false
}

func (r *routeReader) cors(n *yaml.Node, at string) *gateway.CORS {
	c := &gateway.CORS{MaxAge: 10 * time.Minute, Expose: "*"}
	var credentials *yaml.Node
	r.mapping(n, at, map[string]field{
		"origins": r.texts(&c.Origins, func(n *yaml.Node, at, text string) bool { return text == "*" || r.origin(n, at, text) }),
		"methods": r.texts(&c.Methods, r.httpMethod),
		"headers": r.texts(&c.Headers, func(n *yaml.Node, at, text string) bool {
			if httpheader.IsToken(text) {
				return true
			}
			r.fail(n, at, "must be the name of a header, like Content-Type, not %q", text)
			return false
		}),
		"credentials": func(n *yaml.Node, at string) { credentials = n; c.Credentials, _ = r.boolean(n, at) },
		"max_age":     func(n *yaml.Node, at string) { c.MaxAge, _ = r.duration(n, at, 0, 24*time.Hour) },
	})
	if c.Credentials && slices.Contains(c.Origins, "*") {
		r.fail(credentials, at+".credentials", "can't be true for all origins; list the origins that may send credentials")
	}
	if c.Credentials {
		c.Expose = ""
	}
	return c
}

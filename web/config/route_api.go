package config

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/gateway"
)

// apiFields reads the members of a route that say to which API of the catalogue it belongs.
func (r *routeReader) apiFields() map[string]field {
	return map[string]field{
		"api": func(n *yaml.Node, at string) {
			text, ok := r.text(n, at)
			if name, version, slash := strings.Cut(text, "/"); ok && !(slash && jobs.WellFormedName(name) && jobs.WellFormedName(version)) {
				r.fail(n, at, "must be an API of the catalogue and its version, like orders/v2, not %q", text)
				return
			}
			r.route.API = text
		},
		"mock": func(n *yaml.Node, at string) { r.route.Mock, _ = r.boolean(n, at) },
		"validate": func(n *yaml.Node, at string) {
			if i, ok := r.oneOf(n, at, gateway.ValidationNames); ok {
				r.route.Validate = gateway.Validation(i)
			}
		},
	}
}

package config

import (
	"errors"

	"go.yaml.in/yaml/v4"

	"jobhub/web/gateway/transform"
)

// changes are the rules of a route about requests and answers, before they are compiled.
type changes struct {
	request  transform.RequestRules
	response transform.ResponseRules

	requestAt, responseAt *yaml.Node // nil if there are none
}

// changeFields reads the members of a route that change requests and answers.
func (r *routeReader) changeFields() map[string]field {
	return map[string]field{
		"request": func(n *yaml.Node, at string) {
			r.changes.requestAt = n
			r.mapping(n, at, map[string]field{
				"path":    func(n *yaml.Node, at string) { r.changes.request.Path, _ = r.text(n, at) },
				"headers": func(n *yaml.Node, at string) { r.changes.request.Headers = r.headerRules(n, at) },
				"query": func(n *yaml.Node, at string) {
					r.mapping(n, at, map[string]field{"set": r.pairs(&r.changes.request.Query.Set), "remove": r.texts(&r.changes.request.Query.Remove, anyText)})
				},
				"body": func(n *yaml.Node, at string) { r.changes.request.Body = r.program(n, at) },
			})
		},
		"response": func(n *yaml.Node, at string) {
			r.changes.responseAt = n
			r.mapping(n, at, map[string]field{
				"headers": func(n *yaml.Node, at string) { r.changes.response.Headers = r.headerRules(n, at) },
				"body":    func(n *yaml.Node, at string) { r.changes.response.Body = r.program(n, at) },
			})
		},
	}
}

func anyText(*yaml.Node, string, string) bool { return true }

// pairs reads a mapping of texts, which may be empty.
func (r *reader) pairs(to *map[string]string) field {
	return func(n *yaml.Node, at string) {
		*to = map[string]string{}
		r.each(n, at, func(key, value *yaml.Node, at string) {
			if value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value == "" {
				(*to)[key.Value] = ""
			} else if text, ok := r.text(value, at); ok {
				(*to)[key.Value] = text
			}
		})
	}
}

func (r *routeReader) headerRules(n *yaml.Node, at string) (rules transform.HeaderRules) {
	r.mapping(n, at, map[string]field{"set": r.pairs(&rules.Set), "add": r.pairs(&rules.Add), "remove": r.texts(&rules.Remove, anyText)})
	return rules
}

// program reads a jq program, which may have several lines.
func (r *routeReader) program(n *yaml.Node, at string) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || n.Value == "" {
		r.fail(n, at, "must be a jq program, like .order, not %s", describeNode(n))
		return ""
	}
	return n.Value
}

// compileChanges sets the rules of a route.
func (r *routeReader) compileChanges() {
	var err error
	params := r.route.Params()
	if r.changes.requestAt != nil {
		r.route.Request, err = transform.CompileRequest(r.changes.request, params)
		r.failAll(r.changes.requestAt, r.at+".request", err)
	}
	if r.changes.responseAt != nil {
		r.route.Response, err = transform.CompileResponse(r.changes.response, params)
		r.failAll(r.changes.responseAt, r.at+".response", err)
	}
}

// failAll adds the errors of rules at their places below a node.
func (r *routeReader) failAll(n *yaml.Node, at string, err error) {
	all, _ := errors.AsType[transform.Errors](err)
	for _, e := range all {
		r.fail(n, at+"."+e.At, "%s", e.Text)
	}
}

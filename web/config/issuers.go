package config

import (
	"net/http"
	"strconv"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/auth/jwt"
)

// auth reads how callers may identify themselves besides the keys of the hub.
func (r *reader) auth(n *yaml.Node, at string, c *Config) {
	r.mapping(n, at, map[string]field{
		"jwt": func(n *yaml.Node, at string) {
			r.each(n, at, func(key, value *yaml.Node, at string) { r.issuer(key, value, at, c) })
		},
	})
}

// issuer reads an identity provider.
func (r *reader) issuer(key, n *yaml.Node, at string, c *Config) {
	if !jobs.WellFormedName(key.Value) {
		r.fail(key, at, "must have a name of "+jobs.NameRule)
		return
	}
	o := jwt.Options{Name: key.Value}
	text := func(to *string) field { return func(n *yaml.Node, at string) { *to, _ = r.text(n, at) } }
	before := len(r.errs)
	r.mapping(n, at, map[string]field{"issuer": text(&o.Issuer), "audience": text(&o.Audience), "jwks": text(&o.JWKS), "tenant": text(&o.TenantClaim), "scopes": text(&o.ScopesClaim), "name": text(&o.NameClaim)})
	if len(r.errs) > before {
		return
	}
	check := o
	check.Client = http.DefaultClient // nothing is fetched
	if issuer, err := jwt.New(check); err != nil {
		r.fail(n, at, "%s", err)
	} else {
		issuer.Close()
	}
	c.Issuers = append(c.Issuers, o)
}

// checkMethods reports routes that name an identity provider that is not there.
func (r *reader) checkMethods(c *Config) {
	for i, route := range c.Routes {
		for _, method := range route.Auth {
			known := method == "key" || method == "none"
			for _, issuer := range c.Issuers {
				known = known || method == "jwt:"+issuer.Name
			}
			if !known {
				r.errs = append(r.errs, Error{File: r.file, Line: c.lines[i], At: "routes[" + strconv.Itoa(i) + "].auth", Text: method + " is not among those below auth.jwt"})
			}
		}
	}
}

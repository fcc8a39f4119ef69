package config

import (
	"cmp"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs/call"
	"jobhub/web/gateway"
)

var policy = regexp.MustCompile(`^(all|any|settled|quorum:([1-9][0-9]{0,3}))$`)

// fanout checks a route to several upstreams.
func (r *routeReader) fanout() {
	if len(r.route.Targets) == 0 {
		r.fail(r.given["targets"], r.at+".targets", "must have at least one target")
	}
	if n := r.given["async"]; n != nil && r.route.Async != gateway.Always {
		r.fail(n, r.at+".async", "must be always, or left out: a request to several targets is always a job (callers may wait for it with Prefer: wait=10)")
	}
	r.route.Async = gateway.Always
	if n := r.given["policy"]; n != nil {
		m := policy.FindStringSubmatch(r.route.Policy)
		if m == nil {
			r.fail(n, r.at+".policy", "must be all, any, settled or quorum:N")
			return
		}
		if quorum, _ := strconv.Atoi(cmp.Or(m[2], "1")); quorum > len(r.route.Targets) {
			r.fail(n, r.at+".policy", "needs more targets than the %d there are", len(r.route.Targets))
		}
	}
	for i, t := range r.route.Targets {
		if t.Strip != "" && !hasPathPrefix(r.route.Path, t.Strip) {
			r.fail(r.given["targets"].Content[i], r.at+".targets["+strconv.Itoa(i)+"].strip", "must be a prefix of the path %s that ends at a segment", r.route.Path)
		}
	}
}

func (r *routeReader) target(n *yaml.Node, at string, names map[string]bool) (t gateway.Target) {
	before := len(r.errs)
	r.mapping(n, at, map[string]field{
		"name": func(n *yaml.Node, at string) {
			text, ok := r.text(n, at)
			switch t.Name = text; {
			case ok && !call.TargetName.MatchString(text):
				r.fail(n, at, "must be a letter a-z and then up to 63 of a-z 0-9 _ -, not %q", text)
			case names[text]:
				r.fail(n, at, "%s is used twice; give each target its own name", text)
			}
			names[text] = true
		},
		"upstream": func(n *yaml.Node, at string) { t.Upstream = r.upstream(n, at) },
		"strip":    func(n *yaml.Node, at string) { t.Strip = r.path(n, at) },
		"timeout":  func(n *yaml.Node, at string) { t.Timeout, _ = r.duration(n, at, time.Millisecond, 24*time.Hour) },
	})
	if len(r.errs) == before && (t.Name == "" || t.Upstream == nil) {
		r.fail(n, at, "needs a name and an upstream")
	}
	return t
}

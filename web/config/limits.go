package config

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/limit"
)

// limits reads the members limits and quota of a route or plan into a set.
func (r *reader) limits(set *limit.Set) map[string]field {
	return map[string]field{
		"limits": func(n *yaml.Node, at string) {
			r.list(n, at, func(n *yaml.Node, at string) { set.Rules = append(set.Rules, r.limitRule(n, at)) })
		},
		"quota": func(n *yaml.Node, at string) {
			text, ok := r.text(n, at)
			if !ok {
				return
			}
			if set.Quota, ok = limit.ParseQuota(text); !ok {
				r.fail(n, at, "must be a number of requests in a window of time, like 10000/1d, not %q", text)
			}
		},
	}
}

func (r *reader) limitRule(n *yaml.Node, at string) (rule limit.Rule) {
	given := 0
	r.mapping(n, at, map[string]field{
		"rate": func(n *yaml.Node, at string) {
			given++
			text, ok := r.text(n, at)
			if !ok {
				return
			}
			if rule.Rate, ok = jobs.ParseRate(text); !ok {
				r.fail(n, at, "must be a number of requests in a time, like 100/1m, not %q", text)
			}
		},
		"concurrency": func(n *yaml.Node, at string) {
			given++
			rule.Concurrency, _ = r.number(n, at, 1, maxNumber)
		},
		"per": func(n *yaml.Node, at string) {
			words := []string{string(limit.PerConsumer), string(limit.PerAddress), string(limit.PerRoute)}
			if i, ok := r.oneOf(n, at, words); ok {
				rule.Per = limit.Per(words[i])
			}
		},
	})
	if n.Kind == yaml.MappingNode && given != 1 {
		r.fail(n, at, "needs rate or concurrency, one of the two")
	}
	return rule
}

// compileLimits checks a set; nil if it has no limits.
func (r *reader) compileLimits(n *yaml.Node, at string, set limit.Set) *limit.RuleSet {
	if len(set.Rules) == 0 && set.Quota == (limit.Quota{}) {
		return nil
	}
	rules, err := limit.Compile(set)
	if err == nil {
		return rules
	}
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || len(p.Errors) == 0 {
		r.fail(n, at, "%s", err)
		return nil
	}
	for _, e := range p.Errors {
		r.fail(n, at+strings.ReplaceAll(e.Pointer, "/", "."), "%s", e.Detail)
	}
	return nil
}

// plan reads the limits of a plan.
func (r *reader) plan(key, n *yaml.Node, at string, c *Config) {
	if !jobs.WellFormedName(key.Value) {
		r.fail(key, at, "must have a name of "+jobs.NameRule)
		return
	}
	set := limit.Set{Scope: "plan " + key.Value, Name: "plan"}
	r.mapping(n, at, r.limits(&set))
	// What a plan limits, it limits for each of its consumers, unless it says otherwise.
	for i := range set.Rules {
		if set.Rules[i].Per == "" {
			set.Rules[i].Per = limit.PerConsumer
		}
	}
	c.Plans[key.Value] = r.compileLimits(n, at, set)
}

package transform

import (
	"net/url"
	"slices"
	"strings"
)

// queryEdits are compiled QueryRules.
type queryEdits struct {
	remove []string
	set    []queryEdit
}

type queryEdit struct {
	name  string
	value template
}

func (c *compiler) query(at string, rules QueryRules) (e queryEdits) {
	for _, name := range rules.Remove {
		if name == "" {
			c.fail(at+".remove", "must be names of parameters")
			continue
		}
		if _, both := rules.Set[name]; both {
			c.fail(at+".remove."+name, "is also in %s.set; keep one", at)
		}
		e.remove = append(e.remove, name)
	}
	for _, name := range sorted(rules.Set) {
		if name == "" {
			c.fail(at+".set", "must have names of parameters")
			continue
		}
		e.set = append(e.set, queryEdit{name, c.template(at+".set."+name, rules.Set[name])})
	}
	return e
}

// apply returns a query with its changes. All other parameters stay byte for byte and in their
// order. A parameter whose value the request does not have is removed.
func (e queryEdits) apply(query string, v *Values) (string, error) {
	if len(e.remove) == 0 && len(e.set) == 0 {
		return query, nil
	}
	values := make(map[string]string, len(e.set)) // by name, escaped
	var missing []string
	for _, x := range e.set {
		if value, ok := x.value.expand(v); ok {
			values[x.name] = escapeQuery(x.name) + "=" + escapeQuery(value)
		} else {
			missing = append(missing, x.name)
		}
	}
	touched := func(name string) bool {
		_, set := values[name]
		return set || slices.Contains(e.remove, name) || slices.Contains(missing, name)
	}
	var kept []string
	if query != "" {
		for item := range strings.SplitSeq(query, "&") {
			name := queryName(item)
			switch value := values[name]; {
			case !touched(name):
				for part := range strings.SplitSeq(item, ";") { // some upstreams end a parameter here
					if strings.Contains(item, ";") && touched(queryName(part)) {
						return "", refuse("Malformed query", "The query has a semicolon before %s. Separate parameters by &, or send %%3B for a semicolon in a value.", queryName(part))
					}
				}
				kept = append(kept, item)
			case value != "":
				kept = append(kept, value)
				values[name] = "" // further ones of the name go
			}
		}
	}
	for _, x := range e.set {
		if value := values[x.name]; value != "" {
			kept = append(kept, value)
		}
	}
	return strings.Join(kept, "&"), nil
}

// queryName returns the name of a parameter; as it stands if its escapes are broken.
func queryName(item string) string {
	name, _, _ := strings.Cut(item, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		return decoded
	}
	return name
}

// queryValue returns the first value of a parameter. ok is false if there is none, or its
// escapes are broken.
func queryValue(query, name string) (value string, ok bool) {
	for item := range strings.SplitSeq(query, "&") {
		if item != "" && queryName(item) == name {
			_, raw, _ := strings.Cut(item, "=")
			value, err := url.QueryUnescape(raw)
			return value, err == nil
		}
	}
	return "", false
}

// escapeQuery escapes a name or value. A space becomes %20, which all upstreams read alike.
func escapeQuery(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

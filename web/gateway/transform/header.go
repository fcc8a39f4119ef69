package transform

import (
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/httpheader"
)

// headerEdits are compiled HeaderRules.
type headerEdits struct {
	remove   []string
	set, add []headerEdit
}

type headerEdit struct {
	name  string
	value template
}

// isRequestHeader and isResponseHeader say whether a rule may change a header, given in its
// canonical form. All others are about one connection, or are the hub's own.
func isRequestHeader(name string) bool {
	switch name {
	case "Forwarded", "Host", "Content-Length", "Content-Encoding", "Expect", "Jobhub-Attempt", "X-Forwarded", "Traceparent", "Tracestate":
		return false
	}
	return !httpheader.IsHopByHop(name) && name != "Proxy" && !strings.HasPrefix(name, "X-Forwarded-")
}

func isResponseHeader(name string) bool {
	switch name {
	case "Content-Length", "Content-Encoding", "Asyncresult", "Idempotency-Replayed":
		return false
	}
	return !httpheader.IsHopByHop(name) && !strings.HasPrefix(name, "Jobhub-")
}

func (c *compiler) headers(at string, rules HeaderRules, allowed func(string) bool) (e headerEdits) {
	seen := map[string]string{}
	name := func(at, name string) (string, bool) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpheader.IsToken(name):
			c.fail(at, "is not the name of a header")
		case !allowed(canonical):
			c.fail(at, "is set by the hub; delete it")
		case seen[canonical] != "" && seen[canonical] != at:
			c.fail(at, "is also in %s; keep one", seen[canonical])
		default:
			return canonical, true
		}
		return "", false
	}
	for _, n := range rules.Remove {
		if n, ok := name(at+".remove."+n, n); ok {
			e.remove = append(e.remove, n)
		}
	}
	// A header may be removed and added, or set and added, but set only once.
	edits := func(list string, rules map[string]string) (edits []headerEdit) {
		clear(seen)
		for _, n := range sorted(rules) {
			at := at + "." + list + "." + n
			canonical, ok := name(at, n)
			if !ok {
				continue
			}
			seen[canonical] = at
			value := c.template(at, rules[n])
			for _, p := range value {
				if !isFieldValue(p.text) {
					c.fail(at, "has a line break or another control character; delete it")
				}
			}
			edits = append(edits, headerEdit{canonical, value})
		}
		return edits
	}
	e.set = edits("set", rules.Set)
	e.add = edits("add", rules.Add)
	return e
}

// isFieldValue reports whether HTTP allows s in the value of a header.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// apply changes headers. It changes nothing if it fails.
func (e headerEdits) apply(h http.Header, v *Values) error {
	type edit struct {
		name, value string
		ok          bool
	}
	expand := func(edits []headerEdit) (done []edit, err error) {
		for _, x := range edits {
			value, ok := x.value.expand(v)
			if !isFieldValue(value) {
				return nil, refuse("Malformed header", "The value for the header %s, which this route makes from the request, has a control character. Send a value without line breaks.", x.name)
			}
			done = append(done, edit{x.name, strings.Trim(value, " \t"), ok})
		}
		return done, nil
	}
	set, err := expand(e.set)
	if err != nil {
		return err
	}
	add, err := expand(e.add)
	if err != nil {
		return err
	}
	for _, name := range e.remove {
		h.Del(name)
	}
	for _, x := range set {
		if x.ok {
			h[x.name] = []string{x.value}
		} else {
			h.Del(x.name)
		}
	}
	for _, x := range add {
		if x.ok {
			h[x.name] = append(slices.Clip(h[x.name]), x.value) // the old values may be shared
		}
	}
	return nil
}

// refuse returns the problem of a request whose values don't fit a rule.
func refuse(title, format string, args ...any) error {
	p := jobs.NewProblem(jobs.BadMessage, title, format, args...)
	p.Status = http.StatusBadRequest
	return p
}

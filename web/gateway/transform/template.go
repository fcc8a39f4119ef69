package transform

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/httpheader"
)

// Values are what the templates of a request's and its answer's rules may name.
type Values struct {
	Path     map[string]string     // {id}: the parameters of the route's path, escaped as they came
	Rest     string                // what follows the route's path in the request, escaped as it came; empty or begins with a slash
	Consumer Consumer              // {consumer.name}, …
	Claims   map[string]jobs.Value // {claim.sub}: of the caller's token, as they stand in it
	Query    string                // {query.page}: the caller's query, as it came
	Header   http.Header           // {header.X-Request-Id}: as the caller sent it
}

// Consumer is who calls. Its members are empty for a caller without credentials.
type Consumer struct{ Name, ID, Tenant, Plan string }

const namesText = "{consumer.name}, {consumer.id}, {consumer.tenant}, {consumer.plan}, {query.NAME}, {header.NAME}, {claim.NAME}"

// credentials are headers whose values no template may copy.
var credentials = []string{"Authorization", "Cookie", "Proxy-Authorization", "Jobhub-Key"}

// A template is a text with values in it.
type template []piece

// A piece is a text, or the name of a value.
type piece struct {
	text       string
	kind, name string // kind is param, consumer, query, header or claim; empty for a text
}

// template compiles a text. A name in braces is a value; {{ and }} are braces.
func (c *compiler) template(at, text string) (t template) {
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t = append(t, piece{text: literal.String()})
			literal.Reset()
		}
	}
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			break
		}
		literal.WriteString(text[:i])
		brace := text[i]
		if text = text[i+1:]; text != "" && text[0] == brace {
			literal.WriteByte(brace)
			text = text[1:]
			continue
		}
		name, rest, closed := strings.Cut(text, "}")
		if brace == '}' || !closed || strings.Contains(name, "{") {
			c.fail(at, "has a brace without its other one; write {{ for { and }} for }")
			return nil
		}
		flush()
		if p, ok := c.value(at, name); ok {
			t = append(t, p)
		}
		text = rest
	}
	literal.WriteString(text)
	flush()
	return t
}

func (c *compiler) value(at, name string) (piece, bool) {
	kind, rest, dotted := strings.Cut(name, ".")
	switch {
	case !dotted && slices.Contains(c.params, name):
		return piece{kind: "param", name: name}, true
	case kind == "consumer" && slices.Contains([]string{"name", "id", "tenant", "plan"}, rest),
		kind == "query" && rest != "", kind == "claim" && rest != "":
		return piece{kind: kind, name: rest}, true
	case kind == "header" && httpheader.IsToken(rest):
		rest = http.CanonicalHeaderKey(rest)
		if slices.Contains(credentials, rest) {
			c.fail(at, "{%s} would show a credential of the caller; use forward_auth: true to pass it on", name)
			return piece{}, false
		}
		return piece{kind: kind, name: rest}, true
	}
	known := namesText
	if len(c.params) > 0 {
		known = "{" + strings.Join(c.params, "}, {") + "}, " + known
	}
	c.fail(at, "{%s} is not a value; use one of %s, or {{ for a brace", name, known)
	return piece{}, false
}

// raw returns the value of a piece as text, and for a parameter of the path its escaped form.
// ok says whether the request has it.
func (p piece) raw(v *Values) (text, escaped string, ok bool) {
	switch p.kind {
	case "":
		return p.text, "", true
	case "param":
		if escaped, ok = v.Path[p.name]; !ok || escaped == "" {
			return "", "", false
		}
		text, err := url.PathUnescape(escaped)
		return text, escaped, err == nil
	case "consumer":
		text = map[string]string{"name": v.Consumer.Name, "id": v.Consumer.ID, "tenant": v.Consumer.Tenant, "plan": v.Consumer.Plan}[p.name]
		return text, "", text != ""
	case "query":
		text, ok = queryValue(v.Query, p.name)
		return text, "", ok
	case "header":
		values := v.Header[p.name]
		return strings.Join(values, ", "), "", len(values) > 0
	}
	claim := v.Claims[p.name]
	switch {
	case len(claim) == 0 || claim.Kind() == 'n':
		return "", "", false
	case claim.Kind() == '"':
		unquoted, err := jsontext.AppendUnquote(nil, claim)
		return string(unquoted), "", err == nil
	}
	return string(claim), "", true
}

// expand returns the text of a template. ok is false if the request lacks one of its values.
func (t template) expand(v *Values) (text string, ok bool) {
	if len(t) == 1 {
		text, _, ok = t[0].raw(v)
		return text, ok
	}
	var b strings.Builder
	for _, p := range t {
		text, _, ok := p.raw(v)
		if !ok {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

package signature

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/dunglas/httpsfv"

	"jobhub/jobs/httpheader"
)

// message is the request that is signed.
type message struct {
	*http.Request
	scheme string              // http or https, as the client sees it
	params map[string][]string // of the query, encoded (section 2.2.8); nil until one is asked for
}

// base returns the text that is signed (RFC 9421, section 2.5). ok is false if a component
// is not in the request exactly once, is there twice in the list or is of a kind that is not taken.
func (m *message) base(list httpsfv.InnerList) (text string, ok bool) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, item := range list.Items {
		id, err := httpsfv.Marshal(item)
		if err != nil || seen[id] {
			return "", false
		}
		seen[id] = true
		value, ok := m.component(item)
		if !ok || strings.ContainsAny(value, "\r\n") {
			return "", false
		}
		b.WriteString(id + ": " + value + "\n")
	}
	params, err := httpsfv.Marshal(list)
	if err != nil {
		return "", false
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.String(), true
}

// component returns the value of a component of the request.
func (m *message) component(item httpsfv.Item) (value string, ok bool) {
	name, ok := item.Value.(string)
	if !ok {
		return "", false
	}
	if name == "@query-param" {
		return m.queryParam(item.Params)
	}
	if len(item.Params.Names()) > 0 {
		return "", false
	}
	switch name {
	case "@method":
		return cmp.Or(m.Method, http.MethodGet), true
	case "@scheme":
		return m.scheme, true
	case "@authority":
		return m.authority(), true
	case "@path":
		return m.path(), true
	case "@query":
		return "?" + m.URL.RawQuery, true
	case "@request-target":
		return m.path() + m.query(), true
	case "@target-uri":
		return m.scheme + "://" + m.authority() + m.path() + m.query(), true
	}
	return m.field(name)
}

// authority is the host in lower case, without the scheme's own port.
func (m *message) authority() string {
	host := strings.ToLower(cmp.Or(m.Host, m.URL.Host))
	if m.scheme == "https" {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}

// path is the path by which the hub routes; see package match.
func (m *message) path() string {
	if path := m.URL.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// query is the query with its question mark; empty if there is none.
func (m *message) query() string {
	if m.URL.RawQuery == "" && !m.URL.ForceQuery {
		return ""
	}
	return "?" + m.URL.RawQuery
}

// field is the value of a header: its lines, joined (section 2.1).
func (m *message) field(name string) (string, bool) {
	if !httpheader.IsToken(name) || name != strings.ToLower(name) {
		return "", false
	}
	if name == "host" { // net/http takes it out of the headers
		return m.Host, m.Host != ""
	}
	lines := m.Header.Values(name)
	if len(lines) == 0 {
		return "", false
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t")
	}
	return strings.Join(trimmed, ", "), true
}

// queryParam is the value of the one query parameter with a name (section 2.2.8).
func (m *message) queryParam(params *httpsfv.Params) (string, bool) {
	given, _ := params.Get("name")
	name, ok := given.(string)
	if !ok || len(params.Names()) != 1 {
		return "", false
	}
	if m.params == nil {
		m.params = map[string][]string{}
		for pair := range strings.SplitSeq(m.URL.RawQuery, "&") {
			key, value, _ := strings.Cut(pair, "=")
			key, err1 := url.QueryUnescape(key)
			value, err2 := url.QueryUnescape(value)
			if err1 == nil && err2 == nil && pair != "" {
				key = percentEncode(key)
				m.params[key] = append(m.params[key], percentEncode(value))
			}
		}
	}
	if values := m.params[name]; len(values) == 1 {
		return values[0], true
	}
	return "", false
}

// percentEncode encodes as application/x-www-form-urlencoded does, with %20 for a space.
func percentEncode(text string) string { return formEncoding.Replace(url.QueryEscape(text)) }

var formEncoding = strings.NewReplacer("+", "%20", "~", "%7E", "%2A", "*")

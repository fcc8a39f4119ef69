package match

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"jobhub/jobs"
)

// Request is what a rule sees of an HTTP request.
type Request struct {
	Method string
	Host   string      // as the client sent it: the port and the case do not matter; empty matches rules without host alone
	Path   string      // escaped, as it is sent on; begins with a slash
	Query  string      // escaped, without the question mark
	Header http.Header // with canonical names
}

// FromHTTP returns the Request of a server's request. Its path is r.URL.EscapedPath(), which is
// therefore what the upstream has to get. A target that is not a path (authority-form, as for
// CONNECT; an asterisk; a URL of another scheme, with credentials or for another host than
// r.Host) is a *jobs.Problem of code bad_message.
func FromHTTP(r *http.Request) (Request, error) {
	u := r.URL
	path := u.EscapedPath()
	absolute := u.Scheme != "" || u.Host != ""
	switch {
	case u.Opaque != "" || u.User != nil || absolute && (u.Scheme != "http" && u.Scheme != "https" || u.Host != r.Host),
		path == "" && !absolute:
		return Request{}, badTarget()
	case path == "":
		path = "/"
	case path[0] != '/':
		return Request{}, badTarget()
	}
	return Request{Method: r.Method, Host: r.Host, Path: path, Query: u.RawQuery, Header: r.Header}, nil
}

func badTarget() error {
	return jobs.NewProblem(jobs.BadMessage, "Invalid request target", "The target of the request is not a path of this server. Send a path that begins with a slash; the hub is not a forward proxy.")
}

// maxHost is the longest host in bytes.
const maxHost = 255

// appendHost appends a host in lower case, without port, the dot at the end and brackets. port
// tells whether it had one. ok is false if it is malformed.
func appendHost(b []byte, host string) (key []byte, port, ok bool) {
	if host == "" {
		return b, false, true
	}
	if rest, is := strings.CutPrefix(host, "["); is {
		text, after, closed := strings.Cut(rest, "]")
		addr, err := netip.ParseAddr(text)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" || !isPort(after) {
			return b, false, false
		}
		return addr.AppendTo(b), after != "", true
	}
	name := host
	if i := strings.IndexByte(host, ':'); i >= 0 {
		name = host[:i]
	}
	after := host[len(name):]
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxHost || name[0] == '.' || strings.Contains(name, "..") || strings.HasSuffix(name, ".") || !isPort(after) {
		return b, false, false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return b, false, false
		}
		b = append(b, c)
	}
	return b, after != "", true
}

// isPort reports whether a text is empty, or a colon and a port, which may be empty.
func isPort(text string) bool {
	digits, ok := strings.CutPrefix(text, ":")
	return text == "" || ok && len(digits) <= 5 && strings.Trim(digits, "0123456789") == ""
}

// hasParameter reports whether a query has a parameter with a value. Names and values are decoded
// as those of a form; what can't be decoded is taken as it is. semicolons says whether a
// semicolon separates parameters, too.
func hasParameter(query string, want pair, semicolons bool) bool {
	for query != "" {
		end := strings.IndexByte(query, '&')
		if semicolons {
			end = strings.IndexAny(query, "&;")
		}
		item := query
		if end < 0 {
			query = ""
		} else {
			item, query = query[:end], query[end+1:]
		}
		name, value, _ := strings.Cut(item, "=")
		if isDecoded(name, want.name) && isDecoded(value, want.value) {
			return true
		}
	}
	return false
}

// isDecoded reports whether a part of a query is a text after decoding.
func isDecoded(part, want string) bool {
	if !strings.ContainsAny(part, "%+") {
		return part == want
	}
	text, err := url.QueryUnescape(part)
	return err == nil && text == want || err != nil && part == want
}

// matches reports whether the conditions of a rule beside host and path hold.
func (r *rule) matches(q *Request, semicolons bool) bool {
	return (len(r.methods) == 0 || slices.Contains(r.methods, q.Method)) && r.matchesValues(q, semicolons)
}

// matchesValues is matches without the method.
func (r *rule) matchesValues(q *Request, semicolons bool) bool {
	for _, p := range r.headers {
		if !slices.Contains(q.Header[p.name], p.value) {
			return false
		}
	}
	for _, p := range r.query {
		if !hasParameter(q.Query, p, semicolons) {
			return false
		}
	}
	return true
}

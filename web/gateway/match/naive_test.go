package match

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// naive is the reference: it tries all rules, for all readings, and knows nothing of trees.
type naive struct {
	rules []Rule
	paths []*regexp.Regexp
}

var namedSegment = regexp.MustCompile(`\\\{[A-Za-z0-9_-]+\\\}`)

func newNaive(rules []Rule) naive {
	n := naive{rules: rules}
	for _, r := range rules {
		text := namedSegment.ReplaceAllString(regexp.QuoteMeta(r.Path), `([^/]+)`)
		if strings.HasSuffix(r.Path, "/") {
			text += `(?s:.*)`
		} else {
			text += `(?s:/.*)?`
		}
		n.paths = append(n.paths, regexp.MustCompile(`^`+text+`$`))
	}
	return n
}

// rankOf is how well a rule matches a path, in the words of the contract: the exact path is a
// criterion of its own.
func rankOf(r Rule, path string) []int {
	exact, literals, segments := 0, 0, 0
	if r.Path == path {
		exact = 1
	}
	for s := range strings.SplitSeq(strings.Trim(r.Path, "/"), "/") {
		if s != "" {
			segments++
			if s[0] != '{' {
				literals++
			}
		}
	}
	slash := 0
	if strings.HasSuffix(r.Path, "/") {
		slash = 1
	}
	return []int{min(1, len(r.Host)), exact, literals, segments, slash, min(1, len(r.Methods)), len(r.Headers), len(r.Query)}
}

// all returns the rules that match a request by one reading, and their parameters.
func (n naive) all(q Request, path string, values url.Values, anyMethod bool) (found []int, params [][]string) {
	host, _, _ := strings.Cut(strings.ToLower(q.Host), ":")
	for i, r := range n.rules {
		m := n.paths[i].FindStringSubmatch(path)
		ok := m != nil && (r.Host == "" || strings.EqualFold(r.Host, strings.TrimSuffix(host, "."))) &&
			(anyMethod || len(r.Methods) == 0 || slices.Contains(r.Methods, q.Method))
		for name, value := range r.Headers {
			ok = ok && slices.Contains(q.Header.Values(name), value)
		}
		for name, value := range r.Query {
			ok = ok && slices.Contains(values[name], value)
		}
		if ok {
			found, params = append(found, i), append(params, m[1:])
		}
	}
	return found, params
}

// best returns the best of these rules, all of them if there are several.
func (n naive) best(found []int, params [][]string, path string) (best []int, its []string) {
	for k, i := range found {
		switch c := 1; {
		case len(best) > 0:
			if c = slices.Compare(rankOf(n.rules[i], path), rankOf(n.rules[best[0]], path)); c == 0 {
				best = append(best, i)
			}
			if c <= 0 {
				continue
			}
			fallthrough
		default:
			best, its = []int{i}, params[k]
		}
	}
	return best, its
}

// verdict is what a request gets: one rule with its parameters, refused, or nothing.
type verdict struct {
	rule    int // -1 for none
	params  []string
	refused bool
	allow   []string
}

func (n naive) find(q Request) verdict {
	none := verdict{rule: -1}
	refused := verdict{rule: -1, refused: true}
	values := parseQuery(q.Query, "&")
	found, params := n.all(q, q.Path, values, false)
	best, _ := n.best(found, params, q.Path)
	if hasBadEscape(q.Path) {
		return refused
	}
	decoded, _ := url.PathUnescape(q.Path)
	dots := regexp.MustCompile(`(^|[/\\])\.\.?(;[^/\\]*)?([/\\]|$)|[\x00-\x1f\x7f]`)
	overlong := regexp.MustCompile(`(?i)%c[01]%[89ab]|%e0%[89]|%f0%8`)
	if dots.MatchString(decoded) || overlong.MatchString(q.Path) {
		if len(best) > 0 {
			return refused
		}
		return none
	}
	var its []string
	for reading := range 64 {
		path, query := readNaively(q.Path, reading), values
		if reading&32 != 0 {
			query = parseQuery(q.Query, "&;")
		}
		found, params := n.all(q, path, query, false)
		other, p := n.best(found, params, path)
		if reading == 0 {
			its = p
		}
		if !slices.Equal(other, best) || !slices.Equal(p, its) {
			return refused
		}
	}
	switch {
	case len(best) > 1:
		return refused
	case len(best) == 1:
		for i, p := range its {
			its[i] = strings.ReplaceAll(p, "\x00", "/")
			if strings.ToValidUTF8(p, "") != p {
				return refused
			}
		}
		return verdict{rule: best[0], params: its}
	}
	found, _ = n.all(q, q.Path, values, true)
	for _, i := range found {
		none.allow = append(none.allow, n.rules[i].Methods...)
	}
	slices.Sort(none.allow)
	none.allow = slices.Compact(none.allow)
	return none
}

func hasBadEscape(path string) bool {
	_, err := url.PathUnescape(path)
	return err != nil
}

var anyCase = func(text string) *regexp.Regexp { return regexp.MustCompile("(?i)" + text) }

var (
	escapedSlash     = anyCase("%2f")
	escapedBackslash = anyCase(`%5c|\\`)
	escapedSemicolon = anyCase("%3b.*")
	manySlashes      = regexp.MustCompile("//+")
)

// readNaively returns a path by one reading, decoded; a slash that does not separate is \x00.
func readNaively(path string, reading int) string {
	if reading&1 != 0 {
		path = escapedSlash.ReplaceAllString(path, "/")
	}
	if reading&2 != 0 {
		path = escapedBackslash.ReplaceAllString(path, "/")
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if reading&4 != 0 {
			s, _, _ = strings.Cut(s, ";")
		}
		if reading&8 != 0 {
			s = escapedSemicolon.ReplaceAllString(s, "")
		}
		s, _ = url.PathUnescape(s)
		segments[i] = strings.ReplaceAll(s, "/", "\x00")
	}
	path = strings.Join(segments, "/")
	if reading&16 != 0 {
		path = manySlashes.ReplaceAllString(path, "/")
	}
	return path
}

func parseQuery(query, separators string) url.Values {
	values := url.Values{}
	for _, item := range strings.FieldsFunc(query, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		name, value, _ := strings.Cut(item, "=")
		values.Add(unescaped(name), unescaped(value))
	}
	return values
}

func unescaped(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

// header makes a header of names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

package match

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"jobhub/jobs"
)

// maxPath is the longest path of a request, in bytes. The server allows headers of 32 KiB.
const maxPath = 64 << 10

// How servers read a path, beside decoding its escapes. They combine.
const (
	escapedSlashes    = 1 << iota // %2F separates segments
	backslashes                   // \ separates segments, as on Windows
	parameters                    // a segment ends at a semicolon, as in servlets
	escapedParameters             // a segment ends at %3B
	mergedSlashes                 // empty segments are left out, as by nginx
	allReadings       = 1<<iota - 1
)

// Marks in a decoded path, for characters that were escaped. Paths with control characters are
// refused before.
const (
	slashMark     = 0x00
	semicolonMark = 0x01
)

// isPlain reports whether all servers read a path, or a segment of one, in the same way.
func isPlain(path string) bool {
	before := byte(0)
	for i := range len(path) {
		c := path[i]
		if !plain[c] || before == '/' && (c == '/' || c == '.') {
			return false
		}
		before = c
	}
	return true
}

// plain holds the slash and the characters that a segment may have unescaped (RFC 3986, pchar),
// except for the semicolon.
var plain = func() (set [256]bool) {
	for _, c := range "/-._~!$&'()*+,=:@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" {
		set[c] = true
	}
	return set
}()

// decodePath decodes a path once. hostile tells that it has control characters, segments . or
// .. by any reading, or one of these in more bytes than UTF-8 allows. ok is false for a % that
// no two hexadecimal digits follow.
func decodePath(path string) (text []byte, hostile, ok bool) {
	text = make([]byte, 0, len(path))
	before := byte(0)
	for i := 0; i < len(path); i++ {
		c, escaped := path[i], false
		if c == '%' {
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return nil, false, false
			}
			c, escaped = unhex(path[i+1])<<4|unhex(path[i+2]), true
			i += 2
		}
		hostile = hostile || c < ' ' || c == 0x7f || isOverlong(before, c)
		before = c
		switch {
		case escaped && c == '/':
			c = slashMark
		case escaped && c == ';':
			c = semicolonMark
		}
		text = append(text, c)
	}
	return text, hostile || hasDotSegment(string(text)), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// isOverlong reports whether two bytes begin a character in more bytes than UTF-8 allows, which
// lenient decoders read as another one: C0 AE as a dot.
func isOverlong(a, b byte) bool {
	return (a == 0xc0 || a == 0xc1) && 0x80 <= b && b <= 0xbf || a == 0xe0 && 0x80 <= b && b <= 0x9f || a == 0xf0 && 0x80 <= b && b <= 0x8f
}

// hasDotSegment reports whether a decoded path has a segment . or .. by any reading.
func hasDotSegment(decoded string) bool {
	for text := range strings.FieldsFuncSeq(decoded, func(c rune) bool { return c == '/' || c == slashMark || c == '\\' }) {
		if i := strings.IndexAny(text, ";\x01"); i >= 0 {
			text = text[:i]
		}
		if text == "." || text == ".." {
			return true
		}
	}
	return false
}

// readings returns which ways of reading a decoded path could make a difference.
func readings(decoded []byte) (set int) {
	for _, c := range decoded {
		switch c {
		case slashMark:
			set |= escapedSlashes
		case '\\':
			set |= backslashes
		case ';':
			set |= parameters
		case semicolonMark:
			set |= escapedParameters
		}
	}
	return set | mergedSlashes
}

// read returns a decoded path by one reading. Escaped slashes and semicolons that it takes as
// ordinary characters stay marks.
func read(decoded []byte, reading int) string {
	out := make([]byte, 0, len(decoded))
	cut := false // until the end of the segment
	for _, c := range decoded {
		switch {
		case c == slashMark && reading&escapedSlashes != 0, c == '\\' && reading&backslashes != 0:
			c = '/'
		case c == ';' && reading&parameters != 0, c == semicolonMark && reading&escapedParameters != 0:
			cut = true
		}
		if c == '/' {
			cut = false
			if reading&mergedSlashes != 0 && len(out) > 0 && out[len(out)-1] == '/' {
				continue
			}
		}
		if !cut {
			out = append(out, c)
		}
	}
	return string(out)
}

// compareReadings returns an error if another reading of the request gives another result than
// the search of it as it came.
func (x *index) compareReadings(s *search, host []byte) error {
	queries := 1
	if x.hasQuery && strings.Contains(s.request.Query, ";") {
		queries = 2
	}
	if queries == 1 && isPlain(s.path) {
		return nil
	}
	decoded, hostile, ok := decodePath(s.path)
	switch {
	case !ok:
		return jobs.NewProblem(jobs.BadMessage, "Invalid path", "The path has a %% that no two hexadecimal digits follow. Write %%25 for the character itself.")
	case hostile && s.best == nil:
		return nil
	case hostile:
		return jobs.NewProblem(jobs.NotFound, "Not found", "The path has a segment . or .. or a control character, and could leave its route. Send it without these.")
	}
	base := read(decoded, 0)
	differs := readings(decoded)
	for reading := range allReadings + 1 {
		if reading&^differs != 0 {
			continue
		}
		path := read(decoded, reading)
		for query := range queries {
			if path == s.path && query == 0 || path == base && reading > 0 { // as it came, or done
				continue
			}
			other := search{request: s.request, path: path, semicolons: query == 1}
			other.run(x, host)
			switch {
			case other.best == s.best && other.tie == s.tie && (s.best == nil || sameParams(s.best, base, path)):
			case query == 1 && path == base:
				return jobs.NewProblem(jobs.NotFound, "Not found", "The query can be read in two ways, which belong to different routes. Escape its semicolons as %%3B.")
			case s.best != nil && other.best == s.best && other.tie == s.tie:
				return jobs.NewProblem(jobs.NotFound, "Not found", "The path can be read in two ways, with different parameters of its route. Send it without slashes, backslashes and semicolons inside of a parameter.")
			default:
				return jobs.NewProblem(jobs.NotFound, "Not found", "The path can be read in two ways, which belong to different routes. Send it without unnecessary escapes and double slashes.")
			}
		}
	}
	return nil
}

// sameParams reports whether a rule that matches two paths has the same parameters in both.
func sameParams(r *rule, a, b string) bool {
	for _, s := range r.segments {
		var x, y string
		x, a = cutSegment(a)
		y, b = cutSegment(b)
		if s.param && x != y {
			return false
		}
	}
	return true
}

// params returns the parameters of a rule that matches a path.
func (r *rule) params(path string) ([]Param, error) {
	if r.paramCount == 0 {
		return nil, nil
	}
	all := make([]Param, 0, r.paramCount)
	for _, s := range r.segments {
		var raw string
		raw, path = cutSegment(path)
		if !s.param {
			continue
		}
		value, err := url.PathUnescape(raw)
		if err != nil || !utf8.ValidString(value) {
			return nil, jobs.NewProblem(jobs.BadMessage, "Invalid path", "The parameter %s in the path is not UTF-8. Encode its characters as UTF-8, and then as %%XX.", s.text)
		}
		all = append(all, Param{Name: s.text, Value: value, Raw: raw})
	}
	return all, nil
}

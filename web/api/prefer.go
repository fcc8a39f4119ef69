package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

// preference is one item of a Prefer header (RFC 7240): the raw text, the name in lower case
// and the value without quotes.
type preference struct{ raw, name, value string }

// preferences returns the items of all Prefer headers.
func preferences(h http.Header) (all []preference) {
	for _, line := range h["Prefer"] {
		for line != "" {
			end := itemEnd(line, ',')
			raw := strings.Trim(line[:end], " \t")
			line = line[min(end+1, len(line)):]
			if raw == "" {
				continue
			}
			name, value, _ := strings.Cut(raw[:itemEnd(raw, ';')], "=")
			all = append(all, preference{raw, strings.ToLower(strings.Trim(name, " \t")), unquote(strings.Trim(value, " \t"))})
		}
	}
	return all
}

// itemEnd returns the index of the first separator outside of quotes, or the length.
func itemEnd(s string, separator byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == separator && !quoted:
			return i
		}
	}
	return len(s)
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i < len(s)-2 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Prefers reports whether a request has the preference name.
func Prefers(h http.Header, name string) bool {
	if len(h["Prefer"]) == 0 {
		return false
	}
	for _, p := range preferences(h) {
		if p.name == name {
			return true
		}
	}
	return false
}

// OtherPreferences returns the value of Prefer without respond-async and wait, which the hub
// handles itself.
func OtherPreferences(h http.Header) string {
	var kept []string
	for _, p := range preferences(h) {
		if p.name != "respond-async" && p.name != "wait" {
			kept = append(kept, p.raw)
		}
	}
	return strings.Join(kept, ", ")
}

// maxWait is the longest a request is held for Prefer: wait: less than the 60 s after which
// proxies give up by default.
const maxWait = 50 * time.Second

// PreferredWait returns the wait=N of a Prefer header, at most maxWait, and whether there is
// one. If there are several, the first counts.
func PreferredWait(r *http.Request) (time.Duration, bool, error) {
	for _, p := range preferences(r.Header) {
		if p.name != "wait" {
			continue
		}
		n, err := strconv.Atoi(p.value)
		if err != nil || n < 0 {
			return 0, false, jobs.NewProblem(jobs.BadMessage, "Malformed Prefer", "wait must be whole seconds, like Prefer: wait=10.")
		}
		return min(time.Duration(min(n, 3600))*time.Second, maxWait), true, nil
	}
	return 0, false, nil
}

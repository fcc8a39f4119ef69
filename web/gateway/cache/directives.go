package cache

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"time"
)

// directives are those of Cache-Control that the hub obeys, of a request or an answer. A
// duration is absent if it is below zero.
type directives struct {
	noStore, noCache, private, public, mustRevalidate, onlyIfCached bool
	given                                                           bool // there is a Cache-Control

	maxAge, sMaxAge, staleWhileRevalidate, staleIfError, maxStale, minFresh time.Duration
}

const (
	absent  = time.Duration(-1)
	forever = time.Duration(math.MaxInt32) * time.Second // RFC 9111, 1.2.2
)

// parseDirectives reads the Cache-Control of a request or an answer. What does not follow the
// grammar is read in the way that stores and reuses least (RFC 9111, 4.2.1 and 5.2).
func parseDirectives(h http.Header) directives {
	d := directives{maxAge: absent, sMaxAge: absent, staleWhileRevalidate: absent, staleIfError: absent, maxStale: absent, minFresh: absent}
	for _, line := range h["Cache-Control"] {
		d.given = true
		for item := range listItems(line) {
			name, value, has := strings.Cut(item, "=")
			trimmed := strings.TrimSpace(name)
			if trimmed != name {
				value = "" // no space may stand before =
			}
			d.add(strings.ToLower(trimmed), value, has)
		}
	}
	return d
}

func (d *directives) add(name, value string, has bool) {
	// The restrictive ones count also with a value, as no-cache="Set-Cookie" has one: all the
	// answer is treated as that field (RFC 9111, 5.2.2.4 and 5.2.2.7).
	switch name {
	case "no-store":
		d.noStore = true
	case "no-cache":
		d.noCache = true
	case "private":
		d.private = true
	case "must-revalidate", "proxy-revalidate":
		d.mustRevalidate = true
	case "only-if-cached":
		d.onlyIfCached = true
	case "public":
		d.public = d.public || !has
	case "max-age":
		least(&d.maxAge, seconds(value))
	case "s-maxage":
		least(&d.sMaxAge, seconds(value))
	case "stale-while-revalidate":
		least(&d.staleWhileRevalidate, seconds(value))
	case "stale-if-error":
		least(&d.staleIfError, seconds(value))
	case "min-fresh":
		d.minFresh = max(d.minFresh, seconds(value))
	case "max-stale":
		if has {
			least(&d.maxStale, seconds(value))
		} else {
			least(&d.maxStale, forever)
		}
	}
}

// least keeps the lower one of two values.
func least(d *time.Duration, v time.Duration) {
	if *d == absent || v < *d {
		*d = v
	}
}

// seconds reads delta-seconds, also in quotes; 0 if they are malformed.
func seconds(text string) time.Duration {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if text == "" {
		return 0
	}
	n := int64(0)
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0
		}
		n = min(n*10+int64(text[i]-'0'), math.MaxInt32)
	}
	return time.Duration(n) * time.Second
}

// parseTime reads a date in one of the three forms of HTTP (RFC 9110, 5.6.7). Only the day of the
// week and the case of letters are not checked.
func parseTime(text string) (time.Time, error) {
	for _, form := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		t, err := time.Parse(form, text)
		_, want, _ := strings.Cut(t.Format(form), " ")
		if _, got, _ := strings.Cut(text, " "); err == nil && strings.EqualFold(got, want) {
			return t, nil
		}
	}
	return time.Time{}, errTime
}

var errTime = errors.New("not a date of HTTP")

// listItems yields the items of a list that commas separate, without the space around them; a
// comma in a quoted string separates nothing (RFC 9110, 5.6.1 and 5.6.4). Empty ones are left out.
func listItems(line string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		quoted, from := false, 0
		for i := 0; i <= len(line); i++ {
			switch {
			case i < len(line) && quoted && line[i] == '\\':
				i++
			case i < len(line) && line[i] == '"':
				quoted = !quoted
			case i >= len(line) || line[i] == ',' && !quoted:
				item := strings.TrimSpace(line[from:min(i, len(line))])
				if from = i + 1; item != "" && !yield(item) {
					return
				}
			}
		}
		if from < len(line) { // a quoted string without an end, or a \ at the end
			if item := strings.TrimSpace(line[from:]); item != "" {
				yield(item)
			}
		}
	}
}

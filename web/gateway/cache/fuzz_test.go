package cache

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzDirectives: whatever a Cache-Control says, a restrictive directive in it counts, and all
// times are within their bounds. More of it never allows more.
func FuzzDirectives(f *testing.F) {
	for _, seed := range []string{"max-age=10, public", `private="a, b", no-cache="Set-Cookie"`, "max-age=99999999999999999999", "max-age=-1", `max-age="5"`, `a="\"`, `"`, "=,=", "s-maxage = 3;x", "max-stale", `x="no-store`, "NO-STORE ,\tmax-age=1"} {
		f.Add(seed, "no-store")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, both := parseDirectives(http.Header{"Cache-Control": {a}}), parseDirectives(http.Header{"Cache-Control": {a, b}})
		for name, d := range map[string][2]time.Duration{"max-age": {one.maxAge, both.maxAge}, "s-maxage": {one.sMaxAge, both.sMaxAge}, "swr": {one.staleWhileRevalidate, both.staleWhileRevalidate}, "sie": {one.staleIfError, both.staleIfError}, "max-stale": {one.maxStale, both.maxStale}} {
			if d[0] != absent && (d[1] > d[0] || d[1] == absent) || d[0] < absent || d[0] > forever {
				t.Errorf("%s: %v", name, d)
			}
		}
		if one.noStore && !both.noStore || one.private && !both.private || one.noCache && !both.noCache || one.mustRevalidate && !both.mustRevalidate || both.minFresh < one.minFresh {
			t.Errorf("%+v %+v", one, both)
		}
		plain := strings.Trim(a, "abcdefghijklmnopqrstuvwxyz0123456789-=, ") == ""
		if plain && strings.Contains(","+strings.ReplaceAll(a, " ", "")+",", ",no-store,") && !strings.Contains(a, "no- ") && !one.noStore {
			if !strings.ContainsAny(strings.Trim(a, " ,"), " ") {
				t.Errorf("%q: no-store is not seen", a)
			}
		}
	})
}

// FuzzAnswer: whatever headers an answer has, storing it does not panic, an answer that must not be
// stored is not, and a stored one is not fresh for longer than it says.
func FuzzAnswer(f *testing.F) {
	f.Add("max-age=10", "Thu, 01 Jan 1970 00:00:00 GMT", "3", "Accept", `W/"1"`, uint16(200))
	f.Add("public, stale-while-revalidate=1", "0", "-1, 7", "*", `"`, uint16(404))
	f.Add("", "Sat, 01 Jan 99999 00:00:00 GMT", "99999999999", ",", "", uint16(304))
	f.Fuzz(func(t *testing.T, control, expires, age, vary, etag string, status uint16) {
		h := []string{}
		for name, value := range map[string]string{"Cache-Control": control, "Expires": expires, "Age": age, "Vary": vary, "Etag": etag} {
			if value != "" {
				h = append(h, name+": "+value)
			}
		}
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(int(status), "a", h...))
		w.send("x", "GET /", "If-None-Match: "+etag, "Accept: "+expires)
		w.send("x", "GET /", "If-None-Match: "+expires, "Accept: "+expires)
		d := parseDirectives(http.Header{"Cache-Control": {control}})
		got := w.send("x", "GET /", "Accept: "+expires)
		if got.x.Hit && got.x.Status[:3] == "hit" && (d.noStore || d.private || strings.TrimSpace(vary) == "*" || d.noCache || d.maxAge == 0 && d.sMaxAge <= 0 && d.staleWhileRevalidate <= 0) {
			t.Errorf("%q: %s", h, got.x.Status)
		}
	})
}

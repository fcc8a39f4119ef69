package cache

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// step is a request to the cache, after a time, and what the upstream answers if it is asked:
// "STATUS BODY|header|header", empty for an error. want is what Cache-Status says, and the
// status to the client if it is not 200.
type step struct {
	after  time.Duration
	send   string // METHOD PATH|header|header
	answer string
	want   string
}

const (
	ok   = "200 a"
	soon = 3 * time.Second
)

// sections are cases of RFC 9111, 5861 and 9211, by their sections. The TTL is 60 s, unless the
// name ends with *: then it is 0.
var sections = map[string][]step{
	"3 a fresh answer": {{0, "GET /", ok + "|Cache-Control: max-age=10", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=7"}, {7 * time.Second, "GET /", ok, "fwd=stale; stored"}},
	"3 no-store":       {{0, "GET /", ok + "|Cache-Control: no-store, max-age=10", "fwd=uri-miss"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"3 private":        {{0, "GET /", ok + "|Cache-Control: private", "fwd=uri-miss"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"3 private=\"x\"":  {{0, "GET /", ok + `|Cache-Control: max-age=9, private="x, y"`, "fwd=uri-miss"}},
	"3 must-understand does not weaken no-store": {{0, "GET /", ok + "|Cache-Control: must-understand, no-store, max-age=9", "fwd=uri-miss"}},
	"3 Set-Cookie":                                {{0, "GET /", ok + "|Cache-Control: public, max-age=9|Set-Cookie: a=b", "fwd=uri-miss"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"3 POST is not stored":                        {{0, "POST /", ok + "|Cache-Control: max-age=9", "fwd=method"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"3 a part is not stored":                      {{0, "GET /", "206 a|Content-Range: bytes 0-0/9|Cache-Control: max-age=9", "fwd=uri-miss 206"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"3 without freshness and validator *":         {{0, "GET /", ok, "fwd=uri-miss"}},
	"3 without freshness, validated *":            {{0, "GET /", ok + "|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "GET /", "304 ", "fwd=stale; fwd-status=304; ttl=0"}},
	"3 events are not stored":                     {{0, "GET /", ok + "|Content-Type: text/event-stream; a=b", "fwd=uri-miss"}},
	"3.5 the operator's Authorization":            {{0, "GET /|Authorization: a", ok, "fwd=uri-miss; stored"}, {0, "GET /|Authorization: a", ok, "hit; ttl=60"}, {0, "GET /|Authorization: b", ok, "fwd=uri-miss; stored"}},
	"4 HEAD from GET":                             {{0, "GET /", ok, "fwd=uri-miss; stored"}, {soon, "HEAD /", ok, "hit; ttl=57"}},
	"4 HEAD is not stored":                        {{0, "HEAD /", ok, "fwd=uri-miss"}, {0, "HEAD /", ok, "fwd=uri-miss"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"4.1 Vary":                                    {{0, "GET /|A: 1", ok + "|Vary: a", "fwd=uri-miss; stored"}, {0, "GET /|A: 1", ok, "hit; ttl=60"}, {0, "GET /|A: 2", ok + "|Vary: a", "fwd=vary-miss; stored"}, {0, "GET /", ok + "|Vary: a", "fwd=vary-miss; stored"}, {0, "GET /|A: 1", ok, "hit; ttl=60"}, {0, "GET /|A:", ok + "|Vary: a", "fwd=vary-miss; stored"}},
	"4.1 Vary, space and lines":                   {{0, "GET /|A: 1, 2", ok + "|Vary: a", "fwd=uri-miss; stored"}, {0, "GET /|A: 1|A: 2", ok, "hit; ttl=60"}, {0, "GET /|A: 1 ,2", ok, "hit; ttl=60"}, {0, "GET /|A: 2,1", ok, "fwd=vary-miss; stored"}},
	"4.1 Vary: *":                                 {{0, "GET /", ok + "|Vary: a, *", "fwd=uri-miss"}},
	"4.1 the newest of those that match":          {{0, "GET /|A: 1", ok + "|Vary: a|X: old", "fwd=uri-miss; stored"}, {soon, "GET /|A: 2", ok, "fwd=vary-miss; stored"}, {0, "GET /|A: 1", ok, "hit; ttl=60"}},
	"4.2.1 s-maxage before max-age":               {{0, "GET /", ok + "|Cache-Control: max-age=1, s-maxage=9", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=6"}},
	"4.2.1 max-age before Expires":                {{0, "GET /", ok + "|Cache-Control: max-age=9|Expires: 0", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=6"}},
	"4.2.1 Expires":                               {{0, "GET /", ok + "|Expires: +5", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=2"}, {soon, "GET /", ok, "fwd=stale; stored"}},
	"4.2.1 Expires: 0":                            {{0, "GET /", ok + "|Expires: 0", "fwd=uri-miss"}},
	"4.2.1 the least of two":                      {{0, "GET /", ok + "|Cache-Control: max-age=9, max-age=1", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "fwd=stale; stored"}},
	"4.2.1 a malformed one is 0":                  {{0, "GET /", ok + "|Cache-Control: max-age=9x", "fwd=uri-miss"}, {0, "GET /", ok + "|Cache-Control: max-age=-1", "fwd=uri-miss"}, {0, "GET /", ok + "|Cache-Control: max-age =9", "fwd=uri-miss"}},
	"4.2.2 the TTL":                               {{0, "GET /", ok, "fwd=uri-miss; stored"}, {59 * time.Second, "GET /", ok, "hit; ttl=1"}, {time.Second, "GET /", ok, "fwd=stale; stored"}},
	"4.2.2 the TTL is not longer":                 {{0, "GET /", ok + "|Cache-Control: max-age=0|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "GET /", "304 |Cache-Control: max-age=0", "fwd=stale; fwd-status=304; ttl=0"}},
	"4.2.2 an error has no TTL":                   {{0, "GET /", "500 a", "fwd=uri-miss 500"}, {0, "GET /", "403 a", "fwd=uri-miss 403"}, {0, "GET /", "404 a", "fwd=uri-miss; stored 404"}, {0, "GET /", ok, "hit; ttl=60 404"}},
	"4.2.2 an error may have its own":             {{0, "GET /", "503 a|Cache-Control: max-age=5", "fwd=uri-miss; stored 503"}, {soon, "GET /", ok, "hit; ttl=2 503"}},
	"4.2.3 Age":                                   {{0, "GET /", ok + "|Cache-Control: max-age=10|Age: 4", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=3"}},
	"4.2.3 Date":                                  {{0, "GET /", ok + "|Cache-Control: max-age=10|Date: -4", "fwd=uri-miss; stored"}, {soon, "GET /", ok, "hit; ttl=3"}},
	"4.2.4 stale":                                 {{0, "GET /", ok + "|Cache-Control: max-age=1", "fwd=uri-miss; stored"}, {soon, "GET /", "", "error"}},
	"4.3.1 ETag":                                  {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "304 |Cache-Control: max-age=20", "fwd=stale; fwd-status=304; ttl=20"}, {soon, "GET /", ok, "hit; ttl=17"}},
	"4.3.1 Last-Modified":                         {{0, "GET /", ok + "|Cache-Control: max-age=1|Last-Modified: -100", "fwd=uri-miss; stored"}, {soon, "GET /", "304 ", "fwd=stale; fwd-status=304; ttl=1"}, {0, "GET /", ok, "hit; ttl=1"}},
	"4.3.1 Age is that of the 304":                {{0, "GET /", ok + "|Cache-Control: max-age=5|Age: 4|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "304 ", "fwd=stale; fwd-status=304; ttl=5"}, {0, "GET /", ok, "hit; ttl=5"}},
	"4.3.2 If-None-Match":                         {{0, "GET /", ok + "|Etag: W/\"1\"", "fwd=uri-miss; stored"}, {0, "GET /|If-None-Match: \"0\", \"1\"", ok, "hit; ttl=60 304"}, {0, "GET /|If-None-Match: *", ok, "hit; ttl=60 304"}, {0, "GET /|If-None-Match: \"2\"", ok, "hit; ttl=60"}},
	"4.3.2 If-Modified-Since":                     {{0, "GET /", ok + "|Last-Modified: -100", "fwd=uri-miss; stored"}, {0, "GET /|If-Modified-Since: -100", ok, "hit; ttl=60 304"}, {0, "GET /|If-Modified-Since: -101", ok, "hit; ttl=60"}, {0, "GET /|If-Modified-Since: -100|If-None-Match: \"1\"", ok, "hit; ttl=60"}, {0, "HEAD /|If-Modified-Since: 0", ok, "hit; ttl=60 304"}},
	"4.3.2 an unknown answer":                     {{0, "GET /|If-None-Match: \"1\"", "304 ", "fwd=uri-miss 304"}, {0, "GET /|If-None-Match: \"1\"", ok, "fwd=uri-miss; stored"}, {0, "GET /", ok, "hit; ttl=60"}},
	"4.3.2 after validation":                      {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /|If-None-Match: \"1\"", "304 ", "fwd=stale; fwd-status=304; ttl=1 304"}},
	"4.3.2 others are passed on":                  {{0, "GET /", ok + "|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "GET /|If-Match: \"1\"", ok, "fwd=bypass"}, {0, "GET /|Range: bytes=0-0", "206 a", "fwd=partial 206"}, {0, "GET /", ok, "hit; ttl=60"}},
	"4.3.3 another answer":                        {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "200 b|Etag: \"2\"", "fwd=stale; stored"}, {0, "GET /", ok, "hit; ttl=60"}},
	"4.3.3 an answer that is not stored":          {{0, "GET /", ok + "|Cache-Control: max-age=1, stale-if-error=99|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "200 b|Cache-Control: no-store", "fwd=stale"}, {0, "GET /", "", "error"}},
	"4.3.4 another 304":                           {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "304 |Etag: \"2\"", "fwd=miss 304"}},
	"4.3.4 a 304 with no-store":                   {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "304 |Cache-Control: no-store", "fwd=stale; fwd-status=304; ttl=60"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"4.3.5 HEAD updates":                          {{0, "GET /", ok + "|Cache-Control: max-age=1|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "HEAD /", ok + "|Cache-Control: max-age=9|Etag: \"1\"", "fwd=stale"}, {0, "GET /", ok, "hit; ttl=9"}},
	"4.3.5 HEAD tells of another":                 {{0, "GET /", ok + "|Cache-Control: max-age=1, stale-while-revalidate=99|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "HEAD /|Cache-Control: no-cache", ok + "|Etag: \"2\"", "fwd=request"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"4.4 an unsafe method":                        {{0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "DELETE /", "204 ", "fwd=method 204"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"4.4 an unknown method":                       {{0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "PURGE /", ok, "fwd=method"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"4.4 not by an error":                         {{0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "DELETE /", "404 ", "fwd=method 404"}, {0, "GET /", ok, "hit; ttl=60"}},
	"4.4 not by a safe method":                    {{0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "OPTIONS /", ok, "fwd=method"}, {0, "GET /", ok, "hit; ttl=60"}},
	"4.4 Location":                                {{0, "GET /a/b", ok, "fwd=uri-miss; stored"}, {0, "POST /a/", "201 |Location: b", "fwd=method 201"}, {0, "GET /a/b", ok, "fwd=uri-miss; stored"}, {0, "POST /a/", "201 |Content-Location: http://up/a/b", "fwd=method 201"}, {0, "GET /a/b", ok, "fwd=uri-miss; stored"}},
	"4.4 Location of another origin":              {{0, "GET /a", ok, "fwd=uri-miss; stored"}, {0, "POST /b", "201 |Location: http://other/a", "fwd=method 201"}, {0, "GET /a", ok, "hit; ttl=60"}},
	"4.4 another query":                           {{0, "GET /a?b", ok, "fwd=uri-miss; stored"}, {0, "POST /a", ok, "fwd=method"}, {0, "GET /a?b", ok, "hit; ttl=60"}},
	"5.2.1.1 max-age":                             {{0, "GET /", ok, "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-age=3", ok, "hit; ttl=57"}, {time.Second, "GET /|Cache-Control: max-age=3", ok, "fwd=request; stored"}},
	"5.2.1.2 max-stale":                           {{0, "GET /", ok + "|Cache-Control: max-age=1", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-stale=2", ok, "hit; ttl=-2"}, {0, "GET /|Cache-Control: max-stale", ok, "hit; ttl=-2"}, {0, "GET /|Cache-Control: max-stale=1", ok, "fwd=stale; stored"}},
	"5.2.1.3 min-fresh":                           {{0, "GET /", ok, "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: min-fresh=57", ok, "hit; ttl=57"}, {0, "GET /|Cache-Control: min-fresh=58", ok, "fwd=request; stored"}},
	"5.2.1.4 no-cache":                            {{0, "GET /", ok + "|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "GET /|Cache-Control: no-cache", "304 ", "fwd=request; fwd-status=304; ttl=60"}},
	"5.2.1.5 no-store":                            {{0, "GET /|Cache-Control: no-store", ok, "fwd=request"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"5.2.1.7 only-if-cached":                      {{0, "GET /|Cache-Control: only-if-cached", ok, "error"}, {0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "GET /|Cache-Control: only-if-cached", ok, "hit; ttl=60"}},
	"5.2.2.2 must-revalidate":                     {{0, "GET /", ok + "|Cache-Control: max-age=1, must-revalidate, stale-if-error=99, stale-while-revalidate=99", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-stale", "", "error"}},
	"5.2.2.4 no-cache":                            {{0, "GET /", ok + "|Cache-Control: no-cache, max-age=9|Etag: \"1\"", "fwd=uri-miss; stored"}, {0, "GET /", "304 ", "fwd=stale; fwd-status=304; ttl=9"}, {0, "GET /", "", "error"}},
	"5.2.2.4 no-cache without a validator":        {{0, "GET /", ok + "|Cache-Control: no-cache, max-age=9", "fwd=uri-miss"}},
	"5.2.2.8 proxy-revalidate":                    {{0, "GET /", ok + "|Cache-Control: max-age=1, proxy-revalidate", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-stale", "", "error"}},
	"5.2.2.10 s-maxage":                           {{0, "GET /", ok + "|Cache-Control: s-maxage=1", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-stale, stale-if-error=99", "", "error"}},
	"5.4 Pragma":                                  {{0, "GET /", ok, "fwd=uri-miss; stored"}, {0, "GET /|Pragma: no-cache", ok, "fwd=request; stored"}, {0, "GET /|Pragma: no-cache|Cache-Control: max-age=9", ok, "hit; ttl=60"}},
	"RFC 5861, 3 in the background":               {{0, "GET /", ok + "|Cache-Control: max-age=1, stale-while-revalidate=5|Etag: \"1\"", "fwd=uri-miss; stored"}, {soon, "GET /", "304 |Cache-Control: max-age=9", "hit; ttl=-2"}, {0, "GET /", ok, "hit; ttl=9"}},
	"RFC 5861, 3 too late":                        {{0, "GET /", ok + "|Cache-Control: max-age=1, stale-while-revalidate=5", "fwd=uri-miss; stored"}, {6 * time.Second, "GET /", ok, "fwd=stale; stored"}},
	"RFC 5861, 3 with s-maxage":                   {{0, "GET /", ok + "|Cache-Control: s-maxage=1, stale-while-revalidate=5", "fwd=uri-miss; stored"}, {soon, "GET /", "", "hit; ttl=-2"}},
	"RFC 5861, 4 after an error":                  {{0, "GET /", ok + "|Cache-Control: max-age=1, stale-if-error=5", "fwd=uri-miss; stored"}, {soon, "GET /", "503 ", "fwd=stale; fwd-status=503; ttl=-2; detail=stale-if-error"}, {0, "GET /", "", "fwd=stale; ttl=-2; detail=stale-if-error"}, {0, "GET /", "501 ", "fwd=stale 501"}, {4 * time.Second, "GET /", "", "error"}},
	"RFC 5861, 4 a fresh one that was not wanted": {{0, "GET /", ok + "|Cache-Control: max-age=60, stale-if-error=60", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: max-age=1", "", "error"}},
	"RFC 5861, 4 of the request":                  {{0, "GET /", ok + "|Cache-Control: max-age=1", "fwd=uri-miss; stored"}, {soon, "GET /|Cache-Control: stale-if-error=9", "500 ", "fwd=stale; fwd-status=500; ttl=-2; detail=stale-if-error"}},
	"a body is not part of the key":               {{0, "GET /|Content-Length: 1", ok, "fwd=bypass"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
	"a method in a header":                        {{0, "GET /|X-Http-Method-Override: DELETE", ok, "fwd=bypass"}, {0, "GET /", ok, "fwd=uri-miss; stored"}},
}

// TestSections runs the cases of sections.
func TestSections(t *testing.T) {
	for name, steps := range sections {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ttl := 60 * time.Second
				if strings.HasSuffix(name, "*") {
					ttl = 0
				}
				w := newWorld(t, Options{}, Policy{Scope: "s", TTL: ttl}, nil)
				for i, s := range steps {
					time.Sleep(s.after)
					w.answers(func(r *http.Request) (*http.Response, error) { return answerOf(s.answer, r) })
					parts := dated(strings.Split(s.send, "|"))
					explained := w.next.Explain(request(t, parts[0], parts[1:]...), "caller")
					got := w.send("caller", parts[0], parts[1:]...)
					synctest.Wait()
					have := got.x.Status
					switch {
					case got.err != nil:
						have = "error"
					case got.StatusCode != 200:
						have += " " + strconv.Itoa(got.StatusCode)
					}
					if have != s.want {
						t.Fatalf("step %d: %q, want %q (%v)", i+1, have, s.want, got.err)
					}
					if got.err == nil && !strings.HasPrefix(have, explained) && !strings.HasPrefix(have, "fwd=miss") {
						t.Errorf("step %d: %q, but explained was %q", i+1, have, explained)
					}
					if got.err == nil && got.Header.Get("Cache-Status") != "jobhub; "+got.x.Status {
						t.Errorf("step %d: Cache-Status: %q", i+1, got.Header["Cache-Status"])
					}
					if age, err := strconv.Atoi(got.age()); got.x.Hit && (err != nil || age < 0) {
						t.Errorf("step %d: Age: %q", i+1, got.age())
					}
					if strings.HasPrefix(s.send, "HEAD") && got.body != "" {
						t.Errorf("step %d: a body", i+1)
					}
				}
			})
		})
	}
}

func (r result) age() string {
	if r.Response == nil {
		return ""
	}
	return r.Header.Get("Age")
}

// dated replaces times in seconds from now.
func dated(lines []string) []string {
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Date", "Expires", "Last-Modified", "If-Modified-Since":
			if n, err := strconv.Atoi(value); err == nil && (value != "0" || name == "If-Modified-Since") {
				lines[i] = name + ": " + start.Add(time.Duration(n)*time.Second).Format(http.TimeFormat)
			}
		}
	}
	return lines
}

// start is when a bubble of synctest begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func answerOf(text string, r *http.Request) (*http.Response, error) {
	if text == "" {
		return nil, errors.New("the upstream is away")
	}
	parts := dated(strings.Split(text, "|"))
	code, body, _ := strings.Cut(parts[0], " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodHead {
		res := reply(status, "", parts[1:]...)
		res.ContentLength = int64(len(body))
		res.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return res, nil
	}
	return reply(status, body, parts[1:]...), nil
}

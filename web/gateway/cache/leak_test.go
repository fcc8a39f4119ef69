package cache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// echo answers with what it is asked and by whom.
func echo(lines ...string) upstream {
	return func(r *http.Request) (*http.Response, error) {
		body := r.URL.RequestURI()
		for _, name := range []string{"Cookie", "Authorization", "X-Api-Key", "X-User-Id", "X-Forwarded-Host", "X-Host", "Origin", "X-Forwarded-Proto", "Host"} {
			body += "|" + r.Header.Get(name)
		}
		return reply(200, body+"|"+r.Host, lines...), nil
	}
}

// TestCallers: an answer never reaches another caller, unless it is public (anchors A3, row 12).
func TestCallers(t *testing.T) {
	type ask struct {
		caller string
		lines  []string
	}
	for name, c := range map[string]struct {
		answer []string
		asks   [2]ask
		shared bool // the second one is given the answer to the first
		auth   bool // forward_auth
	}{
		"the same caller":            {nil, [2]ask{{"a", nil}, {"a", nil}}, true, false},
		"another caller":             {nil, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"another caller, max-age":    {[]string{"Cache-Control: max-age=60"}, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"another caller, s-maxage":   {[]string{"Cache-Control: s-maxage=60"}, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"another caller, public":     {[]string{"Cache-Control: public"}, [2]ask{{"a", nil}, {"b", nil}}, true, false},
		"public and private":         {[]string{"Cache-Control: public, private"}, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"public with a value":        {[]string{"Cache-Control: public=x"}, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"public in a quoted string":  {[]string{`Cache-Control: x="a, public, b"`}, [2]ask{{"a", nil}, {"b", nil}}, false, false},
		"public, with Set-Cookie":    {[]string{"Cache-Control: public", "Set-Cookie: a=b"}, [2]ask{{"a", nil}, {"a", nil}}, false, false},
		"another cookie":             {nil, [2]ask{{"a", []string{"Cookie: u=1"}}, {"a", []string{"Cookie: u=2"}}}, false, true},
		"another key for upstream":   {nil, [2]ask{{"a", []string{"X-Api-Key: 1"}}, {"a", []string{"X-Api-Key: 2"}}}, false, false},
		"another user of one caller": {nil, [2]ask{{"a", []string{"X-User-Id: 1"}}, {"a", []string{"X-User-Id: 2"}}}, false, false},
		"two values or one":          {nil, [2]ask{{"a", []string{"X-User-Id: 1", "X-User-Id: 2"}}, {"a", []string{"X-User-Id: 1, 2"}}}, false, false},
		"another agent":              {nil, [2]ask{{"a", []string{"User-Agent: 1"}}, {"a", []string{"User-Agent: 2"}}}, true, false},
		"Authorization":              {[]string{"Cache-Control: max-age=60"}, [2]ask{{"a", []string{"Authorization: x"}}, {"a", []string{"Authorization: x"}}}, false, true},
		"Authorization, public":      {[]string{"Cache-Control: public"}, [2]ask{{"a", []string{"Authorization: x"}}, {"b", []string{"Authorization: y"}}}, true, true},
		"Authorization, s-maxage":    {[]string{"Cache-Control: s-maxage=60"}, [2]ask{{"a", []string{"Authorization: x"}}, {"a", []string{"Authorization: x"}}}, true, true},
		"another Authorization":      {[]string{"Cache-Control: s-maxage=60"}, [2]ask{{"a", []string{"Authorization: x"}}, {"a", []string{"Authorization: y"}}}, false, true},
		"must-revalidate":            {[]string{"Cache-Control: must-revalidate, max-age=60"}, [2]ask{{"a", []string{"Authorization: x"}}, {"a", []string{"Authorization: x"}}}, true, true},
		"of the operator":            {nil, [2]ask{{"a", []string{"Authorization: x"}}, {"a", []string{"Authorization: x"}}}, true, false},
		"names that run together":    {nil, [2]ask{{"ab", nil}, {"a", []string{"X-User-Id: b"}}}, false, false},
	} {
		in(t, name, func(t *testing.T) {
			w := newWorld(t, Options{}, Policy{Scope: "r", TTL: time.Minute, ForwardAuth: c.auth}, echo(c.answer...))
			for i, a := range c.asks {
				got := w.send(a.caller, "GET /me", a.lines...)
				if got.err != nil {
					t.Fatal(got.err)
				}
				if i == 1 && got.x.Hit != c.shared {
					t.Errorf("%s: %q", got.x.Status, got.body)
				}
				if values := got.Header["Set-Cookie"]; len(values) > 0 && got.x.Hit {
					t.Errorf("%v", values)
				}
			}
		})
	}
	in(t, "no longer public", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "all", "Cache-Control: public, max-age=9"))
		w.send("a", "GET /")
		w.answers(always(200, "a's", "Cache-Control: max-age=9"))
		w.send("a", "GET /", "Cache-Control: no-cache")
		w.answers(always(200, "b's", "Cache-Control: max-age=9"))
		if got := w.send("b", "GET /"); got.body != "b's" {
			t.Errorf("%q", got.body)
		}
		if got := w.send("a", "GET /"); got.body != "a's" {
			t.Errorf("%q", got.body)
		}
	})
	for name, second := range map[string]string{"the newest, if it is public": "Cache-Control: public", "the newest, if it is not": "X: 1"} {
		in(t, name, func(t *testing.T) {
			first := map[bool]string{true: "X: 1", false: "Cache-Control: public"}[second == "Cache-Control: public"]
			w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "old", "Vary: A", first))
			w.send("a", "GET /", "A: 1")
			time.Sleep(time.Second)
			w.answers(always(200, "new", second)) // does not vary any more
			w.send("a", "GET /", "A: 2")
			if got := w.send("a", "GET /", "A: 1"); got.body != "new" || !got.x.Hit {
				t.Errorf("%q %s", got.body, got.x.Status)
			}
		})
	}
	in(t, "a 304 that is public no longer", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{}, always(200, "all", "Cache-Control: public, max-age=1", `Etag: "1"`))
		w.send("a", "GET /")
		time.Sleep(2 * time.Second)
		w.answers(always(304, "", "Cache-Control: max-age=9"))
		w.send("a", "GET /")
		w.answers(always(200, "b's", "Cache-Control: max-age=9"))
		if got := w.send("b", "GET /"); got.body != "b's" {
			t.Errorf("%q %s", got.body, got.x.Status)
		}
	})
	in(t, "an unknown caller", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "a", "Cache-Control: public"))
		for range 2 {
			if res, err := w.next.RoundTrip(request(t, "GET /")); err != nil || res.Header.Get("Cache-Status") != "" {
				t.Error(err)
			}
		}
		if w.sent() != 2 {
			t.Errorf("%d requests", w.sent())
		}
	})
	in(t, "another route", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{Scope: "one", TTL: time.Minute}, always(200, "a", "Cache-Control: public"))
		w.send("a", "GET /")
		w.next = w.cache.Transport(w.next.next, Policy{Scope: "two", TTL: time.Minute})
		if got := w.send("a", "GET /"); got.x.Hit {
			t.Error("given to another route")
		}
		w.answers(always(204, ""))
		w.send("a", "DELETE /") // of any route
		w.next = w.cache.Transport(w.next.next, Policy{Scope: "one", TTL: time.Minute})
		if got := w.send("a", "GET /"); got.x.Hit {
			t.Error("still valid")
		}
	})
	in(t, "Set-Cookie of a 304 is for who asked alone", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{}, always(200, "a", "Cache-Control: max-age=1", `Etag: "1"`))
		w.send("a", "GET /")
		time.Sleep(2 * time.Second)
		w.answers(slowly(time.Second, always(304, "", "Cache-Control: max-age=9", "Set-Cookie: a=b")))
		for i, got := range w.crowd(3, "a", "GET /") {
			if (got.Header.Get("Set-Cookie") != "") != (i == 0) || got.body != "a" {
				t.Errorf("%d: %v", i, got.Header)
			}
		}
	})
}

// TestPoison: no header or path of one caller changes what another one gets of a public answer.
func TestPoison(t *testing.T) {
	for _, line := range []string{"X-Forwarded-Host: evil", "X-Forwarded-Proto: evil", "X-Forwarded-Prefix: /evil", "X-Forwarded-Port: 1", "X-Host: evil", "X-HTTP-Host-Override: evil",
		"X-Original-Url: /evil", "X-Original-Host: evil", "X-Rewrite-Url: /evil", "Forwarded: host=evil", "Origin: http://evil", "X-Url-Scheme: evil", "Front-End-Https: on",
		"X-Http-Method-Override: DELETE", "X-Method-Override: DELETE", "X-Http-Method: DELETE", "Range: bytes=0-0", "Content-Length: 4"} {
		in(t, line, func(t *testing.T) {
			w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(r *http.Request) (*http.Response, error) {
				return reply(200, fmt.Sprint(len(r.Header)+int(r.ContentLength)), "Cache-Control: public"), nil
			})
			w.send("evil", "GET /", line)
			if got := w.send("good", "GET /"); got.body != "0" {
				t.Errorf("poisoned: %s", got.x.Status)
			}
			w.send("evil", "GET /", line)
			if got := w.send("good", "GET /"); got.body != "0" || !got.x.Hit {
				t.Errorf("displaced: %q %s", got.body, got.x.Status)
			}
		})
	}
	in(t, "Host", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, echo("Cache-Control: public"))
		r := request(t, "GET /")
		r.Host = "evil"
		res, err := w.next.RoundTrip(r.WithContext(With(t.Context(), &Exchange{Caller: "evil"})))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); !strings.HasSuffix(string(b), "|evil") || w.cache.Stats().Stored != 1 {
			t.Fatalf("%s %v", b, err)
		}
		res.Body.Close()
		if got := w.send("good", "GET /"); strings.Contains(got.body, "evil") {
			t.Errorf("%q", got.body)
		}
	})
	in(t, "paths", func(t *testing.T) { // each one is its own, byte for byte; and nothing depends on an extension
		paths := []string{"/me", "/me/", "/me/x.css", "/me;x.css", "/me%2fx.css", "/me%2Fx.css", "/me%00.css", "/ME", "/me?", "/me?a=1&b=2", "/me?b=2&a=1", "/me?a=1;b=2", "/me?%61=1&b=2", "//me", "/./me", "/x/../me", "/x/%2e%2e/me", "/me%3fx.css", "/me%23x.css", "/m%65"}
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, echo("Cache-Control: public"))
		for _, path := range paths {
			if got := w.send("a", "GET "+path); got.x.Hit || !strings.HasPrefix(got.body, path+"|") {
				t.Errorf("%s: %s, %q", path, got.x.Status, got.body)
			}
		}
		for _, path := range paths {
			if got := w.send("b", "GET "+path); !got.x.Hit || !strings.HasPrefix(got.body, path+"|") {
				t.Errorf("%s: %s, %q", path, got.x.Status, got.body)
			}
		}
	})
	in(t, "web cache deception", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(r *http.Request) (*http.Response, error) {
			return reply(200, "secrets of the victim"), nil // whatever follows /me
		})
		w.send("victim", "GET /me/style.css")
		if got := w.send("evil", "GET /me/style.css"); got.x.Hit {
			t.Errorf("%q", got.body)
		}
	})
	in(t, "an error to a malformed request", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "good", "Cache-Control: public"))
		w.send("good", "GET /")
		w.answers(always(400, "bad"))
		w.send("evil", "GET /", "Cache-Control: no-cache", "X-Bad: \\")
		if got := w.send("good", "GET /"); got.body != "good" || !got.x.Hit {
			t.Errorf("%q %s", got.body, got.x.Status)
		}
	})
	in(t, "callers cannot change what is stored", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "good", "A: 1", "Vary: b"))
		for range 3 {
			got := w.send("a", "GET /")
			if got.Header.Get("A") != "1" || len(got.Header["Vary"]) != 1 || len(got.Header["Cache-Status"]) != 1 {
				t.Fatalf("%v", got.Header)
			}
			got.Header.Set("A", "2")
			got.Header.Add("Vary", "Origin")
			got.Header.Add("Cache-Status", "x")
			synctest.Wait()
		}
	})
}

// TestOneConnection: headers of one connection are not stored.
func TestOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, always(200, "a", "Connection: X-Hop, close", "X-Hop: 1", "Keep-Alive: 1", "Proxy-Authenticate: x", "X-End: 1", "Cache-Status: other; hit"))
		w.send("a", "GET /")
		got := w.send("a", "GET /")
		for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Authenticate"} {
			if got.Header.Get(name) != "" {
				t.Errorf("%s: %s", name, got.Header.Get(name))
			}
		}
		if got.Header.Get("X-End") != "1" || strings.Join(got.Header["Cache-Status"], ", ") != "other; hit, jobhub; hit; ttl=60" {
			t.Errorf("%v", got.Header)
		}
	})
}

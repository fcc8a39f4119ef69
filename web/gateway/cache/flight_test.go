package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowly makes an upstream that waits before its answers.
func slowly(d time.Duration, do upstream) upstream {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return do(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func always(status int, body string, lines ...string) upstream {
	return func(*http.Request) (*http.Response, error) { return reply(status, body, lines...), nil }
}

// crowd sends n equal requests at once; the first one is first. callers is a format for their names.
func (w *world) crowd(n int, callers, line string, lines ...string) []result {
	got := make([]result, n)
	var all sync.WaitGroup
	for i := range n {
		caller := callers
		if strings.Contains(callers, "%") {
			caller = fmt.Sprintf(callers, i)
		}
		all.Go(func() { got[i] = w.send(caller, line, lines...) })
		synctest.Wait()
	}
	all.Wait()
	return got
}

func in(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// TestCollapse: equal requests at the same time make one request to the upstream.
func TestCollapse(t *testing.T) {
	const n = 1000
	in(t, "one for all", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(time.Second, always(200, "a")))
		from := time.Now()
		for i, got := range w.crowd(n, "x", "GET /") {
			if got.body != "a" || got.err != nil || strings.Contains(got.x.Status, "collapsed") != (i > 0) {
				t.Fatalf("%d: %q %v %s", i, got.body, got.err, got.x.Status)
			}
		}
		if w.sent() != 1 || time.Since(from) != time.Second {
			t.Errorf("%d requests in %s", w.sent(), time.Since(from))
		}
		if s := w.cache.Stats(); s.Collapsed != n-1 || s.Misses != 1 || s.Stored != 1 || s.Entries != 1 {
			t.Errorf("%+v", s)
		}
	})
	for name, c := range map[string]struct {
		do      upstream
		callers string
		line    []string
		want    string
	}{
		"an answer that is not stored": {always(200, "a", "Cache-Control: no-store"), "x", nil, "a"},
		"another error":                {always(500, "b"), "x", nil, "b"},
		"no answer":                    {func(*http.Request) (*http.Response, error) { return nil, errors.New("away") }, "x", nil, ""},
		"other callers":                {always(200, "a"), "x%d", nil, "a"},
		"one that must be validated":   {always(200, "a", "Cache-Control: no-cache", `Etag: "1"`), "x", nil, "a"},
		"requests with no-cache":       {always(200, "a"), "x", []string{"Cache-Control: no-cache"}, "a"},
	} {
		in(t, name, func(t *testing.T) {
			w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(time.Second, c.do))
			from := time.Now()
			for i, got := range w.crowd(n, c.callers, "GET /", c.line...) {
				if got.body != c.want || c.want == "" && got.err == nil {
					t.Fatalf("%d: %q %v", i, got.body, got.err)
				}
			}
			most := 2 * time.Second // the others at once, not one after another
			if c.line != nil || strings.Contains(c.callers, "%") {
				most = time.Second // they do not wait at all
			}
			if w.sent() != n || time.Since(from) > most {
				t.Errorf("%d requests in %s", w.sent(), time.Since(from))
			}
		})
	}
	in(t, "what is not stored is not waited for again", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(time.Second, always(200, "a", "Cache-Control: private")))
		w.send("x", "GET /")
		from := time.Now()
		w.crowd(10, "x", "GET /")
		if w.sent() != 11 || time.Since(from) != time.Second {
			t.Errorf("%d requests in %s", w.sent(), time.Since(from))
		}
		if s := w.cache.Stats(); s.Entries != 1 || s.Bytes != entryCost {
			t.Errorf("%+v", s)
		}
	})
	in(t, "what was public once is expected to be public", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{}, slowly(time.Second, always(200, "a", "Cache-Control: public, max-age=5")))
		w.send("x", "GET /")
		time.Sleep(time.Minute)
		w.crowd(n, "y%d", "GET /")
		if w.sent() != 2 {
			t.Errorf("%d requests", w.sent())
		}
		time.Sleep(time.Minute)
		w.answers(slowly(time.Second, always(200, "mine", "Cache-Control: max-age=5")))
		w.crowd(n, "y%d", "GET /")
		if w.sent() != 2+n {
			t.Errorf("%d requests, as the answer is no longer public", w.sent())
		}
	})
	in(t, "variants", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(time.Second, func(r *http.Request) (*http.Response, error) {
			return reply(200, r.Header.Get("Accept-Language"), "Vary: Accept-Language"), nil
		}))
		for range 2 {
			var all sync.WaitGroup
			for i := range 30 {
				all.Go(func() {
					lang := string(rune('a' + i%3))
					if got := w.send("x", "GET /", "Accept-Language: "+lang); got.body != lang {
						t.Errorf("%q for %q", got.body, lang)
					}
				})
			}
			all.Wait()
			time.Sleep(2 * time.Minute)
		}
		if w.sent() > 30+3 { // at first nobody knows that they vary
			t.Errorf("%d requests", w.sent())
		}
	})
	in(t, "validated for all", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{}, always(200, "a", "Cache-Control: max-age=1", `Etag: "1"`))
		w.send("x", "GET /")
		time.Sleep(2 * time.Second)
		w.answers(slowly(time.Second, always(304, "", "Cache-Control: max-age=9")))
		for _, got := range w.crowd(n, "x", "GET /") {
			if got.body != "a" || got.StatusCode != 200 {
				t.Fatalf("%q %v", got.body, got.err)
			}
		}
		if w.sent() != 2 || w.last().Header.Get("If-None-Match") != `"1"` {
			t.Errorf("%d requests, %v", w.sent(), w.last().Header)
		}
	})
	in(t, "stale for all", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{}, always(200, "a", "Cache-Control: max-age=1, stale-while-revalidate=60"))
		w.send("x", "GET /")
		time.Sleep(2 * time.Second)
		w.answers(slowly(time.Second, always(200, "b", "Cache-Control: max-age=9")))
		from := time.Now()
		for _, got := range w.crowd(n, "x", "GET /") {
			if got.body != "a" {
				t.Fatalf("%q %v", got.body, got.err)
			}
		}
		if w.sent() != 2 || time.Since(from) != 0 {
			t.Errorf("%d requests in %s", w.sent(), time.Since(from))
		}
		time.Sleep(2 * time.Second)
		if got := w.send("x", "GET /"); got.body != "b" || w.sent() != 2 {
			t.Errorf("%q after %d requests", got.body, w.sent())
		}
	})
}

// TestClientLeaves: a client that leaves ends what only it was waiting for, and nothing else.
func TestClientLeaves(t *testing.T) {
	in(t, "before the answer", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(10*time.Second, always(200, "a")))
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if got := w.sendIn(ctx, "x", "GET /"); !errors.Is(got.err, context.Canceled) {
				t.Errorf("%v", got.err)
			}
		})
		synctest.Wait()
		for range 5 {
			all.Go(func() {
				if got := w.send("x", "GET /"); got.body != "a" {
					t.Errorf("%q %v", got.body, got.err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if w.sent() != 2 || w.seen[0].Context().Err() == nil {
			t.Errorf("%d requests, want that of the one who left and one for all others", w.sent())
		}
	})
	in(t, "one that waits", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(10*time.Second, always(200, "a")))
		var all sync.WaitGroup
		all.Go(func() {
			if got := w.send("x", "GET /"); got.body != "a" {
				t.Errorf("%q %v", got.body, got.err)
			}
		})
		synctest.Wait()
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		from := time.Now()
		if got := w.sendIn(ctx, "x", "GET /"); !errors.Is(got.err, context.DeadlineExceeded) || time.Since(from) != time.Second {
			t.Errorf("%v after %s", got.err, time.Since(from))
		}
		all.Wait()
	})
	for name, length := range map[string]int64{"amid the body": 4, "amid a body of unknown length": -1} {
		in(t, name, func(t *testing.T) {
			res, body := pipe(200, length)
			w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) { return res, nil })
			ctx, leave := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { w.sendIn(ctx, "x", "GET /") })
			synctest.Wait()
			all.Go(func() {
				if got := w.send("x", "GET /"); got.body != "abcd" || got.err != nil {
					t.Errorf("%q %v", got.body, got.err)
				}
			})
			body.Write([]byte("ab"))
			synctest.Wait()
			leave()
			synctest.Wait()
			body.Write([]byte("cd"))
			body.Close()
			all.Wait()
			if got := w.send("x", "GET /"); got.body != "abcd" || !got.x.Hit || w.sent() != 1 {
				t.Errorf("%q %s, %d requests", got.body, got.x.Status, w.sent())
			}
		})
	}
	in(t, "the last one", func(t *testing.T) {
		res, body := pipe(200, 4)
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(r *http.Request) (*http.Response, error) {
			context.AfterFunc(r.Context(), func() { body.CloseWithError(context.Canceled) })
			return res, nil
		})
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan result)
		go func() { done <- w.sendIn(ctx, "x", "GET /") }()
		body.Write([]byte("ab"))
		leave()
		if got := <-done; !errors.Is(got.err, context.Canceled) {
			t.Errorf("%v", got.err)
		}
		synctest.Wait()
		if s := w.cache.Stats(); s.Entries != 0 || w.last().Context().Err() == nil || w.cache.arriving.Load() != 0 || len(w.cache.resources) != 0 || len(w.cache.flights) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestInvalidatedMeanwhile: an answer that was on its way when its URI became invalid is given to
// who asked before, and not stored.
func TestInvalidatedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, slowly(2*time.Second, always(200, "old")))
		done := make(chan result)
		go func() { done <- w.send("x", "GET /") }()
		time.Sleep(time.Second)
		w.answers(always(204, ""))
		w.send("y", "PUT /")
		w.answers(always(200, "new"))
		if got := w.send("x", "GET /"); got.body != "new" {
			t.Errorf("%q", got.body)
		}
		if got := <-done; got.body != "old" {
			t.Errorf("%q", got.body)
		}
		synctest.Wait()
		if got := w.send("x", "GET /"); got.body != "new" || !got.x.Hit {
			t.Errorf("%q %s", got.body, got.x.Status)
		}
	})
}

// TestPanic: a panic of the next transport goes to its own request, and the others go on.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, nil)
		w.answers(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			w.answers(always(200, "a"))
			panic("a fault")
		})
		go func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			w.send("x", "GET /")
		}()
		synctest.Wait()
		if got := w.send("x", "GET /"); got.body != "a" {
			t.Errorf("%q %v", got.body, got.err)
		}
	})
}

// TestClose: revalidations in the background end with the cache, and there are never too many.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Revalidate: time.Hour}, Policy{}, always(200, "a", "Cache-Control: max-age=1, stale-while-revalidate=99"))
		for i := range 2 * maxBackground {
			w.send("x", fmt.Sprint("GET /", i))
		}
		time.Sleep(2 * time.Second)
		w.answers(slowly(time.Hour, always(200, "b")))
		for i := range 2 * maxBackground {
			if got := w.send("x", fmt.Sprint("GET /", i)); got.body != "a" {
				t.Errorf("%q %v", got.body, got.err)
			}
		}
		synctest.Wait()
		if w.sent() != 3*maxBackground {
			t.Errorf("%d requests", w.sent())
		}
		from := time.Now()
		w.cache.Close()
		if time.Since(from) != 0 || w.last().Context().Err() == nil {
			t.Errorf("closed after %s", time.Since(from))
		}
		if got := w.send("x", "GET /0"); got.body != "a" || w.sent() != 3*maxBackground {
			t.Errorf("%q %v, %d requests", got.body, got.err, w.sent())
		}
	})
}

// TestRevalidateDeadline: a revalidation in the background has a deadline.
func TestRevalidateDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Revalidate: time.Minute}, Policy{}, always(200, "a", "Cache-Control: max-age=1, stale-while-revalidate=9999"))
		w.send("x", "GET /")
		time.Sleep(2 * time.Second)
		res, body := pipe(200, -1, "Cache-Control: max-age=1")
		w.answers(func(r *http.Request) (*http.Response, error) {
			context.AfterFunc(r.Context(), func() { body.CloseWithError(r.Context().Err()) })
			return res, nil
		})
		w.send("x", "GET /")
		time.Sleep(59 * time.Second)
		if w.last().Context().Err() != nil {
			t.Error("too early")
		}
		time.Sleep(2 * time.Second)
		if w.last().Context().Err() == nil {
			t.Error("it goes on")
		}
		got := w.send("x", "GET /")
		synctest.Wait()
		if got.body != "a" || w.sent() != 3 {
			t.Errorf("%q, %d requests", got.body, w.sent())
		}
	})
}

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a body that a test writes.
func pipe(status int, length int64, lines ...string) (*http.Response, *io.PipeWriter) {
	from, to := io.Pipe()
	res := reply(status, "", lines...)
	res.Header.Del("Content-Length")
	res.Body, res.ContentLength = from, length
	if length < 0 {
		res.TransferEncoding = []string{"chunked"}
	} else {
		res.Header.Set("Content-Length", fmt.Sprint(length))
	}
	return res, to
}

// TestStream: the client of a miss gets each byte as it comes, and a slow client delays nobody.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, body := pipe(200, -1)
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) { return res, nil })
		x := Exchange{Caller: "x"}
		got, err := w.next.RoundTrip(request(t, "GET /").WithContext(With(t.Context(), &x)))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		for i := range 100 {
			go fmt.Fprintf(body, "%03d", i)
			if n, err := got.Body.Read(b); string(b[:n]) != fmt.Sprintf("%03d", i) || err != nil {
				t.Fatalf("%q %v", b[:n], err)
			}
		}
		go func() { // the upstream is not held up by a client that reads nothing
			body.Write(make([]byte, 500<<10))
			body.Close()
		}()
		synctest.Wait()
		if second := w.send("x", "GET /"); !second.x.Hit || len(second.body) != 300+500<<10 {
			t.Errorf("%d bytes, %s", len(second.body), second.x.Status)
		}
		rest, err := io.ReadAll(got.Body)
		if len(rest) != 500<<10 || err != nil {
			t.Errorf("%d bytes, %v", len(rest), err)
		}
		got.Body.Close()
	})
}

// TestBounds: what is too large is passed on whole and not stored, and what broke off is not
// stored.
func TestBounds(t *testing.T) {
	const max = 100 << 10
	big := strings.Repeat("0123456789abcdef", max/16)
	for name, c := range map[string]struct {
		body    string
		length  int64 // announced; below zero for chunks
		end     error
		proto10 bool
		stored  bool
	}{
		"as large as may be":               {big, max, nil, false, true},
		"as large as may be, in chunks":    {big, -1, nil, false, true},
		"too large":                        {big + "x", max + 1, nil, false, false},
		"too large, in chunks":             {big + "x", -1, nil, false, false},
		"much too large, in chunks":        {strings.Repeat(big, 30), -1, nil, false, false},
		"broken off":                       {"abc", 5, io.ErrUnexpectedEOF, false, false},
		"broken off, in chunks":            {"abc", -1, errors.New("reset"), false, false},
		"too short":                        {"abc", 5, nil, false, false},
		"ends with its connection":         {"abc", -1, nil, true, false},
		"broken off after what was stored": {strings.Repeat(big, 2), -1, errors.New("reset"), false, false},
		"empty":                            {"", 0, nil, false, true},
	} {
		in(t, name, func(t *testing.T) {
			w := newWorld(t, Options{EntryBytes: max}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) {
				res, body := pipe(200, c.length)
				if c.proto10 {
					res.TransferEncoding = nil
				}
				go func() {
					io.WriteString(body, c.body)
					body.CloseWithError(c.end)
				}()
				return res, nil
			})
			broken := c.end != nil || c.length > int64(len(c.body))
			for i := range 2 {
				got := w.send("x", "GET /")
				if got.body != c.body || (got.err != nil) != broken {
					t.Errorf("%d bytes, %v", len(got.body), got.err)
				}
				if got.x.Hit != (c.stored && i == 1) {
					t.Errorf("request %d: %s", i, got.x.Status)
				}
			}
			synctest.Wait()
			if n := w.cache.arriving.Load(); n != 0 {
				t.Errorf("%d bytes are still on their way", n)
			}
		})
	}
	in(t, "a crowd and a large one in chunks", func(t *testing.T) {
		w := newWorld(t, Options{EntryBytes: max}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) {
			res, body := pipe(200, -1)
			go func() {
				time.Sleep(time.Second)
				io.WriteString(body, big+big)
				body.Close()
			}()
			return res, nil
		})
		for _, got := range w.crowd(10, "x", "GET /") {
			if len(got.body) != 2*max || got.err != nil {
				t.Errorf("%d bytes, %v", len(got.body), got.err)
			}
		}
	})
	in(t, "a crowd does not wait for a slow body for ever", func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) {
			res, body := pipe(200, -1)
			go func() {
				time.Sleep(time.Hour)
				body.Close()
			}()
			return res, nil
		})
		go w.send("x", "GET /")
		synctest.Wait()
		from := time.Now()
		x := Exchange{Caller: "x"}
		got, err := w.next.RoundTrip(request(t, "GET /").WithContext(With(t.Context(), &x)))
		if err != nil || time.Since(from) != 2*time.Second {
			t.Fatalf("%v after %s", err, time.Since(from))
		}
		got.Body.Close()
		time.Sleep(2 * time.Hour)
	})
	in(t, "memory for answers on their way", func(t *testing.T) {
		w := newWorld(t, Options{Bytes: 256 << 10, EntryBytes: 64 << 10}, Policy{TTL: time.Minute}, nil)
		var bodies []*io.PipeWriter
		w.answers(func(*http.Request) (*http.Response, error) {
			res, body := pipe(200, 40<<10)
			bodies = append(bodies, body)
			return res, nil
		})
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if got := w.send("x", fmt.Sprint("GET /", i)); len(got.body) != 40<<10 {
					t.Errorf("%d bytes, %v", len(got.body), got.err)
				}
			})
			synctest.Wait()
		}
		if n := w.cache.arriving.Load(); n > 64<<10 {
			t.Errorf("%d bytes are on their way", n)
		}
		for _, body := range bodies {
			body.Write(make([]byte, 40<<10))
			body.Close()
		}
		all.Wait()
	})
}

// TestTooLarge: an answer that turned out too large is no longer expected to fit.
func TestTooLarge(t *testing.T) {
	large := func(*http.Request) (*http.Response, error) {
		res, body := pipe(200, -1)
		go func() {
			time.Sleep(time.Second)
			io.WriteString(body, strings.Repeat("x", 10000))
			body.Close()
		}()
		return res, nil
	}
	in(t, "requests are not collapsed for a while", func(t *testing.T) {
		w := newWorld(t, Options{EntryBytes: 9999}, Policy{TTL: time.Minute}, large)
		w.send("x", "GET /")
		from := time.Now()
		w.crowd(5, "x", "GET /")
		if time.Since(from) != time.Second || w.sent() != 6 {
			t.Errorf("%d requests in %s", w.sent(), time.Since(from))
		}
	})
	in(t, "the one before is forgotten", func(t *testing.T) {
		w := newWorld(t, Options{EntryBytes: 9999}, Policy{TTL: time.Minute}, always(200, "a", "Cache-Control: max-age=1, stale-if-error=99"))
		w.send("x", "GET /")
		time.Sleep(2 * time.Second)
		w.answers(large)
		w.send("x", "GET /")
		w.answers(func(*http.Request) (*http.Response, error) { return nil, errors.New("away") })
		if got := w.send("x", "GET /"); got.err == nil {
			t.Errorf("%q", got.body)
		}
	})
	in(t, "after its first client has left", func(t *testing.T) {
		res, body := pipe(200, -1)
		closed := &closes{ReadCloser: res.Body}
		res.Body = closed
		w := newWorld(t, Options{EntryBytes: 9999}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) { return res, nil })
		ctx, leave := context.WithCancel(t.Context())
		go w.sendIn(ctx, "x", "GET /")
		synctest.Wait()
		done := make(chan result)
		go func() { done <- w.send("x", "GET /") }()
		synctest.Wait()
		leave()
		synctest.Wait()
		w.answers(always(200, "b"))
		io.WriteString(body, strings.Repeat("x", 10000))
		if got := <-done; got.body != "b" {
			t.Errorf("%d bytes, %v", len(got.body), got.err)
		}
		synctest.Wait()
		if !closed.closed.Load() {
			t.Error("nobody closes the body")
		}
	})
}

// closes is a body that knows whether it was closed.
type closes struct {
	io.ReadCloser
	closed atomic.Bool
}

func (c *closes) Close() error {
	c.closed.Store(true)
	return c.ReadCloser.Close()
}

// TestTrailer: an answer with a trailer is passed on with it, and not stored.
func TestTrailer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{}, Policy{TTL: time.Minute}, func(*http.Request) (*http.Response, error) {
			res := reply(200, "a")
			res.Trailer = http.Header{"X-Sum": {"1"}}
			return res, nil
		})
		for range 2 {
			if got := w.send("x", "GET /"); got.x.Status != "fwd=uri-miss" || got.Trailer.Get("X-Sum") != "1" {
				t.Errorf("%s %v", got.x.Status, got.Trailer)
			}
		}
	})
}

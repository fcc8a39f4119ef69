package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errLate = errors.New("late")

// guarded serves within Guard: paths say what becomes of the body.
func guarded(w http.ResponseWriter, r *http.Request) {
	w, r, done := Guard(w, r, stall, errLate)
	switch r.URL.Path {
	case "/read":
		body, err := io.ReadAll(r.Body)
		if errors.Is(err, errLate) {
			w.WriteHeader(http.StatusRequestTimeout)
		}
		fmt.Fprintf(w, "%d", len(body))
	case "/ignore":
		io.WriteString(w, "ignored")
	case "/silent":
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
	done()
}

func post(path string, length int, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, length, body)
}

// TestBodyThatStops: a body that stops ends its connection, whatever waits for it.
func TestBodyThatStops(t *testing.T) {
	for name, test := range map[string]struct {
		bytes, status string
		within        time.Duration
	}{
		"read":            {post("/read", 100_000, "x"), "408", stall},
		"read, no byte":   {post("/read", 5, ""), "408", stall},
		"read, chunked":   {"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "408", stall},
		"in a chunk size": {"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5", "408", stall},
		"in a trailer":    {"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\nA: ", "408", stall},
		"ignored":         {post("/ignore", 100, "x"), "200", stall},
		"nothing said":    {post("/silent", 100, "x"), "200", stall},
		"refused":         {post("/", 100_000, "x"), "401", 0},
		"refused, huge":   {post("/", 1<<40, "x"), "401", 0},
		"refused, small":  {post("/", 5, "x"), "401", 0},
		"refused, unsent": {strings.Replace(post("/", 100_000, ""), "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1), "401", 0},
		"refused, chunks": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "401", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := open(t, Options{}, guarded)
				from := time.Now()
				answer := d.ask(d.dial("203.0.113.1"), test.bytes)
				if took := time.Since(from); !strings.HasPrefix(answer, "HTTP/1.1 "+test.status) || strings.Count(answer, "HTTP/1.1") != 1 || took < test.within || took > test.within+time.Second {
					t.Errorf("%q, closed after %s, want %s after %s", answer, took, test.status, test.within)
				}
				if synctest.Wait(); d.Count() != 0 {
					t.Error("the connection stays")
				}
			})
		})
	}
}

// A body that comes slowly is awaited, whatever it is cut into.
func TestBodyThatComesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Options{}, guarded)
		for _, request := range []string{post("/read", 20, strings.Repeat("x", 20)), "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n014\r\n" + strings.Repeat("x", 20) + "\r\n0\r\n\r\n"} {
			c := d.dial("203.0.113.1")
			head, body, _ := strings.Cut(request, "\r\n\r\n")
			io.WriteString(c, head+"\r\n\r\n")
			for i := range len(body) {
				time.Sleep(stall - time.Second)
				if _, err := io.WriteString(c, body[i:i+1]); err != nil {
					t.Fatalf("%v after %d bytes", err, i)
				}
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(res.Body); string(text) != "20" || err != nil || res.Close {
				t.Errorf("%q %v, closed: %v", text, err, res.Close)
			}
		}
	})
}

// A connection that need not be closed is used again, also after a long time.
func TestConnectionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Options{}, guarded)
		c := d.dial("203.0.113.1")
		answers := bufio.NewReader(c)
		for _, path := range []string{"/read", "/ignore", "/silent", "/read"} {
			go io.WriteString(c, post(path, 5, "hello"))
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(path, err)
			}
			if _, err := io.ReadAll(res.Body); err != nil || res.Close || res.StatusCode != 200 {
				t.Errorf("%s: %d %v, closed: %v", path, res.StatusCode, err, res.Close)
			}
			time.Sleep(stall + time.Minute)
		}
	})
}

// A long answer may wait for an event for as long as it takes, after its body was read or not.
func TestLongPollIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
			w, r, done := Guard(w, r, stall, errLate)
			if r.URL.Path == "/read" {
				io.ReadAll(r.Body)
			} else {
				w.WriteHeader(http.StatusOK)
				http.NewResponseController(w).Flush()
			}
			select {
			case <-time.After(time.Hour):
				io.WriteString(w, "at last")
			case <-r.Context().Done():
				t.Error("given up")
			}
			done()
		})
		for _, path := range []string{"/read", "/begun"} {
			request := strings.Replace(post(path, 5, "hello"), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
			if answer := d.ask(d.dial("203.0.113.1"), request); !strings.Contains(answer, "at last") {
				t.Errorf("%s: %q", path, answer)
			}
		}
	})
}

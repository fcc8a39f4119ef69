package call

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestAnswerKept(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte("hello"))
	z.Close()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{"Content-Type": "text/plain", "Content-Encoding": "gzip", "Connection": "X-Private, x-other", "X-Private": "1",
			"X-Other": "1", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "Basic", "Upgrade": "h2c", "X-Kept": "yes", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"} {
			w.Header().Set(name, value)
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		w.WriteHeader(http.StatusCreated)
		w.Write(zipped.Bytes())
		w.Header().Set("X-Sum", "1")
	})
	res, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if res.Response.Status != 201 || !bytes.Equal(res.Response.Body, zipped.Bytes()) {
		t.Errorf("got %d %q", res.Response.Status, res.Response.Body)
	}
	want := []string{"Content-Encoding", "Content-Type", "Date", "Set-Cookie", "X-Kept"}
	if got := slices.Sorted(maps.Keys(res.Response.Header)); !slices.Equal(got, want) {
		t.Errorf("kept headers %v, want %v", got, want)
	}
	if got := res.Response.Header["Set-Cookie"]; len(got) != 2 {
		t.Errorf("kept cookies %q", got)
	}
}

func TestAnswerWithoutBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "99999999")
		if r.Method != "HEAD" {
			w.Header().Del("Content-Length")
			w.WriteHeader(http.StatusNoContent)
		}
	})
	c := newCaller(Options{Allow: loopback, MaxBody: 10})
	for _, method := range []string{"HEAD", "GET"} {
		if res, err := attempt(t, c, map[string]any{"url": s.URL, "method": method}); err != nil || len(res.Response.Body) != 0 {
			t.Errorf("%s: %+v %v", method, res.Response, err)
		}
	}
}

func TestAnswerTooLarge(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fits":
			w.Write(make([]byte, 100_000))
		case "/over":
			w.Write(make([]byte, 100_001))
		case "/endless":
			w.Header().Set("Content-Type", "application/x-ndjson")
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}
	})
	c := newCaller(Options{Allow: loopback, MaxBody: 100_000})
	res, err := attempt(t, c, map[string]any{"url": s.URL + "/fits"})
	if err != nil || len(res.Response.Body) != 100_000 {
		t.Errorf("at the limit: %v", err)
	}
	for _, path := range []string{"/over", "/endless"} {
		res, err := attempt(t, c, map[string]any{"url": s.URL + path + "?s3cret"})
		if mustFail(t, err, jobs.TooLarge, true); res.Response != nil {
			t.Errorf("%s: part of an answer was kept", path)
		}
	}
}

func TestAnswerIncomplete(t *testing.T) {
	for name, answer := range map[string]func(*net.TCPConn){
		"nothing":      func(*net.TCPConn) {},
		"not HTTP":     func(c *net.TCPConn) { io.WriteString(c, "220 s3cret ESMTP\r\n") },
		"long headers": func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("s3cret", 100_000)) },
		"short body":   func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ns3cret") },
		"two lengths": func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		},
		"broken chunks": func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\ns3cret")
		},
		"reset": func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
			c.SetLinger(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := raw(t, answer)
			res, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": url + "/?s3cret", "body": "x"})
			if mustFail(t, err, egress.UpstreamUnreachable, false); res.Response != nil {
				t.Errorf("part of an answer was kept: %+v", res.Response)
			}
		})
	}
	switched := raw(t, func(c *net.TCPConn) {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		io.Copy(io.Discard, c)
	})
	_, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": switched})
	mustFail(t, err, egress.UpstreamStatus, true)
}

func TestStreamingAnswer(t *testing.T) {
	for media, streaming := range map[string]bool{"text/event-stream; charset=utf-8": true, "application/x-ndjson": true, "Application/NDJSON": true,
		"application/jsonl": true, "application/jsonlines": true, "application/x-jsonlines; charset=utf-8": true, "application/stream+json": true, "application/json-seq": true,
		"application/x-jsonl": true, "application/json": false, "application/problem+json": false, "": false} {
		second := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", media)
			io.WriteString(w, "one\n")
			w.(http.Flusher).Flush()
			<-second
			io.WriteString(w, "two\n")
		})
		out, done := make(pieces), make(chan struct{})
		var got []string
		go func() { // the upstream continues only after its first piece has arrived
			defer close(done)
			for p := range out {
				if got = append(got, p); len(got) == 1 {
					close(second)
				}
			}
		}()
		if !streaming {
			close(second)
		}
		res, err := attemptWith(t.Context(), t, newCaller(Options{Allow: loopback}), map[string]any{"url": s.URL}, out)
		close(out)
		<-done
		if err != nil || string(res.Response.Body) != "one\ntwo\n" {
			t.Errorf("%q: %+v %v", media, res.Response, err)
		}
		want := []string{"one\n", "two\n"}
		if !streaming {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: relayed %q, want %q", media, got, want)
		}
	}
}

// A compressed stream is relayed as what it says, while it arrives, and kept as it came.
func TestCompressedStream(t *testing.T) {
	next := make(chan struct{})
	var sent bytes.Buffer
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(io.MultiWriter(w, &sent))
		for _, text := range []string{"data: one\n\n", "data: {\"percent\":50}\n\n"} {
			io.WriteString(z, text)
			z.Flush()
			w.(http.Flusher).Flush()
			<-next
		}
		z.Close()
	})
	out, done := make(pieces), make(chan string)
	go func() {
		var all string
		for p := range out {
			all += p
			if strings.HasSuffix(all, "\n\n") {
				next <- struct{}{}
			}
		}
		done <- all
	}()
	res, err := attemptWith(t.Context(), t, newCaller(Options{Allow: loopback}), map[string]any{"url": s.URL}, out)
	close(out)
	if got := <-done; got != "data: one\n\ndata: {\"percent\":50}\n\n" {
		t.Errorf("relayed %q", got)
	}
	if err != nil || !bytes.Equal(res.Response.Body, sent.Bytes()) || res.Response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("kept %+v, %v", res.Response, err)
	}
}

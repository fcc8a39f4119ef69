package web_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"time"
)

// eventSource is a stream of server-sent events as it comes, block by block.
type eventSource struct {
	reply
	lines *bufio.Reader
}

// stream asks for server-sent events, and ends with the test; headers are names and
// values by turns.
func (w *world) stream(path string, headers ...string) *eventSource {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	time.AfterFunc(w.patience, cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+w.bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	return &eventSource{reply{w.t, res.StatusCode, res.Header, ""}, bufio.NewReader(res.Body)}
}

// block is what the stream says up to the next empty line, which ends it.
func (s *eventSource) block() (text string) {
	s.t.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%v after %q", err, text)
		}
		if text += line; line == "\n" {
			return text
		}
	}
}

// next is the data of the next block that has some.
func (s *eventSource) next() (m map[string]any) {
	s.t.Helper()
	for m == nil {
		for line := range strings.Lines(s.block()) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				m = decoded(s.t, data)
			}
		}
	}
	return m
}

package web_test

import (
	"bufio"
	"context"
	"io"
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

// part is the next block: its id and its data, both of which may be empty.
func (s *eventSource) part() (id, data string) {
	s.t.Helper()
	for line := range strings.Lines(s.block()) {
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name {
		case "id":
			id = value
		case "data":
			data = value
		case "", "retry":
		default:
			s.t.Fatalf("a line %q", line)
		}
	}
	return id, data
}

// rest is what comes until the end.
func (s *eventSource) rest() string {
	s.t.Helper()
	text, err := io.ReadAll(s.lines)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
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

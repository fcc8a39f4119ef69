package trial

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Stream is an upstream that answers with the lines that the test gives it.
type Stream struct {
	*httptest.Server
	Lines chan string   // closed, it ends the answer
	Gone  chan struct{} // closed when the caller went away
	left  sync.Once
}

// NewStream starts one that ends with the test.
func NewStream(t *testing.T) *Stream {
	s := &Stream{Lines: make(chan string), Gone: make(chan struct{})}
	s.Server = Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for {
			http.NewResponseController(w).Flush()
			select {
			case line, more := <-s.Lines:
				if !more {
					return
				}
				fmt.Fprintln(w, line)
			case <-r.Context().Done():
				s.left.Do(func() { close(s.Gone) })
				return
			}
		}
	}))
	return s
}

// Say sends a line of the answer as soon as the hub has asked for it.
func (s *Stream) Say(t *testing.T, line string) {
	t.Helper()
	select {
	case s.Lines <- line:
	case <-time.After(Patience):
		t.Fatal("nobody called the upstream")
	}
}

// Delivered is a callback as its receiver got it.
type Delivered struct {
	Headers map[string]string
	Body    string
}

// Receiver is a web server for callbacks. answer says what to do about the nth one.
type Receiver struct {
	URL string
	got chan Delivered
}

// NewReceiver starts one that ends with the test.
func NewReceiver(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *Receiver {
	t.Helper()
	rec := &Receiver{got: make(chan Delivered, 100)}
	var mu sync.Mutex
	n := 0
	rec.URL = Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		d := Delivered{map[string]string{}, string(body)}
		for name := range r.Header {
			d.Headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		mu.Lock()
		n++
		nth := n
		mu.Unlock()
		rec.got <- d
		answer(nth, w, r)
	})).URL + "/hook"
	return rec
}

// Next waits for the next callback.
func (r *Receiver) Next(t *testing.T) Delivered {
	t.Helper()
	select {
	case d := <-r.got:
		return d
	case <-time.After(Patience):
		t.Fatal("no callback came")
		return Delivered{}
	}
}

// Serve is an upstream whose requests end with the test.
func Serve(t *testing.T, handler http.Handler) *httptest.Server {
	srv := httptest.NewServer(handler)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// Soon takes what should come at once out of a channel, or waits for it to be closed.
func Soon[T any](t *testing.T, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(Patience):
		t.Fatal("it did not come")
	}
}

// HTTPJob is a submission of kind http. More are further members.
func HTTPJob(url, more string) string {
	quoted, _ := jsontext.AppendQuote(nil, url)
	return fmt.Sprintf(`{"kind":"http","input":{"method":"GET","url":%s}%s}`, quoted, more)
}

// Gate is an upstream that answers /held/NAME only once it is open.
type Gate struct {
	*httptest.Server
	Arrived chan struct{} // an element for each request
	Waiting atomic.Int64  // requests that it holds
	Opened  chan struct{} // to be closed by the test
	known   sync.Map      // paths of flaky requests that came before
}

// NewGate starts one that ends with the test.
func NewGate(t *testing.T) *Gate {
	g := &Gate{Arrived: make(chan struct{}, 1000), Opened: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/held/{n}", g.held)
	mux.HandleFunc("/flaky/{n}", func(w http.ResponseWriter, r *http.Request) {
		if _, again := g.known.LoadOrStore(r.URL.Path, true); !again {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	g.Server = Serve(t, mux)
	return g
}

// held answers in two lines, the second of them once the gate is open.
func (g *Gate) held(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	fmt.Fprintf(w, "%q\n", "first of "+r.PathValue("n"))
	http.NewResponseController(w).Flush()
	g.Waiting.Add(1)
	defer g.Waiting.Add(-1)
	g.Arrived <- struct{}{}
	select {
	case <-g.Opened:
		fmt.Fprintf(w, "%q\n", "second of "+r.PathValue("n"))
	case <-r.Context().Done():
	}
}

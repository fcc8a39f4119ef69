package upstream

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// blackHole accepts connections and never answers.
func blackHole(t *testing.T) string {
	return raw(t, func(c net.Conn) {
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		io.Copy(io.Discard, c)
	}).url
}

// TestTimeout: the timeout holds for all tries together, and its error is a timeout.
func TestTimeout(t *testing.T) {
	p := newPool(t, Options{Members: members(t, blackHole(t), blackHole(t)), Tries: 5, Timeout: 300 * time.Millisecond, Breaker: Breaker{Failures: 1}})
	call := new(Call)
	r := request(t, "GET", "/", "")
	began := time.Now()
	_, _, err := do(t, p, r.WithContext(WithCall(r.Context(), call)))
	if !isTimeout(err) || call.Tries != 1 {
		t.Errorf("got %v after %d tries", err, call.Tries)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	for _, m := range p.Members() {
		if m.URL == call.Member.String() && (m.Failures != 1 || m.Breaker != Open || m.Why == "") {
			t.Errorf("%+v", m)
		}
	}
}

// TestTimeoutAfterTries: the time of an earlier try is not given back.
func TestTimeoutAfterTries(t *testing.T) {
	var asked atomic.Int64
	half := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-time.After(200 * time.Millisecond):
			w.WriteHeader(503)
		case <-r.Context().Done():
		}
	}
	p := newPool(t, Options{Members: members(t, serve(t, half), serve(t, half), serve(t, half)), Tries: 3, Timeout: 350 * time.Millisecond})
	_, _, err := do(t, p, request(t, "GET", "/", ""))
	if !isTimeout(err) || asked.Load() > 2 {
		t.Errorf("got %v after %d tries", err, asked.Load())
	}
}

// TestSlowUpload: the time in which a client sends its body does not count.
func TestSlowUpload(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	p := newPool(t, Options{Members: members(t, url), Timeout: 200 * time.Millisecond})
	body, client := io.Pipe()
	go func() {
		time.Sleep(600 * time.Millisecond) // longer than the timeout: what this test is about
		client.Write([]byte("late"))
		client.Close()
	}()
	r := request(t, "POST", "/", "x")
	r.Body, r.ContentLength, r.GetBody = body, -1, nil
	if status, got, err := do(t, p, r); status != 200 || got != "late" {
		t.Errorf("got %d %q %v", status, got, err)
	}
}

// TestSlowAnswer: an answer that has begun may take longer than the timeout.
func TestSlowAnswer(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		time.Sleep(300 * time.Millisecond)
		io.WriteString(w, "late")
	})
	p := newPool(t, Options{Members: members(t, url), Timeout: 150 * time.Millisecond})
	if status, got, err := do(t, p, request(t, "GET", "/", "")); status != 200 || got != "late" || err != nil {
		t.Errorf("got %d %q %v", status, got, err)
	}
}

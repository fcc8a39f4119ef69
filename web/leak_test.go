package web_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails if goroutines of the tests are still there at the end.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if fuzzing := flag.Lookup("test.fuzz").Value.String() != ""; code == 0 && !fuzzing {
		if err := settled(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// settled waits until there are no goroutines but these, and tells of those that stay.
func settled(but ...goleak.Option) (err error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if err = goleak.Find(but...); err == nil {
			return nil
		}
	}
	return err
}

// TestAbruptConnections: whoever comes and goes, at whatever moment and however
// rudely, leaves no goroutine and no subscription behind.
func TestAbruptConnections(t *testing.T) {
	w := start(t)
	job := w.submit(`{"kind":"script","input":"a"}`)
	w.await(job, "running")
	a := w.script("a")
	before := goleak.IgnoreCurrent()
	queries := []string{"", "?all=1", "?all=1&snapshot=1", "?queue=default&seq=0&epoch=" + w.hub.Epoch(), "?job=" + job}
	for n := range 200 {
		query := queries[n%len(queries)]
		request := handshake(w.address(), query)
		var c *rawConn
		switch n % 8 {
		case 0: // says nothing
			c = w.rawDial("")
		case 1: // half a handshake
			c = w.rawDial(request[:n%len(request)])
		case 2: // does not wait for the answer
			c = w.rawDial(request)
		case 3: // a server-sent stream
			c = w.rawDial(strings.Replace(request[:strings.Index(request, "Connection:")], "/v1/ws", "/v1/events", 1) + "\r\n")
			c.r.ReadByte()
		case 4: // many subscriptions in the same breath
			c = w.raw(query)
			for i := range 10 {
				c.send(whole(fmt.Sprintf(`{"type":"subscribe","id":"s%d","all":true,"snapshot":true}`, i)))
			}
		case 5: // a view
			c = w.raw(query)
			c.send(whole(`{"type":"subscribe","id":"v","view":"overview"}`))
		case 6: // within a frame
			c = w.raw(query)
			c.send(frame(opText, `{"type":`))
		default: // while much is on its way
			c = w.raw(query)
			a.output(strings.Repeat("x", 10_000))
		}
		if n%2 == 0 {
			c.SetLinger(0) // ends with a reset
		}
		c.Close()
	}
	a.succeed("1")
	w.await(job, "succeeded")
	if err := settled(before); err != nil {
		t.Error(err)
	}
}

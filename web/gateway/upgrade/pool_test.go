package upgrade

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"jobhub/jobs/egress"
	"jobhub/web/gateway/upstream"
)

// TestThroughPool: a connection goes to a member of a pool, counts as in flight there, and
// outlives the pool.
func TestThroughPool(t *testing.T) {
	conns := make(chan net.Conn, 1)
	good, _ := url.Parse(listen(t, func(c net.Conn) {
		deadline(c)
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, switching(""))
		conns <- c
	}))
	dead := httptest.NewServer(nil)
	bad, _ := url.Parse(dead.URL)
	dead.Close()
	transport := egress.Unguarded(nil, egress.Outbound{})
	defer transport.CloseIdleConnections()
	transport.DialContext = upstream.Track(transport.DialContext)
	options := upstream.Options{Transport: transport, Tries: 2, Timeout: 10 * time.Second, Members: []upstream.Member{{URL: good, Weight: 1}, {URL: bad, Weight: 1}}}
	pool := upstream.NewPool(options)
	pool.Start()
	proxy, counters := New(Options{}), new(Counters)
	done := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done <- proxy.Serve(w, r, Call{Request: r.Clone(r.Context()), Transport: pool, Counters: counters})
	}))
	defer server.Close()
	for range 8 { // some of them meet the dead member first
		client, fromHub, status := dial(t, &hub{Server: server}, handshake("", ""))
		if status != 101 {
			t.Fatal(status)
		}
		conn := <-conns
		next := upstream.NewPool(options)
		next.Keep(pool)
		pool.Close()
		transport.CloseIdleConnections() // as a reload does
		pool = next
		if s := pool.Members()[0]; s.InFlight != 1 {
			t.Errorf("%+v", s)
		}
		io.WriteString(conn, frame(0x81, "down", false))
		expect(t, fromHub, frame(0x81, "down", false))
		io.WriteString(client, frame(0x81, "up", true))
		expect(t, conn, frame(0x81, "up", true))
		client.Close()
		expectEnd(t, conn)
		conn.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if s := pool.Members()[0]; s.InFlight != 0 || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
	}
}

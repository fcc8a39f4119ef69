package call

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"jobhub/jobs"
)

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	onlyTwo  = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
)

// pieces takes relayed output.
type pieces chan string

func (p pieces) Output(stream string, b []byte) {
	if stream != "body" {
		panic("output on stream " + stream)
	}
	p <- string(b)
}

// attempt runs one attempt at a job with that input.
func attempt(t *testing.T, c *caller, in map[string]any) (jobs.Result, error) {
	t.Helper()
	return attemptWith(t.Context(), t, c, in, make(pieces, 1000))
}

func attemptWith(ctx context.Context, t *testing.T, c *caller, in map[string]any, out outputRun) (jobs.Result, error) {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	job := &jobs.Job{ID: uuid.MustParse("0197f000-0000-7000-8000-000000000001"), Attempt: 3, Input: input}
	room := c.memory(1, jobs.Via{})
	defer room.release()
	return c.run(ctx, job, room, out)
}

// mustFail checks an error against what is expected of it, and that it holds no secret.
func mustFail(t *testing.T, err error, code jobs.Code, never bool) *jobs.Failure {
	t.Helper()
	f, ok := errors.AsType[*jobs.Failure](err)
	if !ok {
		t.Fatalf("got error %v, want a failure with code %s", err, code)
	}
	if f.Problem.Code != code || f.Never != never {
		t.Fatalf("got %s (never=%t): %v, want %s (never=%t)", f.Problem.Code, f.Never, err, code, never)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Fatalf("the error tells a secret: %v", err)
	}
	return f
}

// serveOn is an HTTP server on an address of this machine that counts its requests.
func serveOn(t *testing.T, address string, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var hits atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	s.Listener.Close()
	var err error
	if s.Listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &hits
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s, _ := serveOn(t, "127.0.0.1:0", h)
	return s
}

// raw is a server that reads one request per connection and answers as it likes.
func raw(t *testing.T, answer func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.ReadAtLeast(conn, make([]byte, 4096), 16)
			answer(conn.(*net.TCPConn))
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// resolver answers every lookup with the addresses that next gives.
func resolver(next func() []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			var size uint16
			if binary.Read(server, binary.BigEndian, &size) != nil {
				return
			}
			query := make([]byte, size)
			if _, err := io.ReadFull(server, query); err != nil {
				return
			}
			end := 12
			for query[end] != 0 {
				end += 1 + int(query[end])
			}
			question := query[12 : end+5]
			reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
			if question[len(question)-3] == 1 { // A
				for _, a := range next() {
					ip := netip.MustParseAddr(a).As4()
					reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
					reply = append(reply, ip[:]...)
					reply[7]++
				}
			}
			server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
		}()
		return client, nil
	}}
}

func second[T any](_ T, err error) error { return err }

package web_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

// TestLongAnswersAreStreamed: clients that take nothing of a long answer cost little memory
// each, while others get theirs.
func TestLongAnswersAreStreamed(t *testing.T) {
	w := start(t)
	const many, each = 40, 400 << 10
	huge := w.submit(`{"kind":"answer","input":"huge"}`)
	w.await(huge, "succeeded")
	large := w.submit(fmt.Sprintf(`{"kind":"echo","input":%q}`, strings.Repeat("x", 2<<20-100)))
	w.await(large, "succeeded")
	for _, path := range []string{"/v1/jobs/" + huge + "/response", "/v1/jobs/" + large + "/response", "/v1/jobs/" + large} {
		before := heap()
		conns := make([]net.Conn, many)
		for i := range conns {
			conns[i] = w.dialNarrow("GET " + path + " HTTP/1.1\r\nHost: " + w.address() + "\r\n\r\n")
			if _, err := conns[i].Read(make([]byte, 1)); err != nil { // it is on its way
				t.Fatal(err)
			}
		}
		if grown := heap() - before; grown > many*each {
			t.Errorf("%s: %d clients that take nothing cost %d KB each", path, many, grown/many>>10)
		}
		if r := w.do("GET", "/v1/jobs/"+huge+"/response", ""); r.body != string(answers["huge"].Body) {
			t.Errorf("another one gets %d bytes", len(r.body))
		}
		for _, c := range conns {
			c.Close()
		}
	}
}

// What can't be streamed has a bound for all together: then one more has to wait.
func TestLongAnswersHaveABound(t *testing.T) {
	w := start(t)
	huge := w.submit(`{"kind":"answer","input":"huge"}`)
	w.await(huge, "succeeded")
	path := "/v1/jobs/" + huge // its result is made of the response
	var conns []net.Conn
	for range 4 {
		c := w.dialNarrow("GET " + path + " HTTP/1.1\r\nHost: " + w.address() + "\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	w.do("GET", path, "").want(503).has("Retry-After", "1")
	streamed := w.dialNarrow("GET " + path + "/response HTTP/1.1\r\nHost: " + w.address() + "\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(streamed, status); err != nil || string(status) != "HTTP/1.1 200" {
		t.Errorf("what is streamed: %s, %v", status, err)
	}
	streamed.Close()
	w.do("GET", "/jobs/"+huge+"/result", "").want(503)
	c := w.dial("")
	c.send(`{"type":"get","id":"g","job":"%s"}`, huge)
	if m := c.until("error"); m["retry"] != true {
		t.Errorf("over a socket: %v", m)
	}
	for _, c := range conns {
		c.Close()
	}
	for end := time.Now().Add(patience); w.HeldBytes() > 0; time.Sleep(10 * time.Millisecond) { // until it is noticed that they went
		if time.Now().After(end) {
			t.Fatalf("%d bytes stay taken", w.HeldBytes())
		}
	}
	if r := w.do("GET", path, "").want(200); !strings.Contains(r.body, `0123456789abcde\n0123456789abcde\n`) {
		t.Error("it is not served afterwards")
	}
	w.do("POST", "/v1/batch", `{"requests":[{"method":"GET","path":"/v1/jobs?limit=1"}]}`).want(200)
	if n := w.HeldBytes(); n != 0 {
		t.Errorf("%d bytes are not given back", n)
	}
}

// TestStreamedDocuments: a document that is put together from pieces is the one that a store
// without pieces gives.
func TestStreamedDocuments(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	bodies := map[string]string{}
	for _, wrap := range []func(jobs.Store) jobs.Store{nil, func(s jobs.Store) jobs.Store { return struct{ jobs.Store }{s} }} {
		w := startIn(t, dir, func(p *parts) { p.wrap = wrap })
		if wrap == nil {
			for _, body := range []string{`{"kind":"echo","input":%s}`, `{"kind":"nobody","input":%s}`, `{"kind":"answer","input":"large"}`, `{"kind":"picky","input":"yes"}`} {
				if strings.Contains(body, "%s") {
					body = fmt.Sprintf(body, `{"a":"`+strings.Repeat("\\u0000é", 5000)+`","n":1.50}`)
				}
				id := w.submit(body)
				if !strings.Contains(body, "nobody") {
					w.await(id, "succeeded")
				}
				for _, suffix := range []string{"", "/response"} {
					paths = append(paths, "/v1/jobs/"+id+suffix)
				}
				paths = append(paths, "/jobs/"+id+"/input", "/jobs/"+id+"/result")
			}
		}
		for _, path := range paths {
			r := w.do("GET", path, "")
			body := fmt.Sprint(r.status, r.header["Content-Type"], r.header["Asyncresult"], r.body)
			if wrap == nil {
				bodies[path] = body
			} else if body != bodies[path] {
				t.Errorf("%s: %d and %d bytes, %.300q and %.300q", path, len(bodies[path]), len(body), bodies[path], body)
			}
			if head := w.do("HEAD", path, ""); head.body != "" || head.status != r.status {
				t.Errorf("HEAD %s: %d %.20q", path, head.status, head.body)
			}
		}
		w.close()
	}
}

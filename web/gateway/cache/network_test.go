package cache

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestNetwork: the cache below a reverse proxy, with real connections on both sides.
func TestNetwork(t *testing.T) {
	// raw answers are written to the connection as they are, which is closed then.
	raw := map[string]string{
		"/length":       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"/chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"/until-closed": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
		"/http-1.0":     "HTTP/1.0 200 OK\r\n\r\nabc",
		"/cut":          "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
		"/cut-chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"/trailer":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
		"/empty":        "HTTP/1.1 204 No Content\r\n\r\n",
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(buf, raw[r.URL.Path])
		buf.Flush()
	}))
	defer up.Close()
	target, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{})
	defer c.Close()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	p := &httputil.ReverseProxy{Transport: c.Transport(transport, Policy{TTL: time.Minute}), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	hub := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r.WithContext(With(r.Context(), &Exchange{Caller: "x"})))
	}))
	hub.Config.ErrorLog, p.ErrorLog = quiet, quiet
	hub.Start()
	defer hub.Close()
	get := func(method, path string) (status, body string, err error) {
		r, err := http.NewRequestWithContext(t.Context(), method, hub.URL+path, nil)
		if err != nil {
			return "", "", err
		}
		res, err := hub.Client().Do(r)
		if err != nil {
			return "", "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res.Header.Get("Cache-Status"), string(b), err
	}
	for path, answer := range raw {
		stored := path == "/length" || path == "/chunked" || path == "/empty"
		broken := strings.HasPrefix(path, "/cut")
		want := "abc"
		if path == "/empty" {
			want = ""
		}
		for i := range 2 {
			status, body, err := get("GET", path)
			if hit := strings.HasPrefix(status, "jobhub; hit"); body != want && !broken || (err != nil) != broken || hit != (stored && i == 1) {
				t.Errorf("%q, %d: %q %v; %s", answer, i, body, err, status)
			}
		}
		if stored {
			if status, body, err := get("HEAD", path); !strings.HasPrefix(status, "jobhub; hit") || body != "" || err != nil {
				t.Errorf("HEAD %s: %s %q %v", path, status, body, err)
			}
		}
	}
}

// TestNetworkLeave: a client that disconnects ends the upstream's request.
func TestNetworkLeave(t *testing.T) {
	began, ended := make(chan bool), make(chan bool)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("a"))
		http.NewResponseController(w).Flush()
		began <- true
		<-r.Context().Done()
		ended <- true
	}))
	defer up.Close()
	target, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{})
	defer c.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	p := &httputil.ReverseProxy{Transport: c.Transport(transport, Policy{TTL: time.Minute}), ErrorLog: quiet, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r.WithContext(With(r.Context(), &Exchange{Caller: "x"})))
	}))
	defer hub.Close()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", strings.TrimPrefix(hub.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	conn.Close()
	<-ended
	if s := c.Stats(); s.Entries != 0 {
		t.Errorf("%+v", s)
	}
}

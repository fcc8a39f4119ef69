package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"
)

// TestReverseProxy: a pool as the transport of net/http/httputil: bodies pass both ways, also
// after a first try at a dead member, and the request is in flight until its answer has ended.
func TestReverseProxy(t *testing.T) {
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Path", r.URL.EscapedPath()+"?"+r.URL.RawQuery)
		w.Header().Set("Trailer", "End")
		body, _ := io.ReadAll(r.Body) // net/http ends reading when an answer begins
		w.Write(body)
		w.Header().Set("End", "yes")
	})
	p := newPool(t, Options{Members: members(t, refused(t)+"/base", echo+"/base"), Tries: 2, Timeout: 10 * time.Second})
	key := keyFor(t, p, p.members[0].name)
	proxy := &httputil.ReverseProxy{
		Transport: p,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = ""
			first := true
			r.Out.GetBody = func() (io.ReadCloser, error) { // nothing was read yet
				if !first {
					return nil, errors.New("gone")
				}
				first = false
				return r.In.Body, nil
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { http.Error(w, err.Error(), 500) },
	}
	hub := serve(t, func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r.WithContext(WithCall(r.Context(), &Call{Key: key})))
	})
	sent := strings.Repeat("large ", 1<<18)
	res, err := http.Post(hub+"/a%2Fb?x=1", "text/plain", struct{ io.Reader }{strings.NewReader(sent)})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(got, []byte(sent)) || res.Header.Get("Path") != "/base/a%2Fb?x=1" || res.Trailer.Get("End") != "yes" {
		t.Errorf("%d bytes came back, %v, %v, %v", len(got), err, res.Header, res.Trailer)
	}
	for p.Members()[1].InFlight > 0 { // the client may see the end a little earlier
		time.Sleep(time.Millisecond)
	}
	http.DefaultClient.CloseIdleConnections()
}

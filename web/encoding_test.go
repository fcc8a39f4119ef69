package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// TestGzipAnswers: who submits with gzip gets what the synchronous call gives; who polls
// without it reads the same unpacked; and the hub itself reads it, too.
func TestGzipAnswers(t *testing.T) {
	const text = `{"found":"needle"}`
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Etag", `"1"`)
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(w, text)
			return
		}
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write([]byte(text))
		z.Close()
	})
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Queue = "api" }))
	sync := w.do("GET", "/api/x", "", "Accept-Encoding", "gzip").want(200).has("Content-Encoding", "gzip")
	location := w.do("GET", "/api/x?async=true", "", "Accept-Encoding", "gzip, br").want(202).header.Get("Location")
	w.await(strings.Split(location, "/")[3], "succeeded")
	for _, accepts := range []string{"gzip", "br, GZIP;q=0.5", "*", "x-gzip"} {
		if got := w.do("GET", location, "", "Accept-Encoding", accepts).want(200).has("Content-Encoding", "gzip", "Etag", `"1"`); got.body != sync.body {
			t.Errorf("%s: %q", accepts, got.body)
		}
	}
	for _, accepts := range []string{"identity", "br", "gzip;q=0", "gzip; q=0.0, *", "*;q=0"} {
		got := w.do("GET", location, "", "Accept-Encoding", accepts).want(200).has("Content-Encoding", "", "Etag", `W/"1"`, "Vary", "Accept-Encoding", "AsyncResult", "200")
		if got.body != text {
			t.Errorf("%q: %q", accepts, got.body)
		}
	}
	if got := w.exchange("GET " + location + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"); strings.Contains(got, "Content-Encoding") || !strings.Contains(got, text) {
		t.Errorf("who says nothing gets %q", got)
	}
	result := w.do("GET", strings.TrimSuffix(location, "/response"), "", "Accept-Encoding", "identity").json()["result"].(map[string]any)
	if body, ok := result["body"].(map[string]any); !ok || body["found"] != "needle" {
		t.Errorf("the document has %v", result)
	}
}

// TestGzipBomb: an answer that becomes very long is not decompressed, whatever a client
// accepts, and one that is not whole is sent as it came.
func TestGzipBomb(t *testing.T) {
	gzipped := func(size int64) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.CopyN(z, zeroBytes{}, size); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	bomb, fits := gzipped(rest.MaxDecoded+1), gzipped(rest.MaxDecoded/16)
	up := newUpstream(t, func(h http.ResponseWriter, r *http.Request) {
		h.Header().Set("Content-Encoding", "gzip")
		h.Write(map[string][]byte{"/api/bomb": bomb, "/api/fits": fits, "/api/cut": fits[:len(fits)-1]}[r.URL.Path])
	})
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Queue = "api" }))
	for path, want := range map[string]int64{"bomb": int64(len(bomb)), "fits": rest.MaxDecoded / 16, "cut": int64(len(fits)) - 1} {
		location := w.do("GET", "/api/"+path+"?async=true", "", "Accept-Encoding", "gzip").want(202).header.Get("Location")
		w.await(strings.Split(location, "/")[3], "succeeded")
		r := w.do("GET", location, "", "Accept-Encoding", "identity").want(200)
		if compressed := r.header.Get("Content-Encoding") == "gzip"; compressed != (path != "fits") || int64(len(r.body)) != want {
			t.Errorf("%s: %d bytes, want %d; %s", path, len(r.body), want, r.header)
		}
	}
}

type zeroBytes struct{}

func (zeroBytes) Read(b []byte) (int, error) { clear(b); return len(b), nil }

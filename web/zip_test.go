package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestPagesAreCompressed: pages are, for those who take it; what the API answers is not.
func TestPagesAreCompressed(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"echo"}`)
	w.await(id, "succeeded")
	// What differs from one page to the next: how long ago, and where the log is.
	still := regexp.MustCompile(`data-seq="\d+"|\d\d:\d\d:\d\d|\d+(\.\d+)? m?s`)
	for _, path := range []string{"/", "/jobs", "/jobs/" + id, "/queues", "/docs"} {
		plain := w.do("GET", path, "").want(http.StatusOK).has("Content-Encoding", "", "Vary", "Accept-Encoding")
		small := w.do("GET", path, "", "Accept-Encoding", "br, gzip;q=0.5").want(http.StatusOK).has("Content-Encoding", "gzip", "Vary", "Accept-Encoding", "Content-Type", "text/html; charset=utf-8")
		z, err := gzip.NewReader(strings.NewReader(small.body))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		text, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(still.ReplaceAll(text, nil), still.ReplaceAll([]byte(plain.body), nil)) {
			t.Errorf("%s is another page when it is compressed (%v):\n%s\n%s", path, err, text, plain.body)
		}
		if len(small.body) > len(plain.body)/2 {
			t.Errorf("%s: %d bytes of %d", path, len(small.body), len(plain.body))
		}
		w.do("GET", path, "", "Accept-Encoding", "gzip;q=0, identity").want(http.StatusOK).has("Content-Encoding", "")
	}
	w.do("GET", "/nothing/here", "", "Accept-Encoding", "gzip").want(http.StatusNotFound).has("Content-Encoding", "")
	w.do("GET", "/jobs/nothing", "", "Accept-Encoding", "gzip").want(http.StatusNotFound).has("Content-Encoding", "gzip")
	for _, path := range []string{"/v1/jobs", "/v1/jobs/" + id, "/jobs/export.ndjson", "/openapi.json"} {
		w.do("GET", path, "", "Accept-Encoding", "gzip").want(http.StatusOK).has("Content-Encoding", "")
	}
}

package jobs

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A gzip answer is read as what it says, and stays as it is where that can't be.
func TestDecoded(t *testing.T) {
	const text = `{"a":[1.50,"x"]}`
	header := func(coding string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}, "Etag": {`"1"`}, "Digest": {"x"}, "X-Kept": {"y"}}
	}
	for _, coding := range []string{"gzip", "GZIP ", "x-gzip"} {
		r := &Response{Status: 200, Header: header(coding), Body: zipped(t, text)}
		d := r.Decoded(100)
		if string(d.Body) != text || d.Header.Get("Content-Encoding") != "" || d.Header.Get("Digest") != "" || d.Header.Get("Etag") != `W/"1"` || d.Header.Get("X-Kept") != "y" {
			t.Errorf("%s: %q %v", coding, d.Body, d.Header)
		}
		if r.Header.Get("Content-Encoding") != coding || r.DecodedSize(100) != len(text) {
			t.Errorf("%s: the answer itself changed: %v, size %d", coding, r.Header, r.DecodedSize(100))
		}
		if v := string(r.JSON(nil)); !strings.Contains(v, `"body":{"a":[1.50,"x"]}`) {
			t.Errorf("as JSON: %s", v)
		}
	}
	bomb := zipped(t, strings.Repeat("\x00", maxDecoded+1))
	for name, r := range map[string]*Response{
		"no gzip":    {Header: header("gzip"), Body: []byte(text)},
		"cut":        {Header: header("gzip"), Body: zipped(t, text)[:20]},
		"other":      {Header: header("br"), Body: []byte("x")},
		"two":        {Header: header("br, gzip"), Body: zipped(t, text)},
		"too long":   {Header: header("gzip"), Body: bomb},
		"none":       {Header: http.Header{}, Body: []byte(text)},
		"empty HEAD": {Header: header("gzip")},
	} {
		if d := r.Decoded(maxDecoded); d != r {
			t.Errorf("%s: %d bytes", name, len(d.Body))
		}
		if n := r.DecodedSize(maxDecoded); n != len(r.Body) {
			t.Errorf("%s: size %d", name, n)
		}
		r.JSON(nil)
	}
}

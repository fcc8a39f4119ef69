package jobs

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"strings"
)

// maxDecoded bounds how long a body may become when it is decoded, in bytes.
const maxDecoded = 16 << 20

// Gzipped reports whether gzip is the only content coding of a body with these headers.
func Gzipped(h http.Header) bool {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
	return coding == "gzip" || coding == "x-gzip"
}

// DecodedSize is the length of the body without its content coding. It is the length of the
// body as it is if that has no coding, can't be decoded, or would be longer than most.
func (r *Response) DecodedSize(most int) int {
	if !Gzipped(r.Header) {
		return len(r.Body)
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return len(r.Body)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(z, int64(most)+1))
	if err != nil || n > int64(most) {
		return len(r.Body)
	}
	return int(n)
}

// Decoded is the response without its content coding; the same response if it has none, can't
// be decoded, or would be longer than most.
func (r *Response) Decoded(most int) *Response {
	if !Gzipped(r.Header) || len(r.Body) == 0 {
		return r
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		return r
	}
	body, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	if err != nil || len(body) > most {
		return r
	}
	return &Response{Status: r.Status, Header: DecodedHeader(r.Header), Body: body}
}

// DecodedHeader is the headers for the decoded body: without those that describe the encoded
// bytes.
func DecodedHeader(h http.Header) http.Header {
	h = maps.Clone(h)
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		delete(h, name)
	}
	if etag := h.Get("Etag"); etag != "" && !strings.HasPrefix(etag, "W/") {
		h["Etag"] = []string{"W/" + etag}
	}
	return h
}

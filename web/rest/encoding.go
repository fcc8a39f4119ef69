package rest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// acceptsGzip reports whether a request accepts gzip. One without Accept-Encoding does not.
func acceptsGzip(h http.Header) bool {
	wildcard, named, accepted := false, false, false
	for item := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		name, q, _ := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "=")
		weight, err := strconv.ParseFloat(q, 64)
		wanted := !strings.EqualFold(name, "q") || err != nil || weight > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named, accepted = true, accepted || wanted
		case "*":
			wildcard = wanted
		}
	}
	return named && accepted || !named && wildcard
}

// ResponseBody returns a reader of the body of a response: what resp has of it, and then
// rest, which is read from the store and may be nil.
func ResponseBody(ctx context.Context, resp *jobs.Response, rest *jobs.Payload) io.Reader {
	if rest == nil {
		return bytes.NewReader(resp.Body)
	}
	return io.MultiReader(bytes.NewReader(resp.Body), bufio.NewReaderSize(payloadReader{ctx, rest}, copyBufferSize))
}

// payloadReader makes a payload an io.Reader.
type payloadReader struct {
	ctx context.Context
	*jobs.Payload
}

func (p payloadReader) Read(b []byte) (int, error) { return p.Next(p.ctx, b) }

// DecodeForClient returns the body and headers of an upstream's answer as the client of r gets
// them: decompressed if they are gzip and the client does not accept that, else unchanged.
// The length is in bytes, -1 if it is not known.
func DecodeForClient(r *http.Request, h http.Header, body io.Reader, length int64) (io.Reader, http.Header, int64) {
	if !jobs.Gzipped(h) || length == 0 || acceptsGzip(r.Header) {
		return body, h, length
	}
	begins := bufio.NewReaderSize(body, copyBufferSize)
	head, _ := begins.Peek(1 << 10)
	if _, err := gzip.NewReader(bytes.NewReader(head)); err != nil {
		return begins, h, length
	}
	z, err := gzip.NewReader(begins)
	if err != nil { // can't happen: its header was read above
		return begins, h, length
	}
	return z, jobs.DecodedHeader(h), -1
}

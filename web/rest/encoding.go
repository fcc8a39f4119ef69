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

// DecodeForClient returns the body and headers of a response as the client of r gets them, the
// body as ResponseBody reads it. It is decompressed if it is gzip and the client does not accept
// that; unchanged if it is not whole, or would become longer than MaxDecoded. The length is in
// bytes, -1 if it is not known.
func DecodeForClient(r *http.Request, resp *jobs.Response, rest *jobs.Payload) (body io.Reader, h http.Header, length int64) {
	length = int64(len(resp.Body)) + PayloadSize(rest)
	stored := func() io.Reader {
		if rest == nil {
			return ResponseBody(r.Context(), resp, nil)
		}
		begin := *rest // it can be read more than once
		return ResponseBody(r.Context(), resp, &begin)
	}
	if !jobs.Gzipped(resp.Header) || length == 0 || acceptsGzip(r.Header) || !decodes(stored()) {
		return stored(), resp.Header, length
	}
	z, err := gzip.NewReader(stored())
	if err != nil { // can't happen: it was read before
		return stored(), resp.Header, length
	}
	return z, jobs.DecodedHeader(resp.Header), -1
}

// decodes reports whether a compressed body is whole and not longer than MaxDecoded.
func decodes(body io.Reader) bool {
	z, err := gzip.NewReader(body)
	if err != nil {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(z, MaxDecoded+1))
	return err == nil && n <= MaxDecoded
}

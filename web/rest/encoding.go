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

// acceptsGzip reports whether a request asks for gzip. One that says nothing does not.
func acceptsGzip(h http.Header) bool {
	any, named, takes := false, false, false
	for item := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		name, q, _ := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "=")
		weight, err := strconv.ParseFloat(q, 64)
		wanted := !strings.EqualFold(name, "q") || err != nil || weight > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named, takes = true, takes || wanted
		case "*":
			any = wanted
		}
	}
	return named && takes || !named && any
}

// ResponseBody is the body of a response, whose rest may still be in the store.
func ResponseBody(ctx context.Context, resp *jobs.Response, rest *jobs.Payload) io.Reader {
	if rest == nil {
		return bytes.NewReader(resp.Body)
	}
	return io.MultiReader(bytes.NewReader(resp.Body), bufio.NewReaderSize(payloadReader{ctx, rest}, copyBufferSize))
}

// payloadReader reads a part of a job from the store.
type payloadReader struct {
	ctx context.Context
	*jobs.Payload
}

func (p payloadReader) Read(b []byte) (int, error) { return p.Next(p.ctx, b) }

// DecodeForClient is an answer as it is given to a caller: the bytes of the upstream, or what
// they say if they are gzip and the caller does not take that. The length is -1 if not known.
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
	if err != nil { // not after its head was read
		return begins, h, length
	}
	return z, jobs.DecodedHeader(h), -1
}

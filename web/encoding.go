package web

import (
	"bytes"
	"compress/gzip"
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

// readable is an answer as it is given to a caller: the bytes of the upstream, or what they
// say if they are gzip and the caller does not take that. The length is -1 if not known.
func readable(r *http.Request, resp *jobs.Response) (body io.Reader, h http.Header, length int) {
	if jobs.Gzipped(resp.Header) && len(resp.Body) > 0 && !acceptsGzip(r.Header) {
		if z, err := gzip.NewReader(bytes.NewReader(resp.Body)); err == nil {
			return z, jobs.DecodedHeader(resp.Header), -1
		}
	}
	return bytes.NewReader(resp.Body), resp.Header, len(resp.Body)
}

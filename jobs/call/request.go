package call

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
)

// request builds the first request of an attempt; key is its Idempotency-Key if the input
// names none.
func (in *input) request(ctx context.Context, attempt int, key string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, in.method, in.url.String(), bytes.NewReader(in.body))
	if err != nil {
		return nil, err
	}
	req.Header = in.header.Clone()
	req.Header.Set("Jobhub-Attempt", strconv.Itoa(attempt))
	if !has(req.Header, "User-Agent") {
		req.Header.Set("User-Agent", "jobhub")
	}
	if !has(req.Header, "Idempotency-Key") {
		req.Header.Set("Idempotency-Key", key)
	}
	in.via.SetTrace(req.Header)
	// net/http repeats a POST that has one of these headers when a kept connection breaks.
	// A repetition is an attempt and the engine counts those, so the headers go
	// under a spelling that net/http does not know; for HTTP it is the same.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := req.Header[name]; ok {
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = values
		}
	}
	return req, nil
}

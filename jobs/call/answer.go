package call

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
)

const readSize = 32 << 10

var errTooLarge = errors.New("the answer is too large")

// readBody reads a body of up to limit bytes, and passes a streaming one on to out as it
// arrives. Pieces given to out are never written to again.
func readBody(res *http.Response, limit int64, out sink) ([]byte, error) {
	relay := streams(res.Header.Get("Content-Type"))
	progress := reporter{out: out}
	var body []byte
	for {
		body = slices.Grow(body, 512)
		start := len(body)
		n, err := res.Body.Read(body[start:min(cap(body), start+readSize)])
		body = body[:start+n]
		if int64(len(body)) > limit {
			return nil, errTooLarge
		}
		if relay && n > 0 {
			piece := body[start:len(body):len(body)]
			out.Output("body", piece)
			progress.write(piece)
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// streams reports whether an answer of that type is read piece by piece.
func streams(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl":
		return true
	}
	return false
}

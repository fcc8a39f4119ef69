package call

import (
	"context"
	"io"
	"mime"
	"net/http"
)

const (
	readSize  = 32 << 10
	firstSize = 4 << 10
)

// readBody reads a body into the room there is for it, and passes a streaming one on to out
// as it arrives. Pieces given to out are never written to again.
func readBody(ctx context.Context, res *http.Response, room *part, out sink) ([]byte, error) {
	relay := streams(res.Header.Get("Content-Type"))
	progress := reporter{out: out}
	var body []byte
	for {
		if len(body) == cap(body) {
			larger := nextSize(len(body), res.ContentLength, room.room())
			if err := room.grow(ctx, larger); err != nil {
				return nil, err
			}
			grown := make([]byte, len(body), larger)
			copy(grown, body)
			room.shrink(cap(body))
			body = grown
		}
		start := len(body)
		n, err := res.Body.Read(body[start:min(cap(body), start+readSize)])
		body = body[:start+n]
		if err := room.count(n); err != nil {
			return nil, err
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

// nextSize is the size of the buffer that takes the place of a full one. A length that was
// announced is believed once a part of it has arrived. One byte beyond the room tells that
// there is more.
func nextSize(have int, announced, room int64) int {
	size := max(2*have, firstSize)
	if announced > int64(have) && announced <= int64(max(4*have, 16*firstSize)) {
		size = int(announced)
	}
	return int(min(int64(size), int64(have)+room+1))
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

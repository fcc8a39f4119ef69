package call

import (
	"compress/gzip"
	"context"
	"io"
	"mime"
	"net/http"

	"jobhub/jobs"
)

const (
	readSize  = 32 << 10
	firstSize = 4 << 10
)

// readBody reads a body as far as there is room for it. A streaming body is passed on to out
// as it arrives, without its content coding.
func readBody(ctx context.Context, res *http.Response, room *answerMemory, out outputRun) ([]byte, error) {
	k := &bodyReader{ctx: ctx, res: res, room: room}
	if streams(res.Header.Get("Content-Type")) {
		k.relay(out)
	}
	for k.err == nil {
		k.next(readSize)
	}
	if k.err != io.EOF {
		return nil, k.err
	}
	return k.body, nil
}

// bodyReader reads a body and keeps all bytes of it.
type bodyReader struct {
	ctx  context.Context
	res  *http.Response
	room *answerMemory
	body []byte
	err  error // why reading ended; io.EOF at the end
}

// next reads a piece of up to most bytes.
func (k *bodyReader) next(most int) []byte {
	if len(k.body) == cap(k.body) {
		larger := nextSize(len(k.body), k.res.ContentLength, k.room.room())
		if k.err = k.room.grow(k.ctx, larger); k.err != nil {
			return nil
		}
		grown := make([]byte, len(k.body), larger)
		copy(grown, k.body)
		k.room.shrink(cap(k.body))
		k.body = grown
	}
	start := len(k.body)
	n, err := k.res.Body.Read(k.body[start:min(cap(k.body), start+most)])
	k.body = k.body[:start+n]
	if k.err = k.room.count(n); k.err == nil {
		k.err = err
	}
	return k.body[start:]
}

// Read implements io.Reader for the decoder of the content coding.
func (k *bodyReader) Read(p []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n := copy(p, k.next(len(p)))
	return n, k.err
}

// relay passes the decoded body on as it arrives, until the end or the first error.
func (k *bodyReader) relay(out outputRun) {
	var from io.Reader = k
	if jobs.Gzipped(k.res.Header) {
		z, err := gzip.NewReader(k)
		if err != nil {
			return
		}
		from = z
	}
	progress := reporter{out: out}
	buffer := make([]byte, readSize)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			out.Output("body", buffer[:n])
			progress.write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// nextSize is the size of the buffer that replaces a full one. An announced length is trusted
// once a part of it has arrived. One byte more than the room shows whether the body is too
// large.
func nextSize(have int, announced, room int64) int {
	size := max(2*have, firstSize)
	if announced > int64(have) && announced <= int64(max(4*have, 16*firstSize)) {
		size = int(announced)
	}
	return int(min(int64(size), int64(have)+room+1))
}

// streams reports whether an answer of that type is a stream of events or lines.
func streams(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl",
		"application/jsonlines", "application/x-jsonlines", "application/stream+json", "application/json-seq":
		return true
	}
	return false
}

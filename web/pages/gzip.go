package pages

import (
	"bytes"
	"compress/gzip"
	"runtime"
)

// Pages are sent compressed, which makes them six times smaller. The length of an answer
// reveals no secret (BREACH): no page holds a token, and the cookie is SameSite=Strict, so
// that requests from other sites get the login page. API answers and streams are not
// compressed.

// zippers are the compressors; each works on one page at a time. Pages are compressed in
// memory, so that no request waits for the network of another.
var zippers = func() chan *gzip.Writer {
	idle := make(chan *gzip.Writer, runtime.GOMAXPROCS(0))
	for range cap(idle) {
		idle <- gzip.NewWriter(nil) // it allocates its memory with the first page
	}
	return idle
}()

// zipped is the compressed page.
func zipped(page []byte) []byte {
	z := <-zippers
	defer func() { zippers <- z }()
	var b bytes.Buffer
	b.Grow(len(page) / 4)
	z.Reset(&b)
	z.Write(page) // to memory
	z.Close()
	return b.Bytes()
}

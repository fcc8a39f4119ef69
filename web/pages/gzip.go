package pages

import (
	"bytes"
	"compress/gzip"
	"runtime"
)

// Pages are sent compressed: they shrink to a sixth. That tells nobody a secret by the
// length of an answer (BREACH): no page holds a token, and the cookie is SameSite=Strict,
// so that the requests of other sites get the login page. API answers and streams are
// left as they are.

// zippers compress, each for one page at a time. A page is in memory, so that nobody waits
// for another's network.
var zippers = func() chan *gzip.Writer {
	idle := make(chan *gzip.Writer, runtime.GOMAXPROCS(0))
	for range cap(idle) {
		idle <- gzip.NewWriter(nil) // which takes its memory with the first page
	}
	return idle
}()

// zipped is a page compressed.
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

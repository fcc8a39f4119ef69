package transform

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	maxCodings = 2       // content encodings on top of each other
	zstdWindow = 8 << 20 // the largest window that RFC 9659 allows on the web, in bytes
	brQuality  = 4       // of 0 to 11: about as fast as gzip
)

// acceptEncoding is what an upstream may use for an answer with a rule for bodies.
const acceptEncoding = "gzip, br, zstd, deflate"

var (
	errCoding = errors.New("unknown content encoding")
	errSize   = errors.New("too large")
	errTail   = errors.New("there are bytes behind the end of the encoded body")
)

// codings returns the content encodings of a body in the order in which they were applied.
// The error is errCoding.
func codings(h http.Header) ([]string, error) {
	var all []string
	for _, line := range h["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "x-gzip":
				all = append(all, "gzip")
			case "gzip", "deflate", "br", "zstd":
				all = append(all, name)
			default:
				return nil, errCoding
			}
		}
	}
	if len(all) > maxCodings {
		return nil, errCoding
	}
	return all, nil
}

// decode undoes content encodings. No step may give more than limit bytes (errSize).
func decode(body []byte, codings []string, limit int64) ([]byte, error) {
	for _, name := range slices.Backward(codings) {
		var err error
		if body, err = decodeOne(body, name, limit); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func decodeOne(body []byte, coding string, limit int64) ([]byte, error) {
	src := bytes.NewReader(body)
	var from io.Reader
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		from = r
	case "deflate":
		r, err := zlib.NewReader(src)
		if err != nil {
			return nil, err
		}
		from = r
	case "br":
		from = brotli.NewReader(src)
	case "zstd":
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		from = r
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(from, limit+1))
	switch {
	case n > limit:
		return nil, errSize
	case err != nil:
		return nil, err
	case coding == "deflate" && src.Len() > 0:
		return nil, errTail
	}
	return out.Bytes(), nil
}

// encode applies content encodings.
func encode(body []byte, codings []string) ([]byte, error) {
	for _, name := range codings {
		var out bytes.Buffer
		var err error
		switch name {
		case "gzip":
			err = pooled(&gzips, &out, body)
		case "deflate":
			err = pooled(&zlibs, &out, body)
		case "br":
			err = pooled(&brotlis, &out, body)
		case "zstd":
			body = zstdEncoder().EncodeAll(body, nil)
			continue
		}
		if err != nil {
			return nil, err
		}
		body = out.Bytes()
	}
	return body, nil
}

type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

var (
	gzips       = sync.Pool{New: func() any { return encoder(gzip.NewWriter(nil)) }}
	zlibs       = sync.Pool{New: func() any { return encoder(zlib.NewWriter(nil)) }}
	brotlis     = sync.Pool{New: func() any { return encoder(brotli.NewWriterLevel(nil, brQuality)) }}
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		return e
	})
)

func pooled(pool *sync.Pool, to io.Writer, body []byte) error {
	w := pool.Get().(encoder)
	defer pool.Put(w)
	w.Reset(to)
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

package demo

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"
)

// FileDigest is the result of a job of FileKind.
type FileDigest struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	GzipBytes int64  `json:"gzip_bytes"` // after compression
}

const (
	digestChunk = 256 << 10
	digestEvery = 100 * time.Millisecond // between reports of progress
)

// Digest hashes and compresses a file. It writes lines to progress that jobhub work reports
// as progress of the job.
func Digest(ctx context.Context, path string, progress io.Writer) (d FileDigest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return d, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return d, err
	}
	hash, count := sha256.New(), &counter{}
	zip := gzip.NewWriter(count)
	d.Path = path
	for next := time.Now(); ctx.Err() == nil; {
		n, err := io.CopyN(io.MultiWriter(hash, zip), f, digestChunk)
		d.Bytes += n
		if err != nil && err != io.EOF {
			return d, err
		}
		if now := time.Now(); now.After(next) || err == io.EOF {
			next = now.Add(digestEvery)
			fmt.Fprintf(progress, "::progress %d %d of %d bytes\n", 100*min(d.Bytes, info.Size())/max(info.Size(), 1), d.Bytes, info.Size())
		}
		if err == io.EOF {
			err = zip.Close()
			d.SHA256, d.GzipBytes = hex.EncodeToString(hash.Sum(nil)), count.bytes
			return d, err
		}
	}
	return d, ctx.Err()
}

// counter counts what is written to it.
type counter struct{ bytes int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

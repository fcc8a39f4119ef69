package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-json-experiment/json"
)

const digestUsage = `Usage: jobhub work --kind file.digest -- jobhub digest

Reads {"path":"…"} from standard input, computes the SHA-256 of the file and how small
gzip makes it, and reports like any command of jobhub work.

`

// digest is what is found out about a file.
type digest struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	GzipBytes int64  `json:"gzip_bytes"`
}

func runDigest(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	args, code, ok := parseClient(newFlags("digest", digestUsage, stderr), args)
	if !ok {
		return code
	}
	var in struct {
		Path string `json:"path"`
	}
	if err := json.UnmarshalRead(os.Stdin, &in); err != nil || in.Path == "" || len(args) > 0 {
		fmt.Fprintln(stderr, `jobhub digest: want {"path":"…"} on standard input and no arguments`)
		return exDataErr
	}
	d, err := digestFile(ctx, in.Path, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub digest:", err)
		if os.IsNotExist(err) || os.IsPermission(err) {
			return exDataErr
		}
		return 1
	}
	fmt.Fprint(stdout, "::result ")
	json.MarshalWrite(stdout, d)
	fmt.Fprintln(stdout)
	return 0
}

const (
	digestChunk = 256 << 10
	digestEvery = 100 * time.Millisecond // between reports of progress
)

func digestFile(ctx context.Context, path string, progress io.Writer) (d digest, err error) {
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

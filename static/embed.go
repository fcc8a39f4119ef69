// Package static holds what browsers load: stylesheet, scripts, icon. All of it is in
// the program; no page asks another server for anything.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed *.css *.js *.svg vendor/*.js
var FS embed.FS

const prefix = "/static/"

// file is a file as it is served.
type file struct {
	version string // short hash of the content
	plain   []byte
	zipped  []byte // nil if that is not smaller
}

var files = func() map[string]file {
	all := map[string]file{}
	err := fs.WalkDir(FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		f := file{}
		if f.plain, err = FS.ReadFile(name); err != nil {
			return err
		}
		if path.Dir(name) == "." && path.Ext(name) == ".js" {
			f.plain = bare(f.plain)
		}
		sum := sha256.Sum256(f.plain)
		f.version = hex.EncodeToString(sum[:6])
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is known
		w.Write(f.plain)                                      // to memory, as Close
		if w.Close(); b.Len() < len(f.plain) {
			f.zipped = b.Bytes()
		}
		all[name] = f
		return nil
	})
	if err != nil { // the files are in the program
		panic(err)
	}
	return all
}()

// bare leaves out what only readers of the source need: indentation, and lines that are a
// comment. Our scripts have no literal that goes over several lines.
func bare(script []byte) []byte {
	var out []byte
	for line := range bytes.Lines(script) {
		if line = bytes.TrimLeft(line, " \t"); len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			out = append(out, line...)
		}
	}
	return out
}

// Path is the URL path of a file, with its version: what it names never changes.
func Path(name string) string { return prefix + name + "?v=" + files[name].version }

// Handler serves the files below /static/. A URL with the right version may be kept
// for good; any other is asked for again and answered 304 while it is the same.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, prefix)
		f, known := files[name]
		if !known {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Vary", "Accept-Encoding")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == f.version {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		content, tag := f.plain, f.version
		if f.zipped != nil && r.Header.Get("Range") == "" && takesGzip(r.Header.Get("Accept-Encoding")) {
			content, tag = f.zipped, f.version+"-gz"
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
}

// takesGzip reads an Accept-Encoding header (RFC 9110, section 12.5.3).
func takesGzip(accept string) bool {
	for item := range strings.SplitSeq(accept, ",") {
		coding, weight, _ := strings.Cut(item, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// Package static holds the files that browsers load: stylesheet, scripts, icon. They are part
// of the program; no page loads anything from another server. The folder dist has our scripts
// and stylesheet minified; make generate writes it.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed dist/*.css dist/*.js *.svg vendor/*.js
var embedded embed.FS

const prefix = "/static/"

// file is a served file.
type file struct {
	hash  string // of the content, shortened
	forms func() (plain, zipped []byte)
}

// site is all files by name, and their version: a hash of everything.
type site struct {
	version string
	files   map[string]file
}

// loaded reads all files at the first request: most commands of the program never need them.
var loaded = sync.OnceValue(func() site {
	s := site{files: map[string]file{}}
	all := sha256.New()
	err := fs.WalkDir(embedded, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		sum := sha256.Sum256(content)
		all.Write(sum[:])
		s.files[strings.TrimPrefix(name, "dist/")] = file{shortHash(sum[:]), sync.OnceValues(func() (plain, zipped []byte) { return content, zip(content) })}
		return err
	})
	if err != nil { // can't happen: the files are in the program
		panic(err)
	}
	s.version = shortHash(all.Sum(nil))
	return s
})

func shortHash(sum []byte) string { return hex.EncodeToString(sum[:6]) }

// zip returns the content compressed, or nil if that is not smaller.
func zip(content []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is known
	w.Write(content)                                      // to memory, as Close
	if w.Close(); b.Len() >= len(content) {
		return nil
	}
	return b.Bytes()
}

// Path is the URL path of a file. It begins with the version of all files, so what it names
// never changes, and a module finds those that it imports under the same version.
func Path(name string) string { return prefix + loaded().version + "/" + name }

// Serve answers a request for a file below /static/, or reports false if there is no such
// file. With the current version the answer may be kept for good. With none, or that of
// another release, a browser has to ask again and gets 304 while the file is the same.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	s := loaded()
	name := strings.TrimPrefix(r.URL.Path, prefix)
	f, known := s.files[name]
	version := ""
	if !known {
		version, name, _ = strings.Cut(name, "/")
		if f, known = s.files[name]; !known {
			return false
		}
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if version == s.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content, zipped := f.forms()
	tag := f.hash
	if zipped != nil && r.Header.Get("Range") == "" && TakesGzip(r) {
		content, tag = zipped, f.hash+"-gz"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	return true
}

// TakesGzip reads the Accept-Encoding header of a request (RFC 9110, section 12.5.3).
func TakesGzip(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	for item := range strings.SplitSeq(accept, ",") {
		coding, weight, _ := strings.Cut(item, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// Package static holds the files that browsers load: stylesheet, scripts, icon. They are part
// of the program; no page loads anything from another server.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

//go:embed *.css *.js *.svg vendor/*.js
var FS embed.FS

const prefix = "/static/"

// file is a served file.
type file struct {
	version string // short hash of the content
	forms   func() (plain, zipped []byte)
}

// files returns all files by name. They are read at the first request: most commands of the
// program never need them.
var files = sync.OnceValue(func() map[string]file {
	all := map[string]file{}
	err := fs.WalkDir(FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(all, name, nil)
	})
	if err != nil { // can't happen: the files are in the program
		panic(err)
	}
	return all
})

// imported matches the import of a module from the same folder.
var imported = regexp.MustCompile(`((?:from|import)\s*\(?\s*)"\./([\w/.-]+\.js)"`)

// add adds a file, after those that it imports. It imports them with their versions, as the
// pages do, so that browsers can cache modules forever and load each only once.
func add(all map[string]file, name string, above []string) error {
	if _, known := all[name]; known {
		return nil
	}
	if slices.Contains(above, name) {
		return fmt.Errorf("modules import each other in a cycle: %s", append(above, name))
	}
	source, err := FS.ReadFile(name)
	if path.Ext(name) == ".js" {
		source = imported.ReplaceAllFunc(source, func(match []byte) []byte {
			part := imported.FindSubmatch(match)
			module := string(part[2])
			if err == nil {
				err = add(all, module, append(above, name))
			}
			return fmt.Appendf(nil, `%s"./%s?v=%s"`, part[1], module, all[module].version)
		})
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(source)
	all[name] = file{hex.EncodeToString(sum[:6]), sync.OnceValues(func() (plain, zipped []byte) { return forms(name, source) })}
	return nil
}

// small minifies files.
var small = func() *minify.M {
	m := minify.New()
	m.AddFunc(".css", css.Minify)
	m.AddFunc(".js", js.Minify)
	return m
}()

// forms returns a file as it is sent, and compressed; nil if that is not smaller.
func forms(name string, source []byte) (plain, zipped []byte) {
	plain = source
	if path.Dir(name) == "." { // those in vendor are minified already
		if shorter, err := small.Bytes(path.Ext(name), source); err == nil { // else it is sent unchanged
			plain = shorter
		}
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // can't fail: the level is valid
	w.Write(plain)                                        // to memory, as Close
	if w.Close(); b.Len() < len(plain) {
		zipped = b.Bytes()
	}
	return plain, zipped
}

// Path is the URL path of a file, with its version. The content of that URL never changes.
func Path(name string) string { return prefix + name + "?v=" + files()[name].version }

// Handler serves the files below /static/. A URL with the right version may be cached
// forever; any other is revalidated, and answered 304 while the file is the same.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, prefix)
		f, known := files()[name]
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
		plain, zipped := f.forms()
		content, tag := plain, f.version
		if zipped != nil && r.Header.Get("Range") == "" && TakesGzip(r) {
			content, tag = zipped, f.version+"-gz"
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("ETag", `"`+tag+`"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
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

// Package static holds what browsers load: stylesheet, scripts, icon. All of it is in
// the program; no page asks another server for anything.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed *.css *.js *.svg vendor/*.js
var FS embed.FS

const prefix = "/static/"

// versions holds the short content hash of every file.
var versions = func() map[string]string {
	all := map[string]string{}
	err := fs.WalkDir(FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := FS.ReadFile(name)
		sum := sha256.Sum256(data)
		all[name] = hex.EncodeToString(sum[:6])
		return err
	})
	if err != nil { // the files are in the program
		panic(err)
	}
	return all
}()

// Path is the URL path of a file, with its version: what it names never changes.
func Path(name string) string { return prefix + name + "?v=" + versions[name] }

// Handler serves the files below /static/. A URL with the right version may be kept
// for good; any other is asked for again and answered 304 while it is the same.
func Handler() http.Handler {
	files := http.StripPrefix(prefix, http.FileServerFS(FS))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, known := versions[strings.TrimPrefix(r.URL.Path, prefix)]
		if !known {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("ETag", `"`+version+`"`)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Query().Get("v") == version {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}

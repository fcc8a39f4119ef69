package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// setOrigin sets Origin, WebOrigin and BasePath from the configured address of the hub.
func (s *Server) setOrigin() {
	s.Origin = strings.TrimSuffix(s.config.Origin, "/")
	s.WebOrigin = s.Origin
	if u, err := url.Parse(s.Origin); err == nil && u.Host != "" {
		s.BasePath, s.WebOrigin = u.Path, strings.TrimSuffix(s.Origin, u.Path)
		s.config.Hosts = append(slices.Clip(s.config.Hosts), u.Hostname())
	}
}

// stripBasePath is for a hub below a path of its host. It removes that path from a request,
// unless a proxy did so before, and adds it to the Location headers of the answer.
func (s *Server) stripBasePath(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	strip := func(path string) string {
		rest, ok := strings.CutPrefix(path, s.BasePath)
		if !ok || rest != "" && rest[0] != '/' {
			return path
		}
		return "/" + strings.TrimPrefix(rest, "/")
	}
	inner := *r
	inner.URL = new(url.URL)
	*inner.URL = *r.URL
	inner.URL.Path, inner.URL.RawPath = strip(r.URL.Path), strip(r.URL.RawPath)
	if r.URL.RawPath == "" {
		inner.URL.RawPath = ""
	}
	return &basePathWriter{ResponseWriter: w, base: s.BasePath}, &inner
}

// basePathWriter adds the base path to headers that hold a path of the hub.
type basePathWriter struct {
	http.ResponseWriter
	base        string
	wroteHeader bool
}

func (w *basePathWriter) WriteHeader(status int) {
	if !w.wroteHeader && status >= 200 {
		w.wroteHeader = true
		for _, name := range []string{"Location", "Operation-Location"} {
			if path := w.Header().Get(name); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
				w.Header().Set(name, w.base+path)
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *basePathWriter) Write(b []byte) (int, error) {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *basePathWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

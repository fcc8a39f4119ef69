package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// setOrigin reads where the hub is from its address.
func (s *Server) setOrigin() {
	s.Origin = strings.TrimSuffix(s.config.Origin, "/")
	s.WebOrigin = s.Origin
	if u, err := url.Parse(s.Origin); err == nil && u.Host != "" {
		s.BasePath, s.WebOrigin = u.Path, strings.TrimSuffix(s.Origin, u.Path)
		s.config.Hosts = append(slices.Clip(s.config.Hosts), u.Hostname())
	}
}

// stripBasePath is for a hub below a path of its host. It takes that path off a request, unless a
// proxy did so before, and puts it in front of where the answer leads.
func (s *Server) stripBasePath(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request) {
	off := func(path string) string {
		rest, ok := strings.CutPrefix(path, s.BasePath)
		if !ok || rest != "" && rest[0] != '/' {
			return path
		}
		return "/" + strings.TrimPrefix(rest, "/")
	}
	inner := *r
	inner.URL = new(url.URL)
	*inner.URL = *r.URL
	inner.URL.Path, inner.URL.RawPath = off(r.URL.Path), off(r.URL.RawPath)
	if r.URL.RawPath == "" {
		inner.URL.RawPath = ""
	}
	return &basePathWriter{ResponseWriter: w, base: s.BasePath}, &inner
}

// basePathWriter puts a path in front of the headers that lead to a path of the hub.
type basePathWriter struct {
	http.ResponseWriter
	base  string
	begun bool
}

func (w *basePathWriter) WriteHeader(status int) {
	if !w.begun && status >= 200 {
		w.begun = true
		for _, name := range []string{"Location", "Operation-Location"} {
			if path := w.Header().Get(name); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
				w.Header().Set(name, w.base+path)
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *basePathWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *basePathWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

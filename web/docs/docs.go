package docs

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file serves the documents that describe the hub to machines. They are written in
// YAML, in parts by topic, and put together on first use.

//go:embed *.yaml asyncapi openapi pages
var docsFiles embed.FS

// sampleOrigin is the address of the hub in the source of documents and pages. It is replaced
// by the address of the hub that serves them.
const sampleOrigin = "http://127.0.0.1:8080"

// documents are read from the embedded files once for each Server, as they contain its address.
type documents struct {
	openapi, asyncapi func() ([]byte, error)
	pages             func() (map[string]view.Docs, error)
}

func (s *Server) read() documents {
	return documents{
		openapi:  sync.OnceValues(func() ([]byte, error) { return s.readDocument("openapi") }),
		asyncapi: sync.OnceValues(func() ([]byte, error) { return s.readDocument("asyncapi") }),
		pages:    sync.OnceValues(s.readPages),
	}
}

func (s *Server) openapi(w http.ResponseWriter, r *http.Request) error {
	return s.document(w, r, s.documents.openapi)
}

func (s *Server) asyncapi(w http.ResponseWriter, r *http.Request) error {
	return s.document(w, r, s.documents.asyncapi)
}

func (s *Server) document(w http.ResponseWriter, r *http.Request, read func() ([]byte, error)) error {
	doc, err := read()
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, doc[:len(doc):len(doc)]) // the slice is shared, so an append must copy it
}

func (s *Server) readDocument(name string) ([]byte, error) {
	whole, err := s.mergeDocument(name)
	if err != nil {
		return nil, err
	}
	return appendOrdered(nil, whole)
}

// mergeDocument puts a document together from its parts and the schemas that all share.
func (s *Server) mergeDocument(name string) (object, error) {
	parts, err := fs.Glob(docsFiles, name+"/*.yaml")
	if err != nil {
		return nil, err
	}
	var whole object
	for _, file := range append(parts, "schemas.yaml", "schemas_callbacks.yaml") {
		text, err := docsFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		part, err := parse(s.here(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(file), err)
		}
		if whole, err = merge(whole, part); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(file), err)
		}
	}
	return whole, nil
}

// here replaces the sample address in a text by the address of this hub.
func (s *Server) here(text string) string {
	origin := cmp.Or(s.Origin, sampleOrigin)
	host := func(o string) string { _, host, _ := strings.Cut(o, "://"); return host }
	secure := ""
	if strings.HasPrefix(origin, "https://") {
		secure = "s"
	}
	return strings.NewReplacer(sampleOrigin, origin, "ws://"+host(sampleOrigin), "ws"+secure+"://"+host(origin), host(sampleOrigin), host(origin),
		"protocol: ws\n", "protocol: ws"+secure+"\n", "protocol: http\n", "protocol: http"+secure+"\n").Replace(text)
}

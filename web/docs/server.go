package docs

import (
	"jobhub/web/pages"
	"jobhub/web/rest"
)

// Server serves the documents that describe the hub.
type Server struct {
	*rest.Base
	pages     *pages.Server
	documents documents
}

// New returns the documents of a server, as pages of the dashboard.
func New(b *rest.Base, p *pages.Server) *Server {
	s := &Server{Base: b, pages: p}
	s.documents = s.read()
	return s
}

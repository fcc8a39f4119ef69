package api

import "jobhub/web/rest"

// Server answers the JSON API.
type Server struct {
	*rest.Base
	workers workers
}

// New returns the API of a server.
func New(b *rest.Base) *Server {
	s := &Server{Base: b}
	s.workers = workers{s}
	return s
}

// workers are the calls of workers, and those about them.
type workers struct{ *Server }

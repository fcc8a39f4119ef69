package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/peers"
)

// errSlowBody answers a request of which nothing more has come for too long.
var errSlowBody error = &jobs.Problem{Type: "urn:jobhub:problem:timeout", Title: "Request timeout", Code: "timeout", Status: http.StatusRequestTimeout,
	Detail: "Nothing more of the body came for too long. Send it again."}

// errManyWrong answers wrong keys and tokens of an address that has shown too many.
var errManyWrong error = &jobs.Problem{Type: "urn:jobhub:problem:rate_limited", Title: "Too many wrong credentials", Code: rateLimited, Status: http.StatusTooManyRequests,
	Detail: "This key or token is not good, and too many such came from this address. Try again in a moment, with a good one."}

// Listen puts the bounds on connections before a listener, and sets up the server that is
// to use it. Call it once.
func (s *Server) Listen(server *http.Server, below net.Listener) net.Listener {
	server.ReadHeaderTimeout, server.IdleTimeout, server.MaxHeaderBytes = headerTime, idleTime, maxHeader
	total, reserve := peers.Room(peers.Files())
	s.front = peers.Listen(below, peers.Options{Stall: s.StallLimit, Total: total, Reserve: reserve, Trusted: s.trustsAddress,
		PerAddress: func() int { return s.settings.Load().ConnectionsPerAddress }})
	s.front.Serve(server)
	return s.front
}

// callerAddress is where a request comes from.
func callerAddress(r *http.Request) netip.Addr {
	address, _ := peers.AddressOf(r.RemoteAddr)
	return address
}

// authenticate returns who shows a key or token from an address. Too many wrong ones of an
// address are told so; right ones are never refused.
func (s *Server) authenticate(address netip.Addr, bearer string, now time.Time) (auth.Identity, error) {
	who, err := s.Auth.Authenticate(bearer, now)
	if errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) {
		if wait := s.wrong.Fail(address, now); wait > 0 {
			return who, errManyWrong
		}
	}
	return who, err
}

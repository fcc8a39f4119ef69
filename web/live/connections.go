package live

import (
	"runtime/debug"
	"time"

	"jobhub/jobs"
)

// join adds an open WebSocket; it returns false when the server drains.
func (s *Server) join(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined[c] = struct{}{}
	s.churnedLocked()
	s.Hub.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
	if s.Stopped.Err() != nil {
		c.wire.Close()
	}
	return !s.draining
}

func (s *Server) part(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.joined, c)
	s.churnedLocked()
	s.Hub.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
}

// churnedLocked returns free memory to the system after many connections came or went:
// without it, the memory of handshakes and closed connections would stay for minutes.
func (s *Server) churnedLocked() {
	if s.churn++; s.churn == churnMany {
		time.AfterFunc(churnRest, s.giveBack)
	}
}

const (
	churnMany = 1000
	churnRest = 3 * time.Second
)

func (s *Server) giveBack() {
	s.mu.Lock()
	more := s.churn >= churnMany+100 // connections still come or go: repeat it later
	if s.churn = 0; more && !s.draining {
		s.churn = churnMany
		time.AfterFunc(churnRest, s.giveBack)
	}
	s.mu.Unlock()
	debug.FreeOSMemory()
}

// cut ends what is still open.
func (s *Server) cut() {
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.joined {
		c.wire.Close()
	}
}

// spreadReconnect is the time over which clients are asked to spread their reconnects.
const spreadReconnect = 2 * time.Second

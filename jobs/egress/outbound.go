package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
)

// OutboundSetting is an Outbound that may be replaced at any time. Nil, and the zero value, is the
// zero Outbound.
type OutboundSetting struct {
	now atomic.Pointer[Outbound]
}

var straight = new(Outbound)

// Set replaces it; calls under way end as they began.
func (s *OutboundSetting) Set(o Outbound) { s.now.Store(&o) }

// Get is what it is now. The same pointer means that nothing has changed.
func (s *OutboundSetting) Get() *Outbound {
	if s != nil {
		if o := s.now.Load(); o != nil {
			return o
		}
	}
	return straight
}

// Follow returns a transport that reaches only what the guard lets through, and follows a
// setting.
func (g *Guard) Follow(s *OutboundSetting) http.RoundTripper { return &follower{guard: g, setting: s} }

type follower struct {
	guard   *Guard
	setting *OutboundSetting

	mu        sync.Mutex // protects the fields below
	of        *Outbound
	transport *Transport
}

// RoundTrip implements http.RoundTripper.
func (f *follower) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.current().RoundTrip(r)
}

func (f *follower) current() *Transport {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.setting.Get(); f.of != now {
		if f.transport != nil {
			f.transport.CloseIdleConnections()
		}
		f.of, f.transport = now, f.guard.Transport(*now)
	}
	return f.transport
}

// Outbound is how calls leave this machine. The zero value goes straight, trusts what the
// machine trusts, and shows no certificate.
type Outbound struct {
	Proxy       *url.URL         // through which all calls go
	CAs         *x509.CertPool   // whom to trust; nil for what the machine trusts
	Certificate *tls.Certificate // shown to servers that ask for one

	MaxAnswer int64 // largest body of an answer in bytes; 0 for the default
}

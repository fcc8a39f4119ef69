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

// Set replaces the Outbound; calls under way are not affected.
func (s *OutboundSetting) Set(o Outbound) { s.now.Store(&o) }

// Get returns the current Outbound. The pointer changes only with Set.
func (s *OutboundSetting) Get() *Outbound {
	if s != nil {
		if o := s.now.Load(); o != nil {
			return o
		}
	}
	return straight
}

// Follow returns a transport that reaches only addresses that the guard allows, and always
// uses the current Outbound of a setting.
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

// Outbound is how calls leave this machine. The zero value connects directly, trusts the CAs
// of the machine, and sends no certificate.
type Outbound struct {
	Proxy       *url.URL         // through which all calls go
	CAs         *x509.CertPool   // whom to trust; nil for what the machine trusts
	Certificate *tls.Certificate // shown to servers that ask for one

	MaxAnswer int64 // largest body of an answer in bytes; 0 for the default
}

package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/peers"
)

// ErrAnonymous is what identify returns, itself, where keys are configured and the
// request shows no credentials: a WebSocket connection may still show some in its hello.
var ErrAnonymous error = jobs.NewProblem(unauthorized, "Credentials needed",
	"Send Authorization: Bearer and a key. jobhub keys create makes one on the hub's machine; commands take it from --token or JOBHUB_TOKEN.")

var ErrExpired error = jobs.NewProblem(unauthorized, "Expired", "The key or token has expired; get another.")

// SessionCookie is the dashboard's; it holds no key.
const SessionCookie = "jobhub_session"

// tokenProtocol begins an offered subprotocol that carries a key or token in base64url,
// as browsers can send no header with a WebSocket.
const tokenProtocol = "jobhub.token."

// Identify returns who sends a request: by the header for keys, Authorization, an offered
// subprotocol or the dashboard's cookie, whichever comes first. Without keys it is
// everybody's auth.Local.
func (s *Base) Identify(r *http.Request) (auth.Identity, error) {
	now := time.Now()
	if job := ActingJob(r.Context()); job != nil {
		return s.actingIdentity(job, now)
	}
	if !s.KeysRequired(now) {
		return auth.Local, nil
	}
	shown, err := s.Credentials(r)
	if err != nil {
		return auth.Identity{}, err
	}
	if shown.Source != noCredentials {
		who, err := s.Authenticate(ClientAddress(r), shown.text, now)
		return who, CredentialsProblem(err)
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil && s.Settings().OnDashboardHost(r) {
		who, err := s.Auth.Resume(cookie.Value, now)
		switch {
		case err == nil && changes(r) && !s.sameOrigin(r):
			return auth.Identity{}, jobs.NewProblem(Forbidden, "Foreign origin", "With the dashboard's cookie, only its own pages may change anything. Use a key.")
		case err == nil:
			return who, nil
		case !IsCredentialsError(err):
			return auth.Identity{}, err
		}
	}
	return auth.Identity{}, ErrAnonymous
}

// KeysRequired reports whether callers have to say who they are.
func (s *Base) KeysRequired(now time.Time) bool { return s.Auth != nil && s.Auth.Configured(now) }

// actingIdentity is who a job acts for when it asks the hub for something. One without a caller may
// do nothing.
func (s *Base) actingIdentity(job *jobs.Job, now time.Time) (auth.Identity, error) {
	if job.Caller == "" {
		return auth.Identity{Tenant: job.Tenant}, nil
	}
	if s.Auth == nil {
		who := auth.Local
		who.Tenant = job.Tenant
		return who, nil
	}
	return s.Auth.Acting(job.Tenant, job.Caller, now)
}

// WhileValid is a context that ends when the credentials of a caller are no good any more; the
// cause is that of auth.Keys.While.
func (s *Base) WhileValid(ctx context.Context, who auth.Identity) (context.Context, context.CancelFunc) {
	if s.Auth == nil {
		return context.WithCancel(ctx)
	}
	return s.Auth.While(ctx, who)
}

// Bearer is a key or token that a request shows outright.
type Bearer struct {
	text string
	Source CredentialsSource
}

// place is where credentials are shown.
type CredentialsSource uint8

const (
	noCredentials CredentialsSource = iota
	FromHeader
	fromSubprotocol // where only browsers show them
)

// shown reads the credentials of a request. Other schemes of Authorization than Bearer are
// of a proxy in front of the hub or for an API behind it.
func (s *Base) Credentials(r *http.Request) (Bearer, error) {
	if values := r.Header.Values(s.KeyHeader()); len(values) > 0 {
		if len(values) > 1 {
			return Bearer{}, jobs.NewProblem(unauthorized, "Malformed credentials", "Send one header %s with a key or token.", s.KeyHeader())
		}
		return Bearer{strings.TrimSpace(values[0]), FromHeader}, nil
	}
	malformed := jobs.NewProblem(unauthorized, "Malformed credentials", "Send one header Authorization: Bearer with a key or token.")
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, text, ok := strings.Cut(values[0], " ")
		if !ok || len(values) > 1 {
			return Bearer{}, malformed
		}
		if strings.EqualFold(scheme, "Bearer") {
			return Bearer{strings.TrimSpace(text), FromHeader}, nil
		}
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(line, ",") {
			if coded, ok := strings.CutPrefix(strings.TrimSpace(offer), tokenProtocol); ok {
				text, err := base64.RawURLEncoding.DecodeString(coded)
				if err != nil {
					return Bearer{}, malformed
				}
				return Bearer{string(text), fromSubprotocol}, nil
			}
		}
	}
	return Bearer{}, nil
}

func IsCredentialsError(err error) bool {
	return errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) || errors.Is(err, auth.ErrExpired)
}

// CredentialsProblem is the problem of credentials that are no good. Another error stays as it is.
func CredentialsProblem(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return jobs.NewProblem(unauthorized, "Unknown credentials", "This hub knows no such key or token.")
	case errors.Is(err, auth.ErrRevoked):
		return jobs.NewProblem(unauthorized, "Revoked", "The key was revoked; ask for another.")
	case errors.Is(err, auth.ErrExpired):
		return ErrExpired
	}
	return err
}

// challenge is the WWW-Authenticate header (RFC 6750, section 3) of an answer.
func challenge(err error) string {
	if err == ErrAnonymous {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

type identityKey struct{}

// WithIdentity is the context of a request that was let in.
func WithIdentity(ctx context.Context, who auth.Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// IdentityFromContext is who sends the request of a context, if that is known.
func IdentityFromContext(ctx context.Context) (who auth.Identity, known bool) {
	who, known = ctx.Value(identityKey{}).(auth.Identity)
	return who, known
}

// IdentityOf is who sends a request that has passed may or mayPage.
func IdentityOf(r *http.Request) auth.Identity { return r.Context().Value(identityKey{}).(auth.Identity) }

// Tenant is whose jobs the caller may see.
func Tenant(r *http.Request) string { return IdentityOf(r).Tenant }

// Caller is in whose name a request makes jobs.
func Caller(r *http.Request) string { return IdentityOf(r).Caller() }

// ErrSlowBody answers a request of which nothing more has come for too long.
var ErrSlowBody error = &jobs.Problem{Type: "urn:jobhub:problem:timeout", Title: "Request timeout", Code: "timeout", Status: http.StatusRequestTimeout,
	Detail: "Nothing more of the body came for too long. Send it again."}

// ErrTooManyFailures answers wrong keys and tokens of an address that has shown too many.
var ErrTooManyFailures error = &jobs.Problem{Type: "urn:jobhub:problem:rate_limited", Title: "Too many wrong credentials", Code: RateLimited, Status: http.StatusTooManyRequests,
	Detail: "This key or token is not good, and too many such came from this address. Try again in a moment, with a good one."}

// ClientAddress is where a request comes from.
func ClientAddress(r *http.Request) netip.Addr {
	address, _ := peers.AddressOf(r.RemoteAddr)
	return address
}

// Authenticate returns who shows a key or token from an address. Too many wrong ones of an
// address are told so; right ones are never refused.
func (s *Base) Authenticate(address netip.Addr, bearer string, now time.Time) (auth.Identity, error) {
	who, err := s.Auth.Authenticate(bearer, now)
	if errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) {
		if wait := s.Failures.Fail(address, now); wait > 0 {
			return who, ErrTooManyFailures
		}
	}
	return who, err
}

type actingJobKey struct{}

// WithActingJob is the context of requests that the hub makes to itself in the name of the
// caller of a job.
func WithActingJob(ctx context.Context, job *jobs.Job) context.Context {
	return context.WithValue(ctx, actingJobKey{}, job)
}

// ActingJob is the job in whose caller's name a request is made; nil for those from outside.
func ActingJob(ctx context.Context) *jobs.Job {
	job, _ := ctx.Value(actingJobKey{}).(*jobs.Job)
	return job
}

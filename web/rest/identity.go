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
	"jobhub/web/auth/jwt"
	"jobhub/web/peers"
)

// ErrAnonymous is the error of Identify, not wrapped, for a request without credentials to a
// hub that has keys. A WebSocket client may still send some in its hello message.
var ErrAnonymous error = jobs.NewProblem(Unauthorized, "Credentials needed",
	"Send Authorization: Bearer and a key. jobhub keys create makes one on the hub's machine; commands take it from --token or JOBHUB_TOKEN.")

// ErrExpired is the answer to credentials that have expired.
var ErrExpired error = jobs.NewProblem(Unauthorized, "Expired", "The key or token has expired; get another.")

// SessionCookie is the name of the dashboard's cookie, which holds a session and no key.
const SessionCookie = "jobhub_session"

// tokenProtocol is the prefix of an offered WebSocket subprotocol that carries a key or token
// in base64url, since browsers can't send headers with a WebSocket.
const tokenProtocol = "jobhub.token."

// Identify returns who sends a request. It looks at the header for keys, Authorization, an
// offered subprotocol and the dashboard's cookie, in this order. Without keys everybody is
// auth.Local.
func (s *Base) Identify(r *http.Request) (auth.Identity, error) {
	now := time.Now()
	if job := ActingJob(r.Context()); job != nil {
		return s.actingIdentity(job, now)
	}
	bearer, err := s.Credentials(r)
	if err == nil && s.isIssued(bearer.text) {
		who, err := s.verifyIssued(r.Context(), bearer.text)
		if ProblemOf(err).Status == http.StatusUnauthorized && s.Failures.Fail(ClientAddress(r), now) > 0 {
			return who, ErrTooManyFailures
		}
		return who, err
	}
	if !s.KeysRequired(now) {
		return auth.Local, nil
	}
	if err != nil {
		return auth.Identity{}, err
	}
	if bearer.Source != noCredentials {
		who, err := s.Authenticate(ClientAddress(r), bearer.text, now)
		return who, CredentialsProblem(err)
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil && s.Settings().OnDashboardHost(r) {
		who, err := s.Auth.Resume(cookie.Value, now)
		switch {
		case err == nil && changes(r) && !s.sameOrigin(r):
			return auth.Identity{}, jobs.NewProblem(Forbidden, "Foreign origin", "Only the dashboard's own pages may change something with its cookie. Use a key.")
		case err == nil:
			return who, nil
		case !IsCredentialsError(err):
			return auth.Identity{}, err
		}
	}
	return auth.Identity{}, ErrAnonymous
}

// KeysRequired reports whether callers need credentials.
func (s *Base) KeysRequired(now time.Time) bool { return s.Auth != nil && s.Auth.Configured(now) }

// actingIdentity returns the identity with which a job sends requests to the hub: that of its
// caller. A job without a caller may do nothing.
func (s *Base) actingIdentity(job *jobs.Job, now time.Time) (auth.Identity, error) {
	if job.Caller == "" {
		return auth.Identity{Tenant: job.Tenant}, nil
	}
	if s.Auth == nil {
		who := auth.Local
		who.Tenant = job.Tenant
		return who, nil
	}
	return s.Auth.ResolveCaller(job.Tenant, job.Caller, now)
}

// WhileValid returns a context that ends when the credentials of a caller become invalid; see
// auth.Keys.WhileValid for the cause.
func (s *Base) WhileValid(ctx context.Context, who auth.Identity) (context.Context, context.CancelFunc) {
	if s.Auth == nil {
		return context.WithCancel(ctx)
	}
	return s.Auth.WhileValid(ctx, who)
}

// Bearer is a key or token from a request; not the dashboard's cookie.
type Bearer struct {
	text   string
	Source CredentialsSource
}

// HoldsToken reports whether a WebSocket subprotocol carries a key or token.
func HoldsToken(protocol string) bool { return strings.HasPrefix(protocol, tokenProtocol) }

// CredentialsSource is where a request carries its credentials.
type CredentialsSource uint8

const (
	noCredentials CredentialsSource = iota
	FromHeader
	fromSubprotocol // used by browsers only
)

// Credentials reads the key or token of a request; Source is noCredentials if it has none.
// Authorization with another scheme than Bearer is not meant for the hub, but for a proxy in
// front of it or an API behind it.
func (s *Base) Credentials(r *http.Request) (Bearer, error) {
	if values := r.Header.Values(s.KeyHeader()); len(values) > 0 {
		if len(values) > 1 {
			return Bearer{}, jobs.NewProblem(Unauthorized, "Malformed credentials", "Send one header %s with a key or token.", s.KeyHeader())
		}
		return Bearer{strings.TrimSpace(values[0]), FromHeader}, nil
	}
	malformed := jobs.NewProblem(Unauthorized, "Malformed credentials", "Send one header Authorization: Bearer with a key or token.")
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

// IsCredentialsError reports whether an error of package auth says that credentials are
// unknown, revoked or expired.
func IsCredentialsError(err error) bool {
	return errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) || errors.Is(err, auth.ErrExpired)
}

// CredentialsProblem returns the problem for an error for which IsCredentialsError holds, and
// any other error unchanged.
func CredentialsProblem(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return jobs.NewProblem(Unauthorized, "Unknown credentials", "This hub knows no such key or token.")
	case errors.Is(err, auth.ErrRevoked):
		return jobs.NewProblem(Unauthorized, "Revoked", "The key was revoked; ask for another.")
	case errors.Is(err, auth.ErrExpired):
		return ErrExpired
	}
	return err
}

// challenge returns the WWW-Authenticate header (RFC 6750, section 3) for an error.
func challenge(err error) string {
	if text := jwt.Challenge(err); text != "" {
		return text
	}
	if err == ErrAnonymous {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

type identityKey struct{}

// WithIdentity returns the context of a request that who sends.
func WithIdentity(ctx context.Context, who auth.Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// IdentityFromContext returns who sends the request of a context, if that is known.
func IdentityFromContext(ctx context.Context) (who auth.Identity, known bool) {
	who, known = ctx.Value(identityKey{}).(auth.Identity)
	return who, known
}

// IdentityOf returns who sends a request. It panics if the request was not authenticated.
func IdentityOf(r *http.Request) auth.Identity {
	return r.Context().Value(identityKey{}).(auth.Identity)
}

// Tenant returns the tenant of the caller of an authenticated request.
func Tenant(r *http.Request) string { return IdentityOf(r).Tenant }

// Caller returns what is stored as the caller of the jobs that an authenticated request makes.
func Caller(r *http.Request) string { return IdentityOf(r).Caller() }

// ErrSlowBody is the answer to a request whose body made no progress for too long.
var ErrSlowBody error = &jobs.Problem{Type: "urn:jobhub:problem:timeout", Title: "Request timeout", Code: "timeout", Status: http.StatusRequestTimeout,
	Detail: "The body stopped arriving. Send the request again."}

// ErrTooManyFailures is the answer to a wrong key or token from an address that has sent too
// many wrong ones.
var ErrTooManyFailures error = &jobs.Problem{Type: "urn:jobhub:problem:rate_limited", Title: "Too many wrong credentials", Code: RateLimited, Status: http.StatusTooManyRequests,
	Detail: "This key or token is invalid, and this address has sent too many invalid ones. Try again in a few seconds with a valid one."}

// ClientAddress returns the IP address that a request comes from.
func ClientAddress(r *http.Request) netip.Addr {
	address, _ := peers.AddressOf(r.RemoteAddr)
	return address
}

// Authenticate returns the identity of a key or token that address has sent. Its error is that
// of auth.Keys.Authenticate, or ErrTooManyFailures; valid credentials are never refused.
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

// WithActingJob returns the context of requests that the hub sends to itself in the name of
// the caller of a job.
func WithActingJob(ctx context.Context, job *jobs.Job) context.Context {
	return context.WithValue(ctx, actingJobKey{}, job)
}

// ActingJob returns the job of WithActingJob; nil for a request from outside.
func ActingJob(ctx context.Context) *jobs.Job {
	job, _ := ctx.Value(actingJobKey{}).(*jobs.Job)
	return job
}

package web

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// errAnonymous is what identify returns, itself, where keys are configured and the
// request shows no credentials: a WebSocket connection may still show some in its hello.
var errAnonymous error = jobs.NewProblem(unauthorized, "Credentials needed",
	"Send Authorization: Bearer and a key. jobhub keys create makes one on the hub's machine; commands take it from --token or JOBHUB_TOKEN.")

var errExpired error = jobs.NewProblem(unauthorized, "Expired", "The key or token has expired; get another.")

// sessionCookie is the dashboard's; it holds no key.
const sessionCookie = "jobhub_session"

// tokenProtocol begins an offered subprotocol that carries a key or token in base64url,
// as browsers can send no header with a WebSocket.
const tokenProtocol = "jobhub.token."

// identify returns who sends a request: by the header for keys, Authorization, an offered
// subprotocol or the dashboard's cookie, whichever comes first. Without keys it is
// everybody's auth.Local.
func (s *Server) identify(r *http.Request) (auth.Identity, error) {
	now := time.Now()
	if job := callerOf(r.Context()); job != nil {
		return s.acting(job, now)
	}
	if !s.keyed(now) {
		return auth.Local, nil
	}
	shown, err := s.shown(r)
	if err != nil {
		return auth.Identity{}, err
	}
	if shown.from != nowhereShown {
		who, err := s.authenticate(callerAddress(r), shown.text, now)
		return who, refused(err)
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil && s.settings.Load().onDashboard(r) {
		who, err := s.Auth.Resume(cookie.Value, now)
		switch {
		case err == nil && changes(r) && !s.sameOrigin(r):
			return auth.Identity{}, jobs.NewProblem(forbidden, "Foreign origin", "With the dashboard's cookie, only its own pages may change anything. Use a key.")
		case err == nil:
			return who, nil
		case !lapsed(err):
			return auth.Identity{}, err
		}
	}
	return auth.Identity{}, errAnonymous
}

// keyed reports whether callers have to say who they are.
func (s *Server) keyed(now time.Time) bool { return s.Auth != nil && s.Auth.Configured(now) }

// acting is who a job acts for when it asks the hub for something. One without a caller may
// do nothing.
func (s *Server) acting(job *jobs.Job, now time.Time) (auth.Identity, error) {
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

// while is a context that ends when the credentials of a caller are no good any more; the
// cause is that of auth.Keys.While.
func (s *Server) while(ctx context.Context, who auth.Identity) (context.Context, context.CancelFunc) {
	if s.Auth == nil {
		return context.WithCancel(ctx)
	}
	return s.Auth.While(ctx, who)
}

// bearer is a key or token that a request shows outright.
type bearer struct {
	text string
	from place
}

// place is where credentials are shown.
type place uint8

const (
	nowhereShown place = iota
	inHeader
	inSubprotocol // where only browsers show them
)

// shown reads the credentials of a request. Other schemes of Authorization than Bearer are
// of a proxy in front of the hub or for an API behind it.
func (s *Server) shown(r *http.Request) (bearer, error) {
	if values := r.Header.Values(s.keyHeader()); len(values) > 0 {
		if len(values) > 1 {
			return bearer{}, jobs.NewProblem(unauthorized, "Malformed credentials", "Send one header %s with a key or token.", s.keyHeader())
		}
		return bearer{strings.TrimSpace(values[0]), inHeader}, nil
	}
	malformed := jobs.NewProblem(unauthorized, "Malformed credentials", "Send one header Authorization: Bearer with a key or token.")
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, text, ok := strings.Cut(values[0], " ")
		if !ok || len(values) > 1 {
			return bearer{}, malformed
		}
		if strings.EqualFold(scheme, "Bearer") {
			return bearer{strings.TrimSpace(text), inHeader}, nil
		}
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(line, ",") {
			if coded, ok := strings.CutPrefix(strings.TrimSpace(offer), tokenProtocol); ok {
				text, err := base64.RawURLEncoding.DecodeString(coded)
				if err != nil {
					return bearer{}, malformed
				}
				return bearer{string(text), inSubprotocol}, nil
			}
		}
	}
	return bearer{}, nil
}

func lapsed(err error) bool {
	return errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) || errors.Is(err, auth.ErrExpired)
}

// refused is the problem of credentials that are no good. Another error stays as it is.
func refused(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return jobs.NewProblem(unauthorized, "Unknown credentials", "This hub knows no such key or token.")
	case errors.Is(err, auth.ErrRevoked):
		return jobs.NewProblem(unauthorized, "Revoked", "The key was revoked; ask for another.")
	case errors.Is(err, auth.ErrExpired):
		return errExpired
	}
	return err
}

// challenge is the WWW-Authenticate header (RFC 6750, section 3) of an answer.
func challenge(err error) string {
	if err == errAnonymous {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

type identityKey struct{}

// identity is who sends a request that has passed may or mayPage.
func identity(r *http.Request) auth.Identity { return r.Context().Value(identityKey{}).(auth.Identity) }

// tenant is whose jobs the caller may see.
func tenant(r *http.Request) string { return identity(r).Tenant }

// caller is in whose name a request makes jobs.
func caller(r *http.Request) string { return identity(r).Caller() }

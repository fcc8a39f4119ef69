package rest

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"jobhub/web/auth"
	"jobhub/web/auth/jwt"
)

// This file identifies callers by tokens of identity providers (JWT).

// UseIssuers takes the tokens of these identity providers from now on. One whose options have
// not changed keeps its keys. client fetches keys.
func (s *Base) UseIssuers(all []jwt.Options, client *http.Client) error {
	var old jwt.Issuers
	if in := s.issuers.Load(); in != nil {
		old = *in
	}
	var next, made jwt.Issuers
	for _, o := range all {
		o.Client, o.Logger = client, s.Logger
		if i := slices.IndexFunc(old, func(known *jwt.Issuer) bool { return known.Options() == o }); i >= 0 {
			next = append(next, old[i])
			continue
		}
		issuer, err := jwt.New(o)
		if err != nil {
			made.Close()
			return err
		}
		made, next = append(made, issuer), append(next, issuer)
	}
	s.issuers.Store(&next)
	for _, issuer := range old {
		if !slices.Contains(next, issuer) {
			issuer.Close()
		}
	}
	return nil
}

// isIssued reports whether a bearer token is for an identity provider to verify, and not a key
// or token of the hub.
func (s *Base) isIssued(bearer string) bool {
	all := s.issuers.Load()
	return all != nil && len(*all) > 0 && strings.Count(bearer, ".") == 2 && !strings.HasPrefix(bearer, "jh")
}

// verifyIssued returns the identity of the subject of a token.
func (s *Base) verifyIssued(ctx context.Context, bearer string) (auth.Identity, error) {
	c, err := s.issuers.Load().Verify(ctx, bearer)
	if err != nil {
		return auth.Identity{}, err
	}
	return auth.Identity{Tenant: c.Tenant, Name: c.Name, Subject: "jwt:" + c.Issuer + ":" + c.Subject, Scopes: c.Scopes, Expires: c.Expires, Claims: c.Raw}, nil
}

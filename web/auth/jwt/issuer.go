package jwt

import (
	"context"
	"crypto/sha256"
	"time"
)

// Issuer verifies the tokens of one identity provider. It is safe for concurrent use.
type Issuer struct {
	given   Options // as New got them
	options Options // with defaults
	source  *source
	cache   cache
}

// Options returns the options that New was called with.
func (i *Issuer) Options() Options { return i.given }

// Close ends a fetch that is under way and returns when no goroutine is left. Requests that
// still verify tokens go on with the keys that are there.
func (i *Issuer) Close() { i.source.close() }

// Verify returns the claims of a token after verifying all that the package promises. The error
// is a *jobs.Problem: with status 401 if the token is not valid (see Challenge), or 503 if the
// keys are not there to tell. ctx ends the wait for a fetch, not the fetch.
func (i *Issuer) Verify(ctx context.Context, text string) (Claims, error) {
	if len(text) <= MaxToken {
		if claims, ok := i.remembered(sha256.Sum256([]byte(text)), time.Now()); ok {
			return claims, nil
		}
	}
	t, err := parse(text)
	if err != nil {
		return Claims{}, err
	}
	return i.verify(ctx, text, t)
}

func (i *Issuer) remembered(hash tokenHash, now time.Time) (Claims, bool) {
	keys := i.source.loaded()
	if keys == nil {
		return Claims{}, false
	}
	return i.cache.get(hash, keys, now)
}

func (i *Issuer) verify(ctx context.Context, text string, t token) (Claims, error) {
	keys, err := i.verifySignature(ctx, t)
	if err != nil {
		return Claims{}, err
	}
	claims, err := i.claims(t.claims, time.Now())
	if err != nil {
		return Claims{}, err
	}
	i.cache.put(sha256.Sum256([]byte(text)), claims, keys, len(text))
	return claims, nil
}

// verifySignature returns the set of keys of which one has signed a token. If the key is
// unknown, the keys are fetched again, once.
func (i *Issuer) verifySignature(ctx context.Context, t token) (*keySet, error) {
	keys, err := i.source.current(ctx)
	if err != nil {
		return nil, err
	}
	known, err := t.signedBy(keys)
	if known {
		return keys, err
	}
	why := i.source.refetch(ctx)
	if now := i.source.loaded(); now != nil && now != keys {
		keys = now
		known, err = t.signedBy(keys)
	}
	if !known && why != nil { // the key may be a new one
		return nil, errUnavailable(why)
	}
	return keys, err
}

// signedBy verifies the signature with the keys that fit. known is false if the provider may
// have a newer key that verifies it: the set lacks the key that the token names, or the token
// names none.
func (t token) signedBy(keys *keySet) (known bool, err error) {
	fit, known := keys.candidates(t)
	switch {
	case len(fit) == 0:
		return known, errNoKey
	case len(fit) > maxCandidates:
		return true, refused("More than %d keys fit this token. Have the identity provider name one (kid).", maxCandidates)
	}
	for _, k := range fit {
		if t.alg.method.Verify(t.signed, t.signature, k.public) == nil {
			return true, nil
		}
	}
	return t.kid != "", errSignature
}

package jwt

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"
)

// Issuers are all issuers of a configuration.
type Issuers []*Issuer

// Verify is Issuer.Verify of the issuer that the token names; Claims.Issuer tells which that
// was. If several have that name, with other audiences, the first that takes the token counts.
func (all Issuers) Verify(ctx context.Context, text string) (Claims, error) {
	if len(all) == 1 {
		return all[0].Verify(ctx, text)
	}
	if len(text) <= MaxToken {
		hash, now := sha256.Sum256([]byte(text)), time.Now()
		for _, i := range all {
			if claims, ok := i.remembered(hash, now); ok {
				return claims, nil
			}
		}
	}
	t, err := parse(text)
	if err != nil {
		return Claims{}, err
	}
	named, _ := textOf(t.claims["iss"])
	err = nil
	for _, i := range all {
		if i.options.Issuer != named {
			continue
		}
		claims, failed := i.verify(ctx, text, t)
		if failed == nil {
			return claims, nil
		}
		if err == nil {
			err = failed
		}
	}
	if err == nil {
		err = refused("The token is from an issuer whose tokens are not taken. Get one from %s.", all.names())
	}
	return Claims{}, err
}

func (all Issuers) names() string {
	if len(all) == 0 {
		return "nobody: the hub has no issuers (auth.jwt)"
	}
	var names []string
	for _, i := range all {
		names = append(names, i.options.Issuer)
	}
	return strings.Join(names, " or ")
}

// Close closes all issuers.
func (all Issuers) Close() {
	for _, i := range all {
		i.Close()
	}
}

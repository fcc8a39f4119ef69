package jwt

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"jobhub/jobs"
)

// The bounds of this package.
const (
	MaxToken    = 8 << 10   // bytes of a token
	MaxDocument = 256 << 10 // bytes of a set of keys
	MaxKeys     = 64        // keys in a set
	MaxSubject  = 255       // bytes of a subject
	MaxScopes   = 256       // scopes of a token; those after them are left out

	Skew           = time.Minute      // how far nbf and iat may be ahead
	MinRefresh     = 5 * time.Minute  // keys are kept at least so long
	MaxRefresh     = 24 * time.Hour   // and at most so long
	DefaultRefresh = time.Hour        // without Cache-Control
	MinPause       = 10 * time.Second // between two fetches
	MaxPause       = 5 * time.Minute  // between two fetches while they fail
	FetchTimeout   = 10 * time.Second // for a fetch as a whole
	Grace          = 24 * time.Hour   // how long keys count after they should have been replaced

	DefaultCacheBytes = 16 << 20
)

// Options say whose tokens are taken. They are comparable: an Issuer whose options have not
// changed can be kept when the configuration is loaded again, and keeps its keys with it.
type Options struct {
	Name     string // of the issuer in the configuration, like corp; see jobs.NameRule
	Issuer   string // must be the claim iss, exactly
	Audience string // must be the claim aud or one of its elements
	JWKS     string // address of the keys; https, or http on this machine

	TenantClaim string // the claim with the tenant; if empty, all are in jobs.DefaultTenant
	ScopesClaim string // a text with spaces, or a list; empty for scope
	NameClaim   string // for people; empty for sub

	Client     *http.Client // fetches the keys; redirects to another origin are not followed
	Logger     *slog.Logger // nil for slog.Default
	CacheBytes int          // of verified tokens; 0 for DefaultCacheBytes, negative for none
}

// New returns an issuer. It fetches nothing yet. The error names the option to correct.
func New(o Options) (*Issuer, error) {
	kept := o
	switch {
	case !jobs.WellFormedName(o.Name):
		return nil, fmt.Errorf("the name of an issuer must be %s", jobs.NameRule)
	case o.Issuer == "":
		return nil, errors.New("issuer is missing: the text that the provider puts into the claim iss")
	case o.Audience == "":
		return nil, errors.New("audience is missing: the text that the provider puts into the claim aud of tokens for this hub")
	case o.Client == nil:
		return nil, errors.New("an HTTP client is needed to fetch the keys")
	}
	if err := checkAddress(o.JWKS); err != nil {
		return nil, err
	}
	if o.ScopesClaim == "" {
		o.ScopesClaim = "scope"
	}
	if o.NameClaim == "" {
		o.NameClaim = "sub"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	return &Issuer{given: kept, options: o, source: newSource(o), cache: cache{limit: o.CacheBytes}}, nil
}

// checkAddress refuses an address of keys that others could answer for.
func checkAddress(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("jwks must be the address of the provider's keys, like https://idp.example.com/jwks.json")
	case u.Scheme == "https" || u.Scheme == "http" && onThisMachine(u.Hostname()):
		return nil
	}
	return errors.New("jwks must begin with https: whoever can change the keys on their way can sign tokens (http is taken for localhost alone)")
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

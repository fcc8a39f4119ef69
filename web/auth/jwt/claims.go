package jwt

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// Claims are what a verified token says. They are shared between requests: read only.
type Claims struct {
	Issuer  string   // Options.Name of who issued it
	Subject string   // whom it is about
	Name    string   // for people; the subject if the token has none
	Tenant  string   // jobs.DefaultTenant if no claim is configured
	Scopes  []string // well-formed ones, in the token's order
	Expires time.Time

	Raw map[string]jobs.Value // all claims, as they were signed
}

// Text returns a claim as text: a string without its quotes, anything else as it was signed,
// with all its digits. ok is false if the token has no such claim, or null.
func (c Claims) Text(name string) (text string, ok bool) {
	value := c.Raw[name]
	switch value.Kind() {
	case '"':
		return textOf(value)
	case 'n', 0:
		return "", false
	}
	return string(value), true
}

// claims checks the claims of a token whose signature is right.
func (i *Issuer) claims(raw map[string]jobs.Value, now time.Time) (Claims, error) {
	c := Claims{Issuer: i.options.Name, Tenant: jobs.DefaultTenant, Raw: raw}
	if iss, ok := textOf(raw["iss"]); !ok || iss != i.options.Issuer {
		return c, refused("The token is from another issuer. Get one from %s.", i.options.Issuer)
	}
	if !slices.Contains(audiences(raw["aud"]), i.options.Audience) {
		return c, refused("The token is not for this hub. Ask for one with the audience %s.", i.options.Audience)
	}
	if err := c.checkTimes(now); err != nil {
		return c, err
	}
	var ok bool
	if c.Subject, ok = nameOf(raw["sub"]); !ok || len(c.Subject) > MaxSubject || strings.ContainsFunc(c.Subject, unicode.IsControl) {
		return c, refused("The token's subject (sub) must be a text of 1 to %d bytes without control characters. Ask the identity provider for another token.", MaxSubject)
	}
	if claim := i.options.TenantClaim; claim != "" {
		if c.Tenant, ok = nameOf(raw[claim]); !ok || !jobs.WellFormedName(c.Tenant) {
			return c, refused("The token's claim %s must be the tenant: %s. Ask the identity provider for a token with it.", claim, jobs.NameRule)
		}
	}
	if c.Scopes, ok = scopesOf(raw[i.options.ScopesClaim]); !ok {
		return c, refused("The token's claim %s must have the scopes, as a text with spaces or a list of texts. Ask the identity provider for another token.", i.options.ScopesClaim)
	}
	if c.Name, ok = nameOf(raw[i.options.NameClaim]); !ok || len(c.Name) > MaxSubject || strings.ContainsFunc(c.Name, unicode.IsControl) {
		c.Name = c.Subject
	}
	return c, nil
}

// checkTimes checks exp, nbf and iat, and sets Expires.
func (c *Claims) checkTimes(now time.Time) error {
	exp, ok := timeOf(c.Raw["exp"])
	if !ok {
		return refused("The token must have an expiry (exp) in seconds since 1970. Ask the identity provider for one that has.")
	}
	if c.Expires = exp; !now.Before(exp) {
		return refused("The token has expired. Get another from the identity provider.")
	}
	for _, claim := range []string{"nbf", "iat"} {
		value, there := c.Raw[claim]
		if !there {
			continue
		}
		from, ok := timeOf(value)
		if !ok {
			return refused("The token's %s must be in seconds since 1970. Ask the identity provider for another token.", claim)
		}
		if from.After(now.Add(Skew)) {
			return refused("The token is not valid yet (%s). Try again later; if it was just issued, set the clocks of the hub and the identity provider.", claim)
		}
	}
	return nil
}

// maxTime is the last second of the year 9999: times behind it are not in seconds.
const maxTime = 253402300799

// timeOf reads a NumericDate (RFC 7519, section 2), which may have a fraction.
func timeOf(v jobs.Value) (time.Time, bool) {
	if v.Kind() != '0' {
		return time.Time{}, false
	}
	if seconds, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return time.Unix(seconds, 0), seconds >= 0 && seconds <= maxTime
	}
	seconds, err := strconv.ParseFloat(string(v), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxTime) {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// textOf returns the text of a JSON string.
func textOf(v jobs.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err == nil
}

// nameOf returns the text of a name that is not empty: that of a string, or the digits of a
// whole number, by which some providers name tenants and people.
func nameOf(v jobs.Value) (string, bool) {
	if v.Kind() == '0' && len(v) <= MaxSubject && strings.Trim(string(v), "0123456789") == "" {
		return string(v), true
	}
	text, ok := textOf(v)
	return text, ok && text != ""
}

// audiences returns the elements of the claim aud: a text or a list of texts.
func audiences(v jobs.Value) []string {
	if text, ok := textOf(v); ok {
		return []string{text}
	}
	var list []string
	if v.Kind() != '[' || json.Unmarshal(v, &list) != nil {
		return nil
	}
	return list
}

// scopeForm is scope-token of RFC 6749, section 3.3.
var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,128}$`)

// scopesOf returns the scopes of a claim: a text with spaces (RFC 9068), or a list of texts. What
// can't be the name of a scope is left out, since no route can ask for it.
func scopesOf(v jobs.Value) (scopes []string, ok bool) {
	switch v.Kind() {
	case 0, 'n':
		return nil, true
	case '"':
		text, ok := textOf(v)
		if !ok {
			return nil, false
		}
		scopes = strings.Split(text, " ")
	case '[':
		if json.Unmarshal(v, &scopes) != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	scopes = slices.DeleteFunc(scopes, func(scope string) bool { return !scopeForm.MatchString(scope) })
	return scopes[:min(len(scopes), MaxScopes)], true
}

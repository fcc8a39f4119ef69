package jwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestKeys(t *testing.T) {
	p256 := publicJWK(p256Private)
	rsaMembers := func(bits int, e string) string {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		n.SetBit(n, 0, 1)
		return fmt.Sprintf(`{"kty":"RSA","n":"%s","e":"%s"}`, encode(n.Bytes()), e)
	}
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	cases := map[string]struct{ jwk, fault string }{
		"RSA":               {`{` + publicJWK(rsaPrivate) + `}`, ""},
		"EC":                {`{` + p256 + `}`, ""},
		"OKP":               {`{` + publicJWK(edPrivate) + `}`, ""},
		"for signatures":    {`{"use":"sig","key_ops":["verify"],"alg":"ES256",` + p256 + `}`, ""},
		"certificates":      {`{"x5u":"https://evil.example.com/","x5c":["!"],"x5t":"!",` + p256 + `}`, ""},
		"padding":           {fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, base64.URLEncoding.EncodeToString(edPrivate[32:])), ""},
		"largest RSA":       {rsaMembers(8192, "AQAB"), ""},
		"for encryption":    {`{"use":"enc",` + p256 + `}`, "use"},
		"to sign with":      {`{"key_ops":["sign"],` + p256 + `}`, "key_ops"},
		"for nothing":       {`{"key_ops":[],` + p256 + `}`, "key_ops"},
		"other curve's alg": {`{"alg":"ES384",` + p256 + `}`, "alg"},
		"other kind's alg":  {`{"alg":"RS256",` + p256 + `}`, "alg"},
		"unknown alg":       {`{"alg":"RSA-OAEP",` + publicJWK(rsaPrivate) + `}`, "alg"},
		"HS alg":            {`{"alg":"HS256",` + publicJWK(rsaPrivate) + `}`, "alg"},
		"secret":            {`{"kty":"oct","k":"c2VjcmV0"}`, "kty"},
		"private":           {`{"d":"AQ",` + p256 + `}`, "private"},
		"no kty":            {`{"crv":"P-256"}`, "kty"},
		"weak RSA":          {rsaMembers(2047, "AQAB"), "2047 bits"},
		"huge RSA":          {rsaMembers(8193, "AQAB"), "8193 bits"},
		"exponent 1":        {rsaMembers(2048, "AQ"), "no RSA key"},
		"even exponent":     {rsaMembers(2048, "BA"), "no RSA key"},
		"huge exponent":     {rsaMembers(2048, "_____w"), "no RSA key"},
		"no exponent":       {rsaMembers(2048, ""), "no RSA key"},
		"no base64":         {`{"kty":"RSA","n":"!","e":"AQAB"}`, "base64"},
		"P-224":             {`{` + publicJWK(p224) + `}`, "crv"},
		"not on the curve":  {fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`, encode(make([]byte, 32)), encode(make([]byte, 32))), "point"},
		"short coordinate":  {strings.Replace(`{`+p256+`}`, `"x":"`, `"x":"","xx":"`, 1), "32 bytes"},
		"X25519":            {fmt.Sprintf(`{"kty":"OKP","crv":"X25519","x":"%s"}`, encode(edPrivate[32:])), "crv"},
		"short Ed25519":     {`{"kty":"OKP","crv":"Ed25519","x":"AQ"}`, "32 bytes"},
		"a text":            {`"key"`, ""},
		"key_ops is a text": {`{"key_ops":"verify",` + p256 + `}`, "key_ops"},
	}
	for name, c := range cases {
		_, err := decodeKey(jsontext.Value(c.jwk))
		taken := err == nil
		if want := c.fault == "" && name != "a text"; taken != want || !want && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
	}
}

// TestOtherKeysAreNotSpoiled: a key of a set works beside keys that can't be used.
func TestOtherKeysAreNotSpoiled(t *testing.T) {
	p := &provider{document: jwks(`"kty":"oct","k":"AQ"`, `"kty":5`, `"kty":"OKP","crv":"Ed448","x":"AQ"`, `"kid":"ed","use":"enc",`+publicJWK(otherEd), named("ed", edPrivate))}
	i := start(t, options(p))
	verify(t, i, edToken("ed", payload("")))
	if keys := i.source.loaded(); len(keys.keys) != 1 || len(keys.unusable) != 4 {
		t.Errorf("%d keys, not %q", len(keys.keys), keys.unusable)
	}
}

// TestAlgOfKey: a key that is for one algorithm verifies no other.
func TestAlgOfKey(t *testing.T) {
	p := &provider{document: jwks(`"alg":"PS256",` + named("rsa", rsaPrivate))}
	i := start(t, options(p))
	verify(t, i, sign("PS256", `{"alg":"PS256","kid":"rsa"}`, payload(""), rsaPrivate))
	refuse(t, i, sign("RS256", `{"alg":"RS256","kid":"rsa"}`, payload(""), rsaPrivate), 401, "no key")
	refuse(t, i, sign("RS256", `{"alg":"RS256","kid":"rsa"}`, payload(""), otherRSA), 401, "no key")
}

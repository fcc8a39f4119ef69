package jwt

import (
	"errors"
	"net/http"
	"testing"

	gojwt "github.com/golang-jwt/jwt/v5"

	"jobhub/jobs"
)

// FuzzToken: no text panics, and none that nobody has signed is taken.
func FuzzToken(f *testing.F) {
	i := start(f, options(&provider{document: jwks(named("ed", edPrivate), named("rsa", rsaPrivate))}))
	f.Add(sign("EdDSA", `{"alg":"EdDSA","kid":"ed"}`, payload(""), otherEd))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c.d.e")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := i.Verify(t.Context(), text)
		p, ok := errors.AsType[*jobs.Problem](err)
		if !ok || p.Status != http.StatusUnauthorized || Challenge(err) == "" {
			t.Fatalf("%q gives %v", text, err)
		}
	})
}

// FuzzSigned: of headers and payloads that the provider has signed, only those are taken that
// golang-jwt takes, too.
func FuzzSigned(f *testing.F) {
	i := start(f, options(&provider{document: jwks(named("ed", edPrivate))}))
	parser := gojwt.NewParser(gojwt.WithValidMethods(algorithmNames), gojwt.WithStrictDecoding(), gojwt.WithIssuer(issuerURL), gojwt.WithAudience("hub"),
		gojwt.WithExpirationRequired(), gojwt.WithLeeway(Skew+1e9), gojwt.WithIssuedAt(), gojwt.WithJSONNumber())
	key := func(*gojwt.Token) (any, error) { return edPrivate.Public(), nil }
	const header = `{"alg":"EdDSA","kid":"ed"}`
	f.Add(header, payload(""))
	f.Add(`{"alg":"EdDSA"}`, payload(`"scope":"a b","nbf":1.5,"iat":1e3,`))
	f.Add(header, `{"iss":"https://idp.example.com/","aud":["hub"],"sub":1,"exp":99999999999}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := sign("EdDSA", header, payload, edPrivate)
		c, err := i.Verify(t.Context(), token)
		if err != nil {
			return
		}
		if c.Subject == "" || c.Tenant == "" || c.Expires.IsZero() {
			t.Errorf("%s gives %+v", payload, c)
		}
		if _, ok := c.Raw["sub"]; ok && c.Raw["sub"].Kind() == '0' {
			return // a subject that is a number: golang-jwt refuses it
		}
		if _, err := parser.Parse(token, key); err != nil {
			t.Errorf("%s %s is taken, and refused by golang-jwt: %v", header, payload, err)
		}
	})
}

// FuzzKeySet: no document of a provider panics or gives more keys than it may.
func FuzzKeySet(f *testing.F) {
	for _, private := range privateByAlg {
		f.Add(jwks(named("a", private)))
	}
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":""}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		set, err := decodeKeySet([]byte(document))
		if err != nil {
			return
		}
		if len(set.keys)+len(set.unusable) > MaxKeys {
			t.Errorf("%d keys", len(set.keys))
		}
		for _, k := range set.keys {
			for _, name := range algorithmNames {
				if alg := algorithms[name]; alg.kind == k.kind && alg.method.Verify("a.b", make([]byte, 64), k.public) == nil {
					t.Error("zeros verify as a signature")
				}
			}
		}
	})
}

package jwt

import (
	"strings"
	"testing"
)

func TestIssuers(t *testing.T) {
	corp := options(&provider{document: jwks(named("k", edPrivate))})
	other := options(&provider{document: jwks(named("k", otherEd))})
	other.Name, other.Issuer = "other", "https://other.example.com/"
	second := corp // the same provider for another audience
	second.Name, second.Audience = "second", "shop"
	all := Issuers{start(t, corp), start(t, other), start(t, second)}
	ofOther := strings.Replace(payload(""), issuerURL, other.Issuer, 1)
	header := `{"alg":"EdDSA","kid":"k"}`
	for name, c := range map[string]struct{ token, issuer, fault string }{
		"first":          {edToken("k", payload("")), "corp", ""},
		"other":          {sign("EdDSA", header, ofOther, otherEd), "other", ""},
		"other audience": {edToken("k", strings.Replace(payload(""), `"hub"`, `"shop"`, 1)), "second", ""},
		"no audience":    {edToken("k", strings.Replace(payload(""), `"hub"`, `"x"`, 1)), "", "audience hub"},
		"other's key":    {sign("EdDSA", header, payload(""), otherEd), "", "signature"},
		"stolen name":    {edToken("k", ofOther), "", "signature"},
		"unknown":        {edToken("k", strings.Replace(payload(""), issuerURL, "https://evil.example.com/", 1)), "", "issuer whose tokens"},
		"malformed":      {"a.b.c", "", "not a signed"},
	} {
		for range 2 { // the second time it is remembered
			got, err := all.Verify(t.Context(), c.token)
			if c.fault != "" {
				checkProblem(t, err, 401, c.fault)
			} else if err != nil || got.Issuer != c.issuer {
				t.Errorf("%s: of %q, %v, want %q", name, got.Issuer, err, c.issuer)
			}
		}
	}
	if _, err := all[:1].Verify(t.Context(), edToken("k", payload(""))); err != nil {
		t.Error(err)
	}
	_, err := Issuers{}.Verify(t.Context(), edToken("k", payload("")))
	checkProblem(t, err, 401, "no issuers")
	all.Close()
}

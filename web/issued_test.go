package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/config"
)

// provider is an identity provider.
type provider struct {
	*httptest.Server
	t   testing.TB
	key *ecdsa.PrivateKey
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"one","alg":"ES256","x":%q,"y":%q}]}`, text(point[1:33]), text(point[33:]))
	p := &provider{t: t, key: key}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(keys)) }))
	t.Cleanup(p.Close)
	return p
}

// token returns a token with claims besides issuer, audience and expiry, which they may replace.
func (p *provider) token(claims jwt.MapClaims) string {
	p.t.Helper()
	all := jwt.MapClaims{"iss": "https://idp.example.com/", "aud": "hub", "exp": time.Now().Add(time.Hour).Unix(), "sub": "ann", "org": "default"}
	for name, value := range claims {
		all[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header["kid"] = "one"
	text, err := token.SignedString(p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// TestTokensOfProviders: a route takes the tokens of an identity provider, by their scopes. Their
// subjects may watch and cancel the jobs that they have made, and do nothing else at the hub.
func TestTokensOfProviders(t *testing.T) {
	idp := newProvider(t)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Header.Get("X-Who"), r.Header.Get("X-Number"), r.Header.Get("Authorization"))
	})
	w := startRoutes(t)
	c, err := config.Decode("hub.yaml", []byte(strings.NewReplacer("UP", up.URL, "IDP", idp.URL).Replace(`
auth: {jwt: {corp: {issuer: "https://idp.example.com/", audience: hub, jwks: "IDP/jwks.json", tenant: org}}}
routes:
  - path: /api/
    upstream: UP
    auth: [jwt:corp]
    scopes: {GET: [read], "*": [write]}
    request: {headers: {set: {X-Who: "{consumer.name}", X-Number: "{claim.number}"}}}
  - {path: /keys/, upstream: UP, auth: [key]}
`)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(web.Settings{Issuers: c.Issuers}, c.Routes); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/api/x", "").problem(401, "unauthorized") // also while there are no keys
	admin := w.key(auth.Admin, "default")
	ann, bob := idp.token(jwt.MapClaims{"scope": "read write", "number": 1234}), idp.token(jwt.MapClaims{"sub": "bob", "scope": "read"})
	if got := w.with(ann, "GET", "/api/x", "").want(200).body; got != "ann 1234 " {
		t.Errorf("the upstream got %q", got)
	}
	w.with(bob, "POST", "/api/x", "").problem(403, "forbidden")
	w.with(ann, "GET", "/keys/x", "").problem(401, "unauthorized")
	w.with(admin, "GET", "/api/x", "").problem(401, "unauthorized")
	for name, bad := range map[string]string{
		"expired": idp.token(jwt.MapClaims{"exp": 1000}), "of another audience": idp.token(jwt.MapClaims{"aud": "other"}), "of another issuer": idp.token(jwt.MapClaims{"iss": "https://other.example/"}),
		"cut": ann[:len(ann)-4] + "AAAA", "unsigned": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(ann, ".")[1] + ".",
	} {
		got := w.with(bad, "GET", "/api/x", "")
		if got.status != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("a token that is %s: %d %v %s", name, got.status, got.header, got.body)
		}
	}
	accepted := w.with(ann, "POST", "/api/x", "", "Prefer", "respond-async").want(202)
	path := accepted.header.Get("Operation-Location")
	w.with(ann, "GET", path, "").want(200)
	w.with(ann, "GET", accepted.header.Get("Location"), "")
	w.with(bob, "GET", path, "").problem(404, "not_found")
	w.with(admin, "GET", path, "").want(200)
	for _, door := range []string{"GET /v1/jobs", "POST /v1/jobs", "GET /v1/queues", "POST /v1/tokens", "GET /metrics", "GET /", "POST " + path + "/retry"} {
		method, path, _ := strings.Cut(door, " ")
		if got := w.with(ann, method, path, `{"kind":"echo"}`); got.status != 403 && got.status != 404 {
			t.Errorf("%s: %d %s", door, got.status, got.body)
		}
	}
}

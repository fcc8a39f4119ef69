package jwt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"jobhub/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuerURL = "https://idp.example.com/"
	keysURL   = "https://idp.example.com/jwks.json"
)

// provider is an identity provider that is asked without a network.
type provider struct {
	mu       sync.Mutex // protects the fields below
	document string
	header   http.Header
	status   int
	down     bool
	block    chan struct{} // if set, answers wait until it is closed
	asked    int
	redirect map[string]string // by address
	accept   string
}

func (p *provider) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *provider) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *provider) RoundTrip(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.asked++
	p.accept = req.Header.Get("Accept")
	block := p.block
	p.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, errors.New("connection refused")
	}
	res := &http.Response{StatusCode: http.StatusOK, Header: p.header.Clone(), Request: req, Body: io.NopCloser(strings.NewReader(p.document))}
	if res.Header == nil {
		res.Header = http.Header{}
	}
	if p.status != 0 {
		res.StatusCode = p.status
	}
	if to := p.redirect[req.URL.String()]; to != "" {
		res.StatusCode = http.StatusFound
		res.Header.Set("Location", to)
	}
	return res, nil
}

func options(p *provider) Options {
	return Options{Name: "corp", Issuer: issuerURL, Audience: "hub", JWKS: keysURL, Client: &http.Client{Transport: p}, Logger: slog.New(slog.DiscardHandler)}
}

// start returns an issuer that is closed with the test.
func start(t testing.TB, o Options) *Issuer {
	t.Helper()
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// The keys of all tests; RSA ones take long to make.
var (
	rsaPrivate   = must(rsa.GenerateKey(rand.Reader, 2048))
	otherRSA     = must(rsa.GenerateKey(rand.Reader, 2048))
	p256Private  = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384Private  = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521Private  = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	edPrivate    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	otherEd      = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	privateByAlg = map[string]crypto.Signer{"RS256": rsaPrivate, "RS384": rsaPrivate, "RS512": rsaPrivate, "PS256": rsaPrivate, "PS384": rsaPrivate,
		"PS512": rsaPrivate, "ES256": p256Private, "ES384": p384Private, "ES512": p521Private, "EdDSA": edPrivate}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// publicJWK is the members of a public key, without the braces around them.
func publicJWK(private crypto.Signer) string {
	switch public := private.Public().(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`"kty":"RSA","n":"%s","e":"%s"`, encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes()))
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:]
		return fmt.Sprintf(`"kty":"EC","crv":"%s","x":"%s","y":"%s"`, public.Params().Name, encode(point[:len(point)/2]), encode(point[len(point)/2:]))
	case ed25519.PublicKey:
		return fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":"%s"`, encode(public))
	}
	panic("unknown type of key")
}

// jwks is a set of keys, of pairs of their members; kid and others stand before the public ones.
func jwks(keys ...string) string { return `{"keys":[{` + strings.Join(keys, "},{") + `}]}` }

func named(kid string, private crypto.Signer) string {
	return `"kid":"` + kid + `",` + publicJWK(private)
}

// sign makes a token of a header and payload in JSON.
func sign(alg, header, payload string, private crypto.Signer) string {
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	return signed + "." + encode(must(gojwt.GetSigningMethod(alg).Sign(signed, private)))
}

// payload is claims that are taken, valid for an hour, with others before them.
func payload(others string) string {
	return fmt.Sprintf(`{%s"iss":"%s","aud":"hub","sub":"alice","exp":%d}`, others, issuerURL, time.Now().Add(time.Hour).Unix())
}

// edToken is a token of edPrivate.
func edToken(kid, payload string) string {
	return sign("EdDSA", `{"alg":"EdDSA","kid":"`+kid+`"}`, payload, edPrivate)
}

// checkProblem fails unless err is a problem of that status whose detail holds a text.
func checkProblem(t *testing.T, err error, status int, text string) {
	t.Helper()
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || p.Status != status || !strings.Contains(p.Detail, text) {
		t.Errorf("the error is %v, want status %d and %q", err, status, text)
	}
}

func verify(t *testing.T, i *Issuer, token string) Claims {
	t.Helper()
	c, err := i.Verify(context.Background(), token)
	if err != nil {
		t.Fatalf("the token is refused: %v", err)
	}
	return c
}

func refuse(t *testing.T, i *Issuer, token string, status int, text string) {
	t.Helper()
	_, err := i.Verify(context.Background(), token)
	checkProblem(t, err, status, text)
}

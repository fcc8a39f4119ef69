package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	gojwt "github.com/golang-jwt/jwt/v5"

	"jobhub/jobs"
)

// algorithm is a way to sign, and the one kind of key that fits it.
type algorithm struct {
	name   string
	kind   string // key.kind
	method gojwt.SigningMethod
}

// algorithmNames are the algorithms that are taken.
var algorithmNames = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

var algorithms = func() map[string]algorithm {
	kinds := map[string]string{"RS": "RSA", "PS": "RSA", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
	all := map[string]algorithm{}
	for _, name := range algorithmNames {
		kind, ok := kinds[name]
		if !ok {
			kind = kinds[name[:2]]
		}
		all[name] = algorithm{name, kind, gojwt.GetSigningMethod(name)}
	}
	return all
}()

// RSA keys outside of these numbers of bits are not used: weaker ones can be broken, and larger
// ones make each verification slow.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// key is a usable public key of a set.
type key struct {
	kid    string // empty for none
	kind   string // RSA, or the name of the curve
	alg    string // the only algorithm it is for; empty for all that fit its kind
	public crypto.PublicKey
}

// keySet is what a provider publishes. It does not change.
type keySet struct {
	document string // as it was fetched
	keys     []key
	unusable []string // why other keys of the document are not used
}

// maxCandidates is how many keys are tried for a token that does not name its key.
const maxCandidates = 4

// candidates returns the keys that may have signed a token. known is whether the key that the
// token names is in the set; if it names none, whether some key fits.
func (s *keySet) candidates(t token) (fit []key, known bool) {
	for _, k := range s.keys {
		if t.kid != "" && k.kid != t.kid {
			continue
		}
		fits := k.kind == t.alg.kind && (k.alg == "" || k.alg == t.alg.name)
		known = known || fits || t.kid != ""
		if fits {
			fit = append(fit, k)
		}
	}
	return fit, known
}

// jwk has the members of a JSON Web Key (RFC 7517, RFC 7518, RFC 8037) that matter.
type jwk struct {
	Kty    string         `json:"kty"`
	Kid    string         `json:"kid"`
	Alg    string         `json:"alg"`
	Use    string         `json:"use"`
	KeyOps []string       `json:"key_ops"`
	Crv    string         `json:"crv"`
	N      string         `json:"n"`
	E      string         `json:"e"`
	X      string         `json:"x"`
	Y      string         `json:"y"`
	D      jsontext.Value `json:"d"`
}

// decodeKeySet reads a set of keys. A key that can't be used does not spoil the others.
func decodeKeySet(document []byte) (*keySet, error) {
	if jobs.TooDeep(document, jobs.MaxDepth) {
		return nil, errors.New("the set of keys is nested too deeply")
	}
	var raw struct {
		Keys *[]jsontext.Value `json:"keys"`
	}
	switch err := json.Unmarshal(document, &raw); {
	case err != nil:
		return nil, fmt.Errorf("the answer is no set of keys: %w", err)
	case raw.Keys == nil:
		return nil, errors.New("the answer is no set of keys: it has no member keys")
	case len(*raw.Keys) > MaxKeys:
		return nil, fmt.Errorf("the set has %d keys; %d are taken", len(*raw.Keys), MaxKeys)
	}
	set := &keySet{document: string(document)}
	for i, value := range *raw.Keys {
		k, err := decodeKey(value)
		if err != nil {
			set.unusable = append(set.unusable, fmt.Sprintf("key %d: %v", i, err))
			continue
		}
		set.keys = append(set.keys, k)
	}
	return set, nil
}

func decodeKey(value jsontext.Value) (key, error) {
	var j jwk
	if err := json.Unmarshal(value, &j); err != nil {
		return key{}, err
	}
	switch {
	case j.D != nil:
		return key{}, errors.New("its private part is public")
	case j.Use != "" && j.Use != "sig":
		return key{}, errors.New("use is not sig")
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return key{}, errors.New("key_ops has no verify")
	}
	k := key{kid: j.Kid, alg: j.Alg}
	var err error
	switch j.Kty {
	case "RSA":
		k.kind = "RSA"
		k.public, err = rsaKey(j)
	case "EC":
		k.kind = j.Crv
		k.public, err = ecKey(j)
	case "OKP":
		k.kind = j.Crv
		k.public, err = edKey(j)
	default:
		err = errors.New("kty is not RSA, EC or OKP")
	}
	if err != nil {
		return key{}, err
	}
	if alg, known := algorithms[k.alg]; k.alg != "" && (!known || alg.kind != k.kind) {
		return key{}, errors.New("alg does not fit the key, or is not taken")
	}
	return k, nil
}

func rsaKey(j jwk) (*rsa.PublicKey, error) {
	n, err1 := coordinate(j.N)
	e, err2 := coordinate(j.E)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch {
	case modulus.BitLen() < minRSABits || modulus.BitLen() > maxRSABits:
		return nil, fmt.Errorf("it has %d bits; %d to %d are taken", modulus.BitLen(), minRSABits, maxRSABits)
	case exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 || modulus.Bit(0) == 0:
		return nil, errors.New("it is no RSA key")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func ecKey(j jwk) (*ecdsa.PublicKey, error) {
	curve, known := curves[j.Crv]
	if !known {
		return nil, errors.New("crv is not P-256, P-384 or P-521")
	}
	x, err1 := coordinate(j.X)
	y, err2 := coordinate(j.Y)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("x and y must have %d bytes", size)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

func edKey(j jwk) (ed25519.PublicKey, error) {
	x, err := coordinate(j.X)
	switch {
	case j.Crv != "Ed25519":
		return nil, errors.New("crv is not Ed25519")
	case err != nil:
		return nil, err
	case len(x) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("x must have %d bytes", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

// coordinate decodes base64url. Some providers pad it although they should not.
func coordinate(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

package jwt

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// token is a token that was taken apart. Nothing in it is verified.
type token struct {
	alg       algorithm
	kid       string // empty for none
	signed    string // what the signature is over
	signature []byte
	claims    map[string]jobs.Value
}

// header has the members of a token's header (RFC 7515, section 4) that matter; those that say
// where to find a key are not among them.
type header struct {
	Alg  string         `json:"alg"`
	Kid  string         `json:"kid"`
	Typ  string         `json:"typ"`
	Cty  jsontext.Value `json:"cty"`
	Crit jsontext.Value `json:"crit"`
	Enc  jsontext.Value `json:"enc"`
}

// parse takes a token apart. The error is a *jobs.Problem with status 401.
func parse(text string) (token, error) {
	if len(text) > MaxToken {
		return token{}, refused("The token has more than %s. Ask the identity provider for one with fewer claims.", jobs.SizeText(MaxToken))
	}
	switch strings.Count(text, ".") {
	case 2:
	case 4:
		return token{}, errEncrypted
	default:
		return token{}, errMalformed
	}
	signedEnd := strings.LastIndexByte(text, '.')
	headerPart, payloadPart, _ := strings.Cut(text[:signedEnd], ".")
	headerBytes, ok1 := decodePart(headerPart)
	payload, ok2 := decodePart(payloadPart)
	signature, ok3 := decodePart(text[signedEnd+1:])
	if !ok1 || !ok2 || jobs.TooDeep(headerBytes, jobs.MaxDepth) || jobs.TooDeep(payload, jobs.MaxDepth) {
		return token{}, errMalformed
	}
	var h header
	if headerBytes[0] != '{' || json.Unmarshal(headerBytes, &h) != nil {
		return token{}, errMalformed
	}
	alg, known := algorithms[h.Alg]
	switch {
	case h.Enc != nil:
		return token{}, errEncrypted
	case !known:
		return token{}, refused("The token's algorithm is not taken. Have the identity provider sign with one of %s.", strings.Join(algorithmNames, ", "))
	case h.Crit != nil:
		return token{}, refused("The token has critical members (crit) that the hub does not know. Ask the identity provider for a token without them.")
	case h.Cty != nil:
		return token{}, refused("The token has another one in it (cty). Send the inner token.")
	case !accessToken(h.Typ):
		return token{}, refused("The token is of a kind (typ) that is no access token. Send an access token.")
	case !ok3:
		return token{}, errMalformed
	}
	t := token{alg: alg, kid: h.Kid, signed: text[:signedEnd], signature: signature}
	if payload[0] != '{' || json.Unmarshal(payload, &t.claims) != nil {
		return token{}, errMalformed
	}
	return t, nil
}

// accessToken reports whether a token with this typ may be an access token (RFC 7519, section
// 5.1, and RFC 9068), not one for another use, like logout+jwt.
func accessToken(typ string) bool {
	typ = strings.ToLower(typ)
	typ = strings.TrimPrefix(typ, "application/")
	return typ == "" || typ == "jwt" || typ == "at+jwt"
}

var strict = base64.RawURLEncoding.Strict()

// decodePart decodes canonical base64url of at least one byte. The decoder of package base64
// skips line breaks.
func decodePart(part string) ([]byte, bool) {
	if part == "" || strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	decoded, err := strict.DecodeString(part)
	return decoded, err == nil && len(decoded) > 0
}

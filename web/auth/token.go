package auth

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Tokens and sessions are signed texts: a prefix that says which of the two it is, the
// payload in base64url, a dot, and the HMAC-SHA256 of all before it.
const (
	tokenPrefix   = "jht_"
	sessionPrefix = "jhs_"
	secretFile    = "token.secret"
	maxSigned     = 16 << 10 // bytes
)

// payload is the content of a signed text.
type payload struct {
	Key     string `json:"key"`
	Tenant  string `json:"tenant"`
	Expires int64  `json:"exp"` // in milliseconds since 1970
	Grant   *Grant `json:"grant,omitzero"`
	Session string `json:"session,omitzero"` // its id
}

// ErrTooLarge is the error for a grant that does not fit into a token.
var ErrTooLarge = errors.New("the token would be too large; name fewer jobs, queues and tags")

// Token issues a token of an identity for a grant, and returns when it expires: at the time
// given, or with the key if that is earlier.
func (k *Keys) Token(i Identity, g Grant, expires time.Time) (token string, until time.Time, err error) {
	return k.sign(tokenPrefix, i, payload{Grant: &g}, expires)
}

func (k *Keys) token(text string, now time.Time) (Identity, error) {
	i, p, err := k.verify(tokenPrefix, text, now)
	if err != nil || p.Grant == nil {
		return Identity{}, cmp.Or(err, ErrUnknown)
	}
	p.Grant.Actions = slices.DeleteFunc(p.Grant.Actions, func(a Action) bool { return !i.May(a, Target{}) }) // the role may have changed
	i.Role, i.Grant = "", p.Grant
	return i, nil
}

func (k *Keys) sign(prefix string, i Identity, p payload, expires time.Time) (string, time.Time, error) {
	if !i.Expires.IsZero() && i.Expires.Before(expires) {
		expires = i.Expires
	}
	expires = expires.UTC().Truncate(time.Millisecond)
	p.Key, p.Tenant, p.Expires = i.Key, i.Tenant, expires.UnixMilli()
	body, err := json.Marshal(p)
	if err != nil {
		return "", expires, err
	}
	secret, err := k.signingSecret(true)
	if err != nil {
		return "", expires, err
	}
	text := prefix + base64.RawURLEncoding.EncodeToString(body)
	text += "." + base64.RawURLEncoding.EncodeToString(mac(secret, text))
	if len(text) > maxSigned {
		return "", expires, ErrTooLarge
	}
	return text, expires, nil
}

// verify returns the identity of the key behind a signed text, with the expiry of the text.
func (k *Keys) verify(prefix, text string, now time.Time) (Identity, payload, error) {
	body, err := k.open(prefix, text)
	if err != nil {
		return Identity{}, payload{}, err
	}
	var p payload
	if err := json.Unmarshal(body, &p, json.RejectUnknownMembers(true)); err != nil {
		return Identity{}, payload{}, ErrUnknown
	}
	key, err := k.find(now, func() *Key { return k.byID[p.Key] })
	expires := time.UnixMilli(p.Expires).UTC()
	switch {
	case err != nil:
		return Identity{}, p, err
	case key.Tenant != p.Tenant:
		return Identity{}, p, ErrUnknown
	case !now.Before(expires):
		return Identity{}, p, ErrExpired
	}
	i := key.identity()
	i.Expires = expires
	return i, p, nil
}

// open returns the payload of a signed text after checking the signature.
func (k *Keys) open(prefix, text string) ([]byte, error) {
	signed, sum, ok := strings.Cut(text, ".")
	coded, right := strings.CutPrefix(signed, prefix)
	if !ok || !right || len(text) > maxSigned || strings.ContainsAny(text, "\r\n") { // base64 would ignore these
		return nil, ErrUnknown
	}
	strict := base64.RawURLEncoding.Strict()
	given, err := strict.DecodeString(sum)
	if err != nil {
		return nil, ErrUnknown
	}
	secret, err := k.signingSecret(false)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(given, mac(secret, signed)) {
		return nil, ErrUnknown
	}
	body, err := strict.DecodeString(coded)
	if err != nil {
		return nil, ErrUnknown
	}
	return body, nil
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signingSecret returns the key of the HMAC. If there is none yet, it is made if create is set;
// otherwise the error is ErrUnknown, since nothing can have been signed.
func (k *Keys) signingSecret(create bool) ([]byte, error) {
	k.mu.RLock()
	secret := k.secret
	k.mu.RUnlock()
	if secret != nil {
		return secret, nil
	}
	path := k.path(secretFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, ErrUnknown
		}
		err = k.withLock(func() error {
			if text, err = os.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			text = make([]byte, sha256.Size)
			rand.Read(text)
			text = base64.RawURLEncoding.AppendEncode(nil, text)
			return replaceFile(path, text)
		})
	}
	if err != nil {
		return nil, err
	}
	if secret, err = base64.RawURLEncoding.DecodeString(string(text)); err != nil || len(secret) != sha256.Size {
		return nil, fmt.Errorf("%s is damaged; remove it, which ends all tokens and sessions", path)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secret = secret
	return secret, nil
}

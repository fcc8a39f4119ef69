package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"time"

	"jobhub/web/peers"
)

// The bounds of this package.
const (
	MaxAge        = 300 * time.Second // of a signature
	MaxAhead      = 60 * time.Second  // of its creation, of the hub's clock
	MaxHeader     = 8 << 10           // bytes of Signature-Input, and of Signature
	MaxSignatures = 4                 // of a request that are looked at
	MaxComponents = 32                // of a signature
	MinSecret     = 32                // bytes; keys with shorter ones can't sign

	maxText = 256 // bytes of keyid, nonce and tag
)

// Signed reports whether a request has a signature, valid or not.
func Signed(r *http.Request) bool {
	return len(r.Header.Values("Signature-Input")) > 0 || len(r.Header.Values("Signature")) > 0
}

// Verifier verifies requests and remembers their nonces. The zero value is ready to use; its
// methods may be called in parallel. There is one for all requests of a process.
type Verifier struct {
	nonces nonces
}

// Verify returns the id of the key that has signed a request. secretOf returns the secret of a
// key, and false for a key that is unknown or has none. The scheme is that of peers.SenderOf.
//
// If the request has a body, r.Body is replaced by one that checks it while it is read: at the end
// of a body that is not the one that was signed, Read returns a *jobs.Problem instead of io.EOF.
// Whoever reads the body must read all of it, and pass that error on.
//
// The error is a *jobs.Problem with status 401, or 503 if no more nonces can be remembered.
func (v *Verifier) Verify(r *http.Request, secretOf func(keyid string) (secret []byte, ok bool)) (keyid string, err error) {
	inputs, err := parse(r.Header)
	if err != nil {
		return "", err
	}
	now := time.Now()
	m := &message{Request: r, scheme: peers.SenderOf(r).Proto}
	for i := range inputs {
		in := &inputs[i]
		failed := v.verify(m, in, secretOf, now)
		if failed == nil {
			return in.keyid, nil
		}
		if err == nil {
			err = failed
		}
	}
	return "", err
}

func (v *Verifier) verify(m *message, in *input, secretOf func(string) ([]byte, bool), now time.Time) error {
	body := m.Body != nil && m.Body != http.NoBody && m.ContentLength != 0
	if err := in.check(now, body); err != nil {
		return err
	}
	base, ok := m.base(in.list)
	if !ok {
		return errComponent
	}
	secret, known := secretOf(in.keyid)
	if len(secret) < MinSecret {
		secret, known = make([]byte, MinSecret), false
	}
	if !hmac.Equal(mac(secret, base), in.value) || !known {
		return errWrong
	}
	var checked *checkedBody
	if in.covered["content-digest"] {
		var err error
		if checked, err = newCheckedBody(m.Body, m.Header.Values("Content-Digest")); err != nil {
			return err
		}
		if !body && !checked.matches() {
			return errDigest
		}
	}
	if in.nonce != "" {
		if err := v.nonces.use(in.keyid, in.nonce, in.created.Add(MaxAge), now); err != nil {
			return err
		}
	}
	if body {
		m.Body = checked
	}
	return nil
}

func mac(secret []byte, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return h.Sum(nil)
}

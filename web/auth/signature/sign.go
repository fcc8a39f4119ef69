package signature

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dunglas/httpsfv"
)

const label = "sig1"

// Sign signs a client's request: it sets Content-Digest, Signature-Input and Signature. They
// cover the method, the address, the body and Content-Type. A body that can't be read twice
// (GetBody) is read into memory. Call it last, and again before sending the request once more,
// since each signature counts once.
func Sign(r *http.Request, keyid string, secret []byte, now time.Time) error {
	if len(secret) < MinSecret {
		return fmt.Errorf("the secret has %d bytes; it must have %d or more", len(secret), MinSecret)
	}
	if keyid == "" || len(keyid) > maxText {
		return fmt.Errorf("the id of the key must have 1 to %d bytes", maxText)
	}
	components := []string{"@method", "@authority", "@path", "@query"}
	if r.Body != nil && r.Body != http.NoBody {
		if err := addDigest(r); err != nil {
			return err
		}
		components = append(components, "content-digest")
	}
	if r.Header.Get("Content-Type") != "" {
		components = append(components, "content-type")
	}
	list := httpsfv.InnerList{Params: httpsfv.NewParams()}
	for _, name := range components {
		list.Items = append(list.Items, httpsfv.NewItem(name))
	}
	list.Params.Add("created", now.Unix())
	list.Params.Add("keyid", keyid)
	list.Params.Add("alg", algorithm)
	list.Params.Add("nonce", rand.Text())
	m := message{Request: r, scheme: r.URL.Scheme}
	base, ok := m.base(list)
	if !ok {
		return fmt.Errorf("the request or the id of the key has characters that can't be signed")
	}
	inputs, signatures := httpsfv.NewDictionary(), httpsfv.NewDictionary()
	inputs.Add(label, list)
	signatures.Add(label, httpsfv.NewItem(mac(secret, base)))
	input, err := httpsfv.Marshal(inputs)
	if err != nil {
		return err
	}
	signature, err := httpsfv.Marshal(signatures)
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", input)
	r.Header.Set("Signature", signature)
	return nil
}

// addDigest sets Content-Digest, and leaves a body that can still be read.
func addDigest(r *http.Request) error {
	source := r.Body
	if r.GetBody != nil {
		var err error
		if source, err = r.GetBody(); err != nil {
			return err
		}
	}
	body, err := io.ReadAll(source)
	source.Close()
	if err != nil {
		return err
	}
	if r.GetBody == nil {
		r.GetBody = func() (io.ReadCloser, error) {
			if len(body) == 0 {
				return http.NoBody, nil
			}
			return io.NopCloser(bytes.NewReader(body)), nil
		}
		r.Body, _ = r.GetBody()
		r.ContentLength = int64(len(body))
	}
	digest, err := digestOf(body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Digest", digest)
	return nil
}

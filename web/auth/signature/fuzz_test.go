package signature

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

// FuzzHeaders: no headers panic, and none are taken that nobody with the secret has made.
func FuzzHeaders(f *testing.F) {
	f.Add("sig="+covered+by("k1", time.Now(), `;nonce="a"`), "sig=:AAAA:", "sha-256=:AAAA:")
	f.Add(`sig=("@method" "@authority" "@path" "@query" "content-digest" "@query-param";name="a");created=1;keyid="k1"`, "sig=:AAAA:, sig2=?1", "")
	f.Add("a", "a", "a")
	f.Fuzz(func(t *testing.T, input, signature, digest string) {
		var v Verifier
		r := request("POST", "/a?a=b", "body")
		r.Header = http.Header{"Signature-Input": {input}, "Signature": {signature}, "Content-Digest": {digest}}
		_, err := v.Verify(r, secretOf)
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != http.StatusUnauthorized {
			t.Errorf("%v", err)
		}
	})
}

// FuzzComponents: what the list of components asks for is signed and verified alike, and never
// makes a line of its own in the text that is signed.
func FuzzComponents(f *testing.F) {
	f.Add(`"@method" "@target-uri"`, ";tag=\"a\"", "a\tb")
	f.Add(`"@method" "@target-uri" "x-a" "@query-param";name="a"`, "", "ä")
	f.Fuzz(func(t *testing.T, components, more, header string) {
		r := request("GET", "/a?a=b", "")
		r.Header.Set("X-A", header)
		list := "(" + components + ")" + by("k1", time.Now(), more)
		inputs, err := parse(http.Header{"Signature-Input": {"sig=" + list}, "Signature": {"sig=:AAAA:"}})
		if err != nil || len(inputs) != 1 {
			return
		}
		m := message{Request: r, scheme: "https"}
		base, ok := m.base(inputs[0].list)
		if ok && strings.Count(base, "\n") != len(inputs[0].list.Items) {
			t.Errorf("%d components give %q", len(inputs[0].list.Items), base)
		}
	})
}

// FuzzBody: a body comes through as it is if its digest is right, and is never complete if not.
func FuzzBody(f *testing.F) {
	f.Add("body", "body", 1)
	f.Add("body", "bodY", 3)
	f.Add("", "", 1)
	f.Fuzz(func(t *testing.T, sent, signed string, chunk int) {
		digest, err := digestOf([]byte(signed))
		if err != nil {
			t.Fatal(err)
		}
		body, err := newCheckedBody(io.NopCloser(strings.NewReader(sent)), []string{digest})
		if err != nil {
			t.Fatal(err)
		}
		got, err := inChunks(body, min(max(chunk, 1), 1<<16))
		if sent == signed && (got != sent || err != io.EOF) || sent != signed && (err != errDigest || got == sent && sent != "") {
			t.Errorf("%q, signed as %q, gives %q, %v", sent, signed, got, err)
		}
	})
}

// BenchmarkVerify verifies a request with a body of 2 KiB and a nonce, and reads the body.
func BenchmarkVerify(b *testing.B) {
	body := strings.Repeat("0123456789abcdef", 128)
	var v Verifier
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		r := request("POST", "https://hub.example.com/v1/jobs?async=true", body)
		r.Header.Set("Content-Type", "application/json")
		if err := Sign(r, "k1", secret, time.Now()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := v.Verify(r, secretOf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Fatal(err)
		}
	}
}

package signature

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/dunglas/httpsfv"
	"go.uber.org/goleak"

	"jobhub/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = bytes.Repeat([]byte("s"), MinSecret)

// secretOf knows the keys k1 and k2, which have the same secret.
func secretOf(keyid string) ([]byte, bool) {
	switch keyid {
	case "k1", "k2":
		return secret, true
	case "short":
		return secret[:8], true
	}
	return nil, false
}

func readAll(r io.Reader) (string, error) {
	data, err := io.ReadAll(r)
	return string(data), err
}

// request is a request to the hub over TLS.
func request(method, target, body string) *http.Request {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	req.TLS = &tls.ConnectionState{}
	return req
}

// signed adds a signature with a label, whose input is list, and returns the request.
func signed(t testing.TB, r *http.Request, label, list string, secret []byte) *http.Request {
	t.Helper()
	base := baseOf(t, r, "https", label+"="+list)
	r.Header.Add("Signature-Input", label+"="+list)
	r.Header.Add("Signature", fmt.Sprintf("%s=:%s:", label, base64.StdEncoding.EncodeToString(mac(secret, base))))
	return r
}

const covered = `("@method" "@target-uri")`

// by returns the parameters of a signature that was made at a time, with more of them.
func by(keyid string, created time.Time, more string) string {
	return fmt.Sprintf(`;created=%d;keyid="%s"%s`, created.Unix(), keyid, more)
}

func checkProblem(t *testing.T, name string, err error, status int, text string) {
	t.Helper()
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || p.Status != status || !strings.Contains(p.Detail, text) {
		t.Errorf("%s: the error is %v, want status %d and %q", name, err, status, text)
	}
}

// TestSignAndVerify sends signed requests to a server, with bodies of known and unknown length.
func TestSignAndVerify(t *testing.T) {
	var v Verifier
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keyid, err := v.Verify(r, secretOf)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		body, err := readAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, keyid, " ", body)
	}))
	t.Cleanup(server.Close)
	defer server.Client().CloseIdleConnections()
	for _, method := range []string{"GET", "POST", ""} {
		for name, body := range map[string]func(text string) io.Reader{
			"none":    func(string) io.Reader { return nil },
			"known":   func(text string) io.Reader { return strings.NewReader(text) },
			"unknown": func(text string) io.Reader { return iotest.OneByteReader(strings.NewReader(text)) },
			"empty":   func(text string) io.Reader { return iotest.OneByteReader(strings.NewReader("")) },
		} {
			text := strings.Repeat("{\"a\":[]}\n", 10_000)
			req, err := http.NewRequest(method, server.URL+"/v1/jobs%2F/a;b?x=1&y=%20", body(text))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			if err := Sign(req, "k1", secret, time.Now()); err != nil {
				t.Fatal(err)
			}
			res, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := readAll(res.Body)
			res.Body.Close()
			want := "k1 "
			if name == "known" || name == "unknown" {
				want += text
			}
			if err != nil || res.StatusCode != http.StatusOK || got != want {
				t.Errorf("%s, body %s: %d, %.100s, %v", method, name, res.StatusCode, got, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	req := httptest.NewRequest("POST", "https://hub.example.com/", strings.NewReader("a"))
	if err := Sign(req, "k1", secret[1:], time.Now()); err == nil {
		t.Error("a short secret signs")
	}
	for _, keyid := range []string{"", "a\nb", "ä", strings.Repeat("a", 257)} {
		if err := Sign(req, keyid, secret, time.Now()); err == nil {
			t.Errorf("the key %q signs", keyid)
		}
	}
	req.Header["Content-Type"] = []string{"a\nb"}
	if err := Sign(req, "k1", secret, time.Now()); err == nil {
		t.Error("a header with a line break is signed")
	}
	req.Header.Del("Content-Type")
	req.GetBody, req.Body = nil, io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := Sign(req, "k1", secret, time.Now()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the error is %v", err)
	}
}

// TestChanged: a request of which anything covered was changed is refused.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"nothing":        func(*http.Request) {},
		"another header": func(r *http.Request) { r.Header.Set("Accept", "*/*") },
		"method":         func(r *http.Request) { r.Method = "PUT" },
		"host":           func(r *http.Request) { r.Host = "evil.example.com" },
		"port":           func(r *http.Request) { r.Host += ":8443" },
		"path":           func(r *http.Request) { r.URL.Path = "/admin" },
		"escaping":       func(r *http.Request) { r.URL.RawPath = "/%61/b" },
		"query":          func(r *http.Request) { r.URL.RawQuery += "&y=2" },
		"scheme":         func(r *http.Request) { r.TLS = nil },
		"header":         func(r *http.Request) { r.Header.Set("X-Who", "bob") },
		"header, added":  func(r *http.Request) { r.Header.Add("X-Who", "bob") },
		"header, gone":   func(r *http.Request) { r.Header.Del("X-Who") },
		"created":        func(r *http.Request) { replace(r, "Signature-Input", ";created=", ";created=1") },
		"key":            func(r *http.Request) { replace(r, "Signature-Input", `"k1"`, `"k2"`) },
		"unknown key":    func(r *http.Request) { replace(r, "Signature-Input", `"k1"`, `"k3"`) },
		"order": func(r *http.Request) {
			replace(r, "Signature-Input", `"@method" "@target-uri"`, `"@target-uri" "@method"`)
		},
		"less":          func(r *http.Request) { replace(r, "Signature-Input", ` "x-who"`, ``) },
		"parameter":     func(r *http.Request) { replace(r, "Signature-Input", `;tag="t"`, ``) },
		"cut signature": func(r *http.Request) { r.Header.Set("Signature", "sig=:AAAA:") },
		"no signature":  func(r *http.Request) { r.Header.Set("Signature", "sig=::") },
	} {
		var v Verifier
		r := request("GET", "/a/b?x=1", "")
		r.Header.Set("X-Who", "alice")
		signed(t, r, "sig", `("@method" "@target-uri" "x-who")`+by("k1", time.Now(), `;tag="t"`), secret)
		change(r)
		keyid, err := v.Verify(r, secretOf)
		if fine := name == "nothing" || name == "another header"; fine != (err == nil) || fine && keyid != "k1" {
			t.Errorf("%s: key %q, %v", name, keyid, err)
		}
	}
}

func replace(r *http.Request, name, old, new string) {
	r.Header.Set(name, strings.Replace(r.Header.Get(name), old, new, 1))
}

func TestInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		fine := covered + by("k1", now, "")
		at := func(d time.Duration) string { return covered + by("k1", now.Add(d), "") }
		for name, c := range map[string]struct{ list, fault string }{
			"fine":                 {fine, ""},
			"authority":            {`("@method" "@authority" "@path" "@query")` + by("k1", now, ""), ""},
			"all parameters":       {covered + by("k1", now, fmt.Sprintf(`;alg="hmac-sha256";nonce="n";tag="t";expires=%d;more=1`, now.Unix()+1)), ""},
			"oldest":               {at(-MaxAge), ""},
			"newest":               {at(MaxAhead), ""},
			"too old":              {at(-MaxAge - time.Second), "too old"},
			"too new":              {at(MaxAhead + time.Second), "future"},
			"far too new":          {covered + `;created=999999999999999;keyid="k1"`, "future"},
			"expired":              {covered + by("k1", now, fmt.Sprintf(";expires=%d", now.Unix())), "expired"},
			"expires is no time":   {covered + by("k1", now, `;expires="a"`), "expired"},
			"no created":           {covered + `;keyid="k1"`, "created"},
			"created is a text":    {covered + `;created="1";keyid="k1"`, "created"},
			"created is a date":    {covered + fmt.Sprintf(`;created=@%d;keyid="k1"`, now.Unix()), "created"},
			"created is a decimal": {covered + fmt.Sprintf(`;created=%d.5;keyid="k1"`, now.Unix()), "created"},
			"created is negative":  {covered + `;created=-1;keyid="k1"`, "created"},
			"no key":               {covered + fmt.Sprintf(`;created=%d`, now.Unix()), "keyid"},
			"empty key":            {covered + by("", now, ""), "keyid"},
			"key is a token":       {covered + fmt.Sprintf(`;created=%d;keyid=k1`, now.Unix()), "keyid"},
			"long key":             {covered + by(strings.Repeat("k", 257), now, ""), "keyid"},
			"unknown key":          {covered + by("k3", now, ""), "known key"},
			"short secret":         {covered + by("short", now, ""), "known key"},
			"long nonce":           {covered + by("k1", now, `;nonce="`+strings.Repeat("n", 257)+`"`), "nonce"},
			"nonce is a number":    {covered + by("k1", now, `;nonce=1`), "nonce"},
			"other algorithm":      {covered + by("k1", now, `;alg="ed25519"`), "hmac-sha256"},
			"algorithm as token":   {covered + by("k1", now, `;alg=hmac-sha256`), "alg"},
			"nothing covered":      {`()` + by("k1", now, ""), "@method"},
			"no method":            {`("@target-uri")` + by("k1", now, ""), "@method"},
			"no query":             {`("@method" "@authority" "@path")` + by("k1", now, ""), "@query"},
			"path alone":           {`("@method" "@path" "@query")` + by("k1", now, ""), "@authority"},
			"method of another":    {`("@method";req "@target-uri")` + by("k1", now, ""), "@method"},
			"missing header":       {`("@method" "@target-uri" "x-none")` + by("k1", now, ""), "does not have"},
			"twice":                {`("@method" "@target-uri" "@method")` + by("k1", now, ""), "several times"},
			"too much":             {`("@method" "@target-uri"` + strings.Repeat(` "a"`, MaxComponents) + `)` + by("k1", now, ""), "32 components"},
			"digest without any":   {`("@method" "@target-uri" "content-digest")` + by("k1", now, ""), "does not have"},
		} {
			var v Verifier
			r := request("GET", "/a?b=c", "")
			own := secret
			if strings.Contains(c.list, `"short"`) {
				own, _ = secretOf("short")
			}
			signed(t, r, "sig", c.list, own)
			keyid, err := v.Verify(r, secretOf)
			if c.fault != "" {
				checkProblem(t, name, err, 401, c.fault)
			} else if err != nil || keyid != "k1" {
				t.Errorf("%s: key %q, %v", name, keyid, err)
			}
		}
	})
}

func TestHeaders(t *testing.T) {
	var v Verifier
	list := covered + by("k1", time.Now(), "")
	for name, c := range map[string]struct{ input, signature, fault string }{
		"no structured field": {"sig=(", "sig=:AA==:", "dictionaries"},
		"signature is text":   {"sig=" + list, `sig="AA=="`, "dictionaries"},
		"other label":         {"sig=" + list, "other=:AA==:", "dictionaries"},
		"no list":             {`sig="@method"`, "sig=:AA==:", "dictionaries"},
		"input alone":         {"sig=" + list, "", "dictionaries"},
		"signature alone":     {"", "sig=:AA==:", "dictionaries"},
		"large input":         {`sig=("` + strings.Repeat("a", MaxHeader) + `")`, "sig=:AA==:", "8192 bytes"},
		"large signature":     {"sig=" + list, "sig=:" + strings.Repeat("AAAA", MaxHeader/4) + ":", "8192 bytes"},
	} {
		r := request("GET", "/", "")
		for header, value := range map[string]string{"Signature-Input": c.input, "Signature": c.signature} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		if !Signed(r) {
			t.Errorf("%s: the request is not signed", name)
		}
		_, err := v.Verify(r, secretOf)
		checkProblem(t, name, err, 401, c.fault)
	}
	r := request("GET", "/", "")
	if _, err := v.Verify(r, secretOf); err != errUnsigned || Signed(r) {
		t.Errorf("an unsigned request gives %v", err)
	}
}

// TestSeveralSignatures: one that is valid is enough, among the first four.
func TestSeveralSignatures(t *testing.T) {
	for valid := range 6 {
		var v Verifier
		r := request("GET", "/", "")
		for n := range 6 {
			keyid := "proxy"
			if n == valid {
				keyid = "k1"
			}
			signed(t, r, fmt.Sprint("sig", n), covered+by(keyid, time.Now(), ""), secret)
		}
		asked := 0
		keyid, err := v.Verify(r, func(keyid string) ([]byte, bool) { asked++; return secretOf(keyid) })
		if taken := valid < MaxSignatures; taken != (err == nil) || taken && keyid != "k1" || asked != min(valid+1, MaxSignatures) {
			t.Errorf("with the %dth valid: key %q, %v, %d keys looked up", valid, keyid, err, asked)
		}
	}
}

func digestsOf(t testing.TB, body string) (sha256, sha512 string) {
	t.Helper()
	d := httpsfv.NewDictionary()
	for name, newHash := range digests {
		h := newHash()
		io.WriteString(h, body)
		d.Add(name, httpsfv.NewItem(h.Sum(nil)))
	}
	text := func(name string) string {
		member, _ := d.Get(name)
		one := httpsfv.NewDictionary()
		one.Add(name, member)
		out, err := httpsfv.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return text("sha-256"), text("sha-512")
}

func TestBodies(t *testing.T) {
	const text = "0123456789"
	good256, good512 := digestsOf(t, text)
	bad256, bad512 := digestsOf(t, "012345678X")
	empty256, _ := digestsOf(t, "")
	for name, c := range map[string]struct {
		body, digest  string
		inVerify, end string // the fault that Verify or the end of the body has; empty for none
	}{
		"sha-256":             {text, good256, "", ""},
		"sha-512":             {text, good512, "", ""},
		"both":                {text, good256 + ", " + good512, "", ""},
		"and unknown":         {text, "md5=:AA==:, " + good256, "", ""},
		"wrong":               {text, bad256, "", "digest differs"},
		"one of both wrong":   {text, good256 + "," + bad512, "", "digest differs"},
		"short":               {text, "sha-256=:AA==:", "", "digest differs"},
		"empty digest":        {text, "sha-256=::", "", "digest differs"},
		"of nothing":          {text, empty256, "", "digest differs"},
		"unknown":             {text, "md5=:AA==:", "sha-256 or sha-512", ""},
		"no structured field": {text, "sha-256=AA=", "sha-256 or sha-512", ""},
		"a text":              {text, `sha-256="AA=="`, "sha-256 or sha-512", ""},
		"large":               {text, good256 + ", x=:" + strings.Repeat("AAAA", MaxHeader/4) + ":", "sha-256 or sha-512", ""},
		"no body":             {"", empty256, "", ""},
		"no body, wrong":      {"", good256, "digest differs", ""},
	} {
		for _, chunk := range []int{1, 2, 3, 10, 11, 4096} {
			var v Verifier
			r := request("POST", "/", c.body)
			r.Header.Set("Content-Digest", c.digest)
			signed(t, r, "sig", `("@method" "@target-uri" "content-digest")`+by("k1", time.Now(), ""), secret)
			_, err := v.Verify(r, secretOf)
			if c.inVerify != "" {
				checkProblem(t, name, err, 401, c.inVerify)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got, err := inChunks(r.Body, chunk)
			if c.end != "" {
				checkProblem(t, name, err, 401, c.end)
				if len(got) >= len(c.body) {
					t.Errorf("%s: all of a wrong body was handed over: %q", name, got)
				}
				_, err = r.Body.Read(make([]byte, 1))
				checkProblem(t, name+", again", err, 401, c.end)
				continue
			}
			if err != io.EOF || got != c.body {
				t.Errorf("%s in chunks of %d: %q, %v", name, chunk, got, err)
			}
		}
	}
	var v Verifier
	r := signed(t, request("POST", "/", text), "sig", covered+by("k1", time.Now(), ""), secret)
	_, err := v.Verify(r, secretOf)
	checkProblem(t, "body that is not covered", err, 401, "content-digest")

	// A body of unknown length needs a digest, too; one that breaks off keeps its error.
	r = request("POST", "/", "")
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Content-Digest", good256)
	signed(t, r, "sig", `("@method" "@target-uri" "content-digest")`+by("k1", time.Now(), ""), secret)
	if _, err := v.Verify(r, secretOf); err != nil {
		t.Fatal(err)
	}
	if got, err := inChunks(r.Body, 4); err != io.ErrUnexpectedEOF || got == text {
		t.Errorf("a body that breaks off: %q, %v", got, err)
	}
}

// inChunks reads by buffers of a size, to the first error.
func inChunks(r io.Reader, size int) (string, error) {
	var all []byte
	for {
		p := make([]byte, size)
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// TestStalledBody: a reader that gives neither bytes nor an error does not hang Read.
func TestStalledBody(t *testing.T) {
	digest, _ := digestsOf(t, "")
	body, err := newCheckedBody(io.NopCloser(readerFunc(func([]byte) (int, error) { return 0, nil })), []string{digest})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := body.Read(make([]byte, 8)); n != 0 || err != io.ErrNoProgress {
		t.Errorf("%d, %v", n, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestNamesOfDigests(t *testing.T) {
	sha256, sha512 := digestsOf(t, `{"hello": "world"}`)
	if made, err := digestOf([]byte(`{"hello": "world"}`)); err != nil || made != sha256 || !strings.HasPrefix(sha256, "sha-256=:X48E9qOo") || !strings.HasPrefix(sha512, "sha-512=:WZDPaVn/") {
		t.Errorf("%s, %s, %s, %v", made, sha256, sha512, err) // as in RFC 9530, appendix B
	}
}

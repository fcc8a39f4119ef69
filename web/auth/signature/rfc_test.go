package signature

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
)

// The request of RFC 9421, appendix B.2.
const rfcRequest = "POST /foo?param=Value&Pet=dog HTTP/1.1\r\n" +
	"Host: example.com\r\n" +
	"Date: Tue, 20 Apr 2021 02:07:55 GMT\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\r\n" +
	"Content-Length: 18\r\n\r\n" +
	`{"hello": "world"}`

func readRequest(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// baseOf returns the text that a value of Signature-Input is over; empty if it is refused.
func baseOf(t testing.TB, r *http.Request, scheme, input string) string {
	t.Helper()
	dictionary, err := httpsfv.UnmarshalDictionary([]string{input})
	if err != nil {
		t.Fatal(err)
	}
	member, _ := dictionary.Get(dictionary.Names()[0])
	m := message{Request: r, scheme: scheme}
	base, ok := m.base(member.(httpsfv.InnerList))
	if !ok {
		return ""
	}
	return base
}

// TestAppendixB25 is RFC 9421, appendix B.2.5: hmac-sha256.
func TestAppendixB25(t *testing.T) {
	secret := decode(t, "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
	base := baseOf(t, readRequest(t, rfcRequest), "https", `sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`)
	want := `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`
	if base != want {
		t.Errorf("the base is\n%s\nwant\n%s", base, want)
	}
	if got := mac(secret, base); !bytes.Equal(got, decode(t, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")) {
		t.Errorf("the signature is %x", got)
	}
}

// TestAppendixB26 is RFC 9421, appendix B.2.6. The hub does not take ed25519, but the text that is
// signed is the same for all algorithms.
func TestAppendixB26(t *testing.T) {
	public := decode(t, "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
	base := baseOf(t, readRequest(t, rfcRequest), "https", `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`)
	if !ed25519.Verify(public[len(public)-32:], []byte(base), decode(t, "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")) {
		t.Errorf("the signature of the RFC is not over\n%s", base)
	}
}

// TestAppendixDigest: the Content-Digest of that request is of its body.
func TestAppendixDigest(t *testing.T) {
	r := readRequest(t, rfcRequest)
	body, err := newCheckedBody(r.Body, r.Header.Values("Content-Digest"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(body); got != `{"hello": "world"}` || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestComponents has the examples of RFC 9421, sections 2.1 to 2.5, and some more.
func TestComponents(t *testing.T) {
	const fields = "X-OWS-Header:   Leading and trailing whitespace.   \r\nX-Obs-Fold-Header: Obsolete\r\n    line folding.\r\n" +
		"Cache-Control: max-age=60\r\nCache-Control:    must-revalidate\r\nExample-Dict:  a=1,    b=2;x=1;y=2,   c=(a   b   c)\r\nX-Empty-Header:\r\n"
	for name, c := range map[string]struct{ target, host, scheme, component, want string }{
		"method":               {"/path?param=value", "www.example.com", "https", `"@method"`, "GET"},
		"target-uri":           {"/path?param=value", "www.example.com", "https", `"@target-uri"`, "https://www.example.com/path?param=value"},
		"target-uri, http":     {"/path", "WWW.Example.com:80", "http", `"@target-uri"`, "http://www.example.com/path"},
		"authority":            {"/path", "www.EXAMPLE.com:443", "https", `"@authority"`, "www.example.com"},
		"authority, port":      {"/path", "www.example.com:8443", "https", `"@authority"`, "www.example.com:8443"},
		"authority, http port": {"/path", "www.example.com:80", "https", `"@authority"`, "www.example.com:80"},
		"authority, IPv6":      {"/path", "[::1]:443", "https", `"@authority"`, "[::1]"},
		"scheme":               {"/path", "www.example.com", "http", `"@scheme"`, "http"},
		"request-target":       {"/path?param=value", "www.example.com", "https", `"@request-target"`, "/path?param=value"},
		"absolute form":        {"https://www.example.com/path?param=value", "www.example.com", "https", `"@path"`, "/path"},
		"path":                 {"/path?param=value", "www.example.com", "https", `"@path"`, "/path"},
		"path, escaped":        {"/a%2Fb/%c3%A4/..//x;y", "www.example.com", "https", `"@path"`, "/a%2Fb/%c3%A4/..//x;y"},
		"query":                {"/path?param=value&foo=bar&baz=batman", "www.example.com", "https", `"@query"`, "?param=value&foo=bar&baz=batman"},
		"query, one word":      {"/path?queryString", "www.example.com", "https", `"@query"`, "?queryString"},
		"no query":             {"/path", "www.example.com", "https", `"@query"`, "?"},
		"empty query":          {"/path?", "www.example.com", "https", `"@target-uri"`, "https://www.example.com/path?"},
		"param":                {"/path?param=value&foo=bar&baz=batman&qux=", "www.example.com", "https", `"@query-param";name="baz"`, "batman"},
		"param, empty":         {"/path?param=value&qux=", "www.example.com", "https", `"@query-param";name="qux"`, ""},
		"param, encoded": {"/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something", "www.example.com", "https",
			`"@query-param";name="var"`, "this%20is%20a%20big%0Amultiline%20value"},
		"param, plus":         {"/parameters?bar=with+plus+whitespace", "www.example.com", "https", `"@query-param";name="bar"`, "with%20plus%20whitespace"},
		"param, name encoded": {"/parameters?fa%C3%A7ade%22%3A%20=something", "www.example.com", "https", `"@query-param";name="fa%C3%A7ade%22%3A%20"`, "something"},
		"header, spaces":      {"/", "www.example.com", "https", `"x-ows-header"`, "Leading and trailing whitespace."},
		"header, folded":      {"/", "www.example.com", "https", `"x-obs-fold-header"`, "Obsolete line folding."},
		"header, two lines":   {"/", "www.example.com", "https", `"cache-control"`, "max-age=60, must-revalidate"},
		"header, dictionary":  {"/", "www.example.com", "https", `"example-dict"`, "a=1,    b=2;x=1;y=2,   c=(a   b   c)"},
		"header, empty":       {"/", "www.example.com", "https", `"x-empty-header"`, ""},
		"host":                {"/", "www.example.com", "https", `"host"`, "www.example.com"},
	} {
		r := readRequest(t, "GET "+c.target+" HTTP/1.1\r\nHost: "+c.host+"\r\n"+fields+"\r\n")
		want := c.component + ": " + c.want + "\n" + `"@signature-params": (` + c.component + ")"
		if got := baseOf(t, r, c.scheme, "sig=("+c.component+")"); got != want {
			t.Errorf("%s: the base is\n%s\nwant\n%s", name, got, want)
		}
	}
	for _, component := range []string{`"@status"`, `"@unknown"`, `"missing"`, `"Cache-Control"`, `"x y"`, `""`, `date`, `1`, `"date";sf`, `"example-dict";key="a"`, `"cache-control";bs`, `"@method";req`,
		`"@query-param"`, `"@query-param";name=1`, `"@query-param";name="none"`, `"@query-param";name="twice"`, `"@query-param";name="a";req`, `"@method" "@method"`} {
		r := readRequest(t, "GET /?a=1&twice=1&twice=2 HTTP/1.1\r\nHost: www.example.com\r\n"+fields+"\r\n")
		if got := baseOf(t, r, "https", "sig=("+component+")"); got != "" {
			t.Errorf("%s is taken: %s", component, got)
		}
	}
}

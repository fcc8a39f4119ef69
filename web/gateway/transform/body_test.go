package transform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"jobhub/jobs"
)

func answers(t testing.TB, rules ResponseRules) *Response {
	t.Helper()
	r, err := CompileResponse(rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const doc = `{"id":9007199254740993, "total":1.10, "x":[ ], "secret":"s"}`

var head = http.Header{"Content-Type": {"application/json"}, "Etag": {`"a"`}, "Digest": {"d"}, "Content-Digest": {"d"}, "Repr-Digest": {"d"}, "Content-Md5": {"d"}, "Accept-Ranges": {"bytes"}, "Last-Modified": {"x"}, "Content-Length": {"1"}, "X-Other": {"o"}}

func with(h http.Header, pairs ...string) http.Header {
	h = h.Clone()
	for i := 0; i < len(pairs); i += 2 {
		if h.Del(pairs[i]); pairs[i+1] != "" {
			h.Set(pairs[i], pairs[i+1])
		}
	}
	return h
}

// TestEncodings is row 4: a compressed body is decoded and encoded again, whatever its length
// says.
func TestEncodings(t *testing.T) {
	r := answers(t, ResponseRules{Body: "del(.secret)"})
	for _, encoding := range []string{"", "identity", "gzip", "x-gzip", "GZIP", "deflate", "br", "zstd", "gzip, br"} {
		h := with(head, "Content-Encoding", encoding)
		names, err := codings(h)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := encode([]byte(doc), names)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Whole(t.Context(), "GET", jobs.Response{Status: 200, Header: h, Body: packed}, values(), 0)
		if err != nil {
			t.Errorf("%s: %v", encoding, err)
			continue
		}
		plain, err := decode(got.Body, names, 1000)
		if err != nil || string(plain) != `{"id":9007199254740993,"total":1.10,"x":[ ]}` {
			t.Errorf("%s: %s, %v", encoding, plain, err)
		}
		want := http.Header{"Content-Type": {"application/json"}, "X-Other": {"o"}, "Content-Length": {strconv.Itoa(len(got.Body))}}
		if encoding != "" {
			want.Set("Content-Encoding", encoding)
		}
		if !maps.EqualFunc(got.Header, want, func(a, b []string) bool { return strings.Join(a, ";") == strings.Join(b, ";") }) {
			t.Errorf("%s: %q", encoding, got.Header)
		}
		if h.Get("Etag") == "" {
			t.Error("the headers that were given have changed")
		}
		// A rule that changes nothing leaves all as it is.
		for _, program := range []string{".", "if .nope then {} else . end", ""} {
			same, err := answers(t, ResponseRules{Body: program}).Whole(t.Context(), "GET", jobs.Response{Status: 200, Header: h, Body: packed}, values(), 0)
			if err != nil || &same.Body[0] != &packed[0] || len(same.Header) != len(h) {
				t.Errorf("%s, %s: %q, %v", encoding, program, same.Header, err)
			}
		}
	}
}

// TestArrays is row 2: [] stays [], untouched members stay as they are.
func TestArrays(t *testing.T) {
	r := answers(t, ResponseRules{Body: ".added = 1"})
	got, err := r.Whole(t.Context(), "GET", jobs.Response{Status: 200, Header: head, Body: []byte(`{"a":[],"b":{},"c":[[],{ }],"n":1.0,"s":"\u0041\/"}`)}, values(), 0)
	if err != nil || string(got.Body) != `{"a":[],"b":{},"c":[[],{ }],"n":1.0,"s":"\u0041\/","added":1}` {
		t.Errorf("%s, %v", got.Body, err)
	}
}

func bomb(t *testing.T, encoding string) []byte {
	t.Helper()
	packed, err := encode([]byte(`"`+strings.Repeat("0", 2<<20)+`"`), []string{encoding})
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 64<<10 {
		t.Fatalf("%d bytes are no bomb", len(packed))
	}
	return packed
}

func TestRefusedBodies(t *testing.T) {
	gzipped, _ := encode([]byte(doc), []string{"gzip"})
	deflated, _ := encode([]byte(doc), []string{"deflate"})
	twice, _ := encode(bomb(t, "gzip"), []string{"gzip"})
	for name, c := range map[string]struct {
		h      http.Header
		body   []byte
		status int
	}{
		"text":             {with(head, "Content-Type", "text/plain"), []byte(doc), 415},
		"no type":          {with(head, "Content-Type", ""), []byte(doc), 415},
		"two types":        {http.Header{"Content-Type": {"application/json", "text/html"}}, []byte(doc), 415},
		"events":           {with(head, "Content-Type", "text/event-stream"), []byte("data: {}\n\n"), 415},
		"ndjson":           {with(head, "Content-Type", "application/x-ndjson"), []byte("{}\n{}\n"), 415},
		"json sequence":    {with(head, "Content-Type", "application/json-seq"), []byte("\x1e{}\n"), 415},
		"latin1":           {with(head, "Content-Type", "application/json; charset=iso-8859-1"), []byte(doc), 415},
		"unknown encoding": {with(head, "Content-Encoding", "compress"), []byte(doc), 415},
		"three encodings":  {with(head, "Content-Encoding", "gzip,gzip,gzip"), []byte(doc), 415},
		"not gzip":         {with(head, "Content-Encoding", "gzip"), []byte(doc), 400},
		"not br":           {with(head, "Content-Encoding", "br"), []byte(doc), 400},
		"not zstd":         {with(head, "Content-Encoding", "zstd"), []byte(doc), 400},
		"not deflate":      {with(head, "Content-Encoding", "deflate"), []byte(doc), 400},
		"gzip, not said":   {head, gzipped, 400},
		"cut gzip":         {with(head, "Content-Encoding", "gzip"), gzipped[:len(gzipped)-5], 400},
		"gzip and more":    {with(head, "Content-Encoding", "gzip"), append(bytes.Clone(gzipped), "junk"...), 400},
		"deflate and more": {with(head, "Content-Encoding", "deflate"), append(bytes.Clone(deflated), "junk"...), 400},
		"gzip bomb":        {with(head, "Content-Encoding", "gzip"), bomb(t, "gzip"), 413},
		"gzip bomb twice":  {with(head, "Content-Encoding", "gzip, gzip"), twice, 413},
		"br bomb":          {with(head, "Content-Encoding", "br"), bomb(t, "br"), 413},
		"zstd bomb":        {with(head, "Content-Encoding", "zstd"), bomb(t, "zstd"), 413},
		"deflate bomb":     {with(head, "Content-Encoding", "deflate"), bomb(t, "deflate"), 413},
		"large":            {head, []byte(`"` + strings.Repeat("0", 1<<20) + `"`), 413},
		"cut":              {head, []byte(doc[:20]), 400},
		"duplicate":        {head, []byte(`{"a":1,"a":2}`), 400},
		"byte order mark":  {head, []byte("\ufeff{}"), 400},
		"does not fit":     {head, []byte(`[1]`), 422},
	} {
		rules := RequestRules{Body: ".x = 1"}
		if _, err := compile(t, rules).Whole(t.Context(), httptest.NewRequest("POST", "/", nil).URL, c.h.Clone(), c.body, values(), 0); status(err) != c.status {
			t.Errorf("%s: whole request: %v", name, err)
		}
		r := httptest.NewRequest("POST", "/", bytes.NewReader(c.body))
		r.Header = c.h.Clone()
		if err := compile(t, rules).Apply(r, values(), 0); status(err) != c.status {
			t.Errorf("%s: request: %v", name, err)
		}
		a := answers(t, ResponseRules{Body: ".x = 1"})
		if _, err := a.Whole(t.Context(), "GET", jobs.Response{Status: 200, Header: c.h, Body: c.body}, values(), 0); status(err) != 502 || strings.Contains(err.Error(), "[1]") {
			t.Errorf("%s: whole answer: %v", name, err)
		}
		res := &http.Response{StatusCode: 200, Header: c.h.Clone(), Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: -1}
		if err := a.Apply(t.Context(), res, values(), 0); status(err) != 502 {
			t.Errorf("%s: answer: %v", name, err)
		}
	}
}

// TestAnswers says what happens to each kind of answer with a rule for bodies.
func TestAnswers(t *testing.T) {
	r := answers(t, ResponseRules{Body: "{data: .id}", Headers: HeaderRules{Set: map[string]string{"X-Set": "{consumer.id}"}}})
	const changed = `{"data":9007199254740993}`
	for name, c := range map[string]struct {
		method string
		status int
		h      http.Header
		body   string
		want   string // "" if refused
		etag   bool
	}{
		"ok":           {"GET", 200, head, doc, changed, false},
		"created":      {"POST", 201, head, doc, changed, false},
		"problem type": {"GET", 200, with(head, "Content-Type", "application/vnd.a+json; charset=UTF-8"), doc, changed, false},
		"error":        {"GET", 404, with(head, "Content-Type", "text/html"), "<p>no", "<p>no", true},
		"json error":   {"GET", 500, head, doc, doc, true},
		"redirect":     {"GET", 302, head, "x", "x", true},
		"not modified": {"GET", 304, head, "", "", true},
		"no content":   {"GET", 204, head, "", "", true},
		"empty":        {"GET", 200, head, "", "", true},
		"head":         {"HEAD", 200, head, "", "", false},
		"part":         {"GET", 206, head, doc, "refused", true},
		"range":        {"GET", 200, with(head, "Content-Range", "bytes 0-1/2"), doc, "refused", true},
		"event stream": {"GET", 200, with(head, "Content-Type", "text/event-stream"), "data: 1\n\n", "refused", true},
	} {
		length := int64(len(c.body))
		if c.method == "HEAD" {
			length = 99
		}
		res := &http.Response{StatusCode: c.status, Header: c.h.Clone(), Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: length, Request: httptest.NewRequest(c.method, "/", nil)}
		err := r.Apply(t.Context(), res, values(), 0)
		body, _ := io.ReadAll(res.Body)
		if c.want == "refused" {
			if status(err) != 502 || string(body) != c.body {
				t.Errorf("%s: %v; the body must not be read: %q", name, err, body)
			}
			continue
		}
		if err != nil || string(body) != c.want || res.Header.Get("X-Set") != "key_1" || (res.Header.Get("Etag") != "") != c.etag {
			t.Errorf("%s: %s, %v, %q", name, body, err, res.Header)
		}
		if c.want == changed && (res.ContentLength != int64(len(body)) || res.Header.Get("Content-Length") != strconv.Itoa(len(body))) {
			t.Errorf("%s: the length is %d, %q", name, res.ContentLength, res.Header)
		}
		whole, err := r.Whole(t.Context(), c.method, jobs.Response{Status: c.status, Header: c.h, Body: []byte(c.body)}, values(), 0)
		if err != nil || string(whole.Body) != c.want || (whole.Header.Get("Etag") != "") != c.etag {
			t.Errorf("%s: whole: %s, %v, %q", name, whole.Body, err, whole.Header)
		}
	}
	early := &http.Response{StatusCode: 103, Header: http.Header{}}
	if err := r.Apply(t.Context(), early, values(), 0); err != nil || len(early.Header) > 0 {
		t.Error(err)
	}
}

func TestPrepare(t *testing.T) {
	given := http.Header{"Range": {"a"}, "If-Range": {"b"}, "If-None-Match": {"c"}, "If-Modified-Since": {"d"}, "If-Match": {"e"}, "Accept-Encoding": {"gzip, sdch"}}
	h := given.Clone()
	answers(t, ResponseRules{Body: ".a"}).Prepare("GET", h)
	if len(h) != 2 || h.Get("If-Match") != "e" || h.Get("Accept-Encoding") != acceptEncoding {
		t.Errorf("%q", h)
	}
	h = given.Clone()
	if answers(t, ResponseRules{}).Prepare("GET", h); len(h) != len(given) {
		t.Errorf("%q", h)
	}
}

// reader gives its bytes and then an error.
type reader struct {
	io.Reader
	err error
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		err = r.err
	}
	return n, err
}

func TestBrokenBodies(t *testing.T) {
	late := jobs.NewProblem(jobs.BadMessage, "Too slow", "Send faster.")
	for want, err := range map[string]error{"did not arrive whole": io.ErrUnexpectedEOF, "Send faster": late} {
		r := httptest.NewRequest("POST", "/", reader{strings.NewReader(`{"a":1`), err})
		r.Header, r.ContentLength = head.Clone(), 100
		if err := compile(t, RequestRules{Body: "."}).Apply(r, values(), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	r := httptest.NewRequest("POST", "/", reader{strings.NewReader(""), errors.New("must not be read")})
	r.Header, r.ContentLength = head.Clone(), 2<<20
	if err := compile(t, RequestRules{Body: "."}).Apply(r, values(), 0); status(err) != 413 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compile(t, RequestRules{Body: "[range(1e9)]"}).Whole(ctx, r.URL, head.Clone(), []byte("{}"), values(), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := compile(t, RequestRules{Body: "[range(1e9)]"}).Whole(t.Context(), r.URL, head.Clone(), []byte("{}"), values(), 0); status(err) != 422 {
		t.Errorf("%v", err)
	}
	get := httptest.NewRequest("GET", "/", nil)
	if err := compile(t, RequestRules{Body: ".a"}).Apply(get, values(), 0); err != nil {
		t.Errorf("a request without a body: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"gzip", "deflate", "br", "zstd"} {
		packed, _ := encode([]byte(doc), []string{name})
		f.Add(packed, name)
	}
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		names, err := codings(http.Header{"Content-Encoding": {name}})
		if err != nil {
			return
		}
		plain, err := decode(body, names, 1<<16)
		if err != nil || len(names) == 0 {
			return
		}
		if len(plain) > 1<<16 {
			t.Fatalf("%d bytes", len(plain))
		}
		packed, err := encode(plain, names)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decode(packed, names, 1<<16); err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("%q became %q, %v", plain, again, err)
		}
	})
}

package cache

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "write testdata/cache-tests/results.golden")

// suiteTest is a test of cache-tests: requests in a row, what the upstream answers to each, and
// what is expected.
type suiteTest struct {
	Set, ID, Name, Kind string
	DependsOn           []string `json:"depends_on"`
	Requests            []suiteRequest
}

type suiteRequest struct {
	Method         string     `json:"request_method"`
	Headers        []field    `json:"request_headers"`
	Body           string     `json:"request_body"`
	Query          string     `json:"query_arg"`
	Filename       string     `json:"filename"`
	PauseAfter     bool       `json:"pause_after"`
	MagicIMS       bool       `json:"magic_ims"`
	MagicLocations bool       `json:"magic_locations"`
	RFC850         []string   `json:"rfc850date"`
	ResponsePause  float64    `json:"response_pause"`
	Status         []any      `json:"response_status"`
	Response       []field    `json:"response_headers"`
	ResponseBody   *string    `json:"response_body"`
	Interim        []response `json:"interim_responses"`
	Disconnect     bool

	Setup                bool
	Type                 string          `json:"expected_type"`
	ExpectStatus         json.RawMessage `json:"expected_status"`
	ExpectMethod         string          `json:"expected_method"`
	ExpectText           json.RawMessage `json:"expected_response_text"`
	CheckBody            *bool           `json:"check_body"`
	ExpectHeaders        []field         `json:"expected_response_headers"`
	ExpectMissing        []field         `json:"expected_response_headers_missing"`
	ExpectRequestHeaders []field         `json:"expected_request_headers"`
	ExpectInterim        []response      `json:"expected_interim_responses"`
}

// field is a header: name, value and whether it is checked; or a name; or a name, an operator and
// an operand. A number is a time, in seconds from now.
type field struct {
	name  string
	value any
	third any
	alone bool
}

func (f *field) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &f.name) == nil {
		f.alone = true
		return nil
	}
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	f.name, f.value = list[0].(string), list[1]
	if len(list) > 2 {
		f.third = list[2]
	}
	return nil
}

type response struct {
	status  int
	headers []field
}

func (r *response) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) > 1 {
		if err := json.Unmarshal(list[1], &r.headers); err != nil {
			return err
		}
	}
	return json.Unmarshal(list[0], &r.status)
}

// text is the value of a field; base is the request's path.
func (f field) text(q suiteRequest, now time.Time, base string) string {
	low := strings.ToLower(f.name)
	switch v := f.value.(type) {
	case float64:
		if slices.Contains([]string{"date", "expires", "last-modified", "if-modified-since", "if-unmodified-since"}, low) {
			at := now.Add(time.Duration(v) * time.Second).UTC()
			if slices.Contains(q.RFC850, low) {
				return at.Format("Monday, 02-Jan-06 15:04:05 GMT")
			}
			return at.Format(http.TimeFormat)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if q.MagicLocations && (low == "location" || low == "content-location") {
			if v == "" {
				return base
			}
			return base + "/" + v
		}
		return v
	}
	return ""
}

// server is the upstream of a suiteTest.
type server struct {
	test suiteTest
	mu   sync.Mutex
	seen []seen
}

type seen struct {
	number int
	method string
	header http.Header
	saved  http.Header // what the client has to get
}

const suiteBody = "the body of all answers has 36 bytes" // as some tests expect

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	number, _ := strconv.Atoi(r.Header.Get("Req-Num"))
	q := s.test.Requests[number-1]
	time.Sleep(time.Duration(q.ResponsePause * float64(time.Second)))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.Got1xxResponse != nil {
		for _, one := range q.Interim {
			h := textproto.MIMEHeader{}
			for _, f := range one.headers {
				h.Add(f.name, f.text(q, now, ""))
			}
			trace.Got1xxResponse(one.status, h)
		}
	}
	status := 200
	if len(q.Status) > 0 {
		status = int(q.Status[0].(float64))
	}
	h, saved := http.Header{}, http.Header{}
	h.Set("Server-Request-Count", strconv.Itoa(len(s.seen)+1))
	h.Set("Client-Request-Count", strconv.Itoa(number))
	for _, f := range q.Response {
		h.Add(f.name, f.text(q, now, r.URL.Path))
		if f.third != false {
			saved[http.CanonicalHeaderKey(f.name)] = h.Values(f.name)
		}
	}
	if strings.HasSuffix(q.Type, "validated") {
		status = 999
		for _, f := range s.test.Requests[number-2].Response {
			switch low := strings.ToLower(f.name); {
			case low == "last-modified" && r.Header.Get("If-Modified-Since") == f.text(q, now.Add(-3*time.Second), ""),
				low == "last-modified" && r.Header.Get("If-Modified-Since") == f.text(q, now, ""),
				low == "etag" && r.Header.Get("If-None-Match") == f.text(q, now, ""):
				status = 304
			}
		}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain")
	}
	if h.Get("Date") == "" {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	s.seen = append(s.seen, seen{number, r.Method, r.Header.Clone(), saved})
	if q.Disconnect {
		return nil, io.ErrUnexpectedEOF
	}
	body := suiteBody
	if q.ResponseBody != nil && *q.ResponseBody != "" {
		body = *q.ResponseBody
	}
	res := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r, Body: http.NoBody}
	if status != 204 && status != 304 {
		if h.Get("Content-Length") == "" {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
		res.ContentLength, _ = strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		if r.Method != http.MethodHead {
			res.Body = io.NopCloser(io.LimitReader(strings.NewReader(body), res.ContentLength))
		}
	}
	return res, nil
}

// run returns why the test fails; nil if it does not.
func (s *server) run(t *testing.T) error {
	c := New(Options{})
	defer c.Close()
	next := c.Transport(s, Policy{Scope: "suite", ForwardAuth: true})
	var answers []*recorder
	for i, q := range s.test.Requests {
		path := "/test"
		if q.Filename != "" {
			path += "/" + q.Filename
		}
		if q.Query != "" {
			path += "?" + q.Query
		}
		r := request(t, "GET "+path)
		if q.Method != "" {
			r.Method = q.Method
		}
		if q.Body != "" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(q.Body)), int64(len(q.Body))
		}
		now := time.Now()
		for _, f := range q.Headers {
			if q.MagicIMS && strings.EqualFold(f.name, "If-Modified-Since") && i > 0 {
				now = now.Add(-3 * time.Second) // when the answer before was made
			}
			r.Header.Add(f.name, f.text(q, now, ""))
		}
		r.Header.Set("Req-Num", strconv.Itoa(i+1))
		got := proxy(next, r, "caller")
		synctest.Wait()
		answers = append(answers, got)
		if err := s.check(i, q, got); err != nil {
			return fmt.Errorf("answer %d: %w", i+1, err)
		}
		if q.PauseAfter {
			time.Sleep(3 * time.Second)
		}
	}
	return s.checkServer(answers)
}

func (s *server) check(i int, q suiteRequest, got *recorder) error {
	if got.sent == nil {
		got.sent = http.Header{}
	}
	count, err := strconv.Atoi(got.sent.Get("Server-Request-Count"))
	if q.Type == "cached" && !(got.status == 304 && err != nil) && count >= i+1 {
		return errors.New("is not from the cache")
	}
	if q.Type == "not_cached" && count != i+1 {
		return errors.New("is from the cache")
	}
	want := 200
	switch {
	case q.ExpectStatus != nil:
		if string(q.ExpectStatus) == "null" {
			want = got.status
		} else if err := json.Unmarshal(q.ExpectStatus, &want); err != nil {
			return err
		}
	case len(q.Status) > 0:
		want = int(q.Status[0].(float64))
	}
	if got.status != want {
		return fmt.Errorf("status %d, not %d", got.status, want)
	}
	for _, f := range q.ExpectHeaders {
		values := got.sent.Values(f.name)
		value := strings.Join(values, ", ")
		switch {
		case len(values) == 0:
			return fmt.Errorf("has no %s", f.name)
		case f.alone:
		case f.value == "=":
			if value != got.sent.Get(f.third.(string)) {
				return fmt.Errorf("%s: %s is not that of %s", f.name, value, f.third)
			}
		case f.value == ">":
			if n, err := strconv.Atoi(value); err != nil || float64(n) <= f.third.(float64) {
				return fmt.Errorf("%s: %s", f.name, value)
			}
		default:
			if _, isTime := f.value.(float64); !isTime && value != f.text(q, time.Now(), "/test") {
				return fmt.Errorf("%s: %q, not %q", f.name, value, f.value)
			}
		}
	}
	for _, f := range q.ExpectMissing {
		for _, value := range got.sent.Values(f.name) {
			if part, _ := f.value.(string); f.alone || strings.Contains(value, part) {
				return fmt.Errorf("has %s: %s", f.name, value)
			}
		}
	}
	if len(q.ExpectInterim) > 0 || len(got.interim) > 0 {
		if len(got.interim) != len(q.ExpectInterim) {
			return fmt.Errorf("%d 1xx answers, not %d", len(got.interim), len(q.ExpectInterim))
		}
		for i, want := range q.ExpectInterim {
			if got.interim[i].status != want.status {
				return fmt.Errorf("1xx: %d, not %d", got.interim[i].status, want.status)
			}
			for _, f := range want.headers {
				if got.interim[i].header.Get(f.name) != f.value {
					return fmt.Errorf("1xx: %v", got.interim[i].header)
				}
			}
		}
	}
	body := suiteBody
	switch {
	case q.CheckBody != nil && !*q.CheckBody:
		return nil
	case q.ExpectText != nil:
		if string(q.ExpectText) == "null" {
			return nil
		}
		if err := json.Unmarshal(q.ExpectText, &body); err != nil {
			return err
		}
	case q.ResponseBody != nil:
		body = *q.ResponseBody
	case got.status == 204 || got.status == 304 || q.Method == "HEAD":
		return nil
	}
	if got.body.String() != body {
		return fmt.Errorf("body %q, not %q", got.body.String(), body)
	}
	return nil
}

func (s *server) checkServer(answers []*recorder) error {
	at := 0
	for i, q := range s.test.Requests {
		if q.Type == "cached" {
			continue
		}
		var r seen
		if at < len(s.seen) {
			r = s.seen[at]
		}
		at++
		if q.Type == "not_cached" && r.number != i+1 {
			return fmt.Errorf("answer %d is from the cache", i+1)
		}
		for _, c := range []struct{ kind, name string }{{"etag_validated", "If-None-Match"}, {"lm_validated", "If-Modified-Since"}} {
			if q.Type == c.kind && r.header.Get(c.name) == "" {
				return fmt.Errorf("request %d has no %s", i+1, c.name)
			}
		}
		for _, f := range q.ExpectRequestHeaders {
			if value := r.header.Get(f.name); value == "" || !f.alone && value != f.value {
				return fmt.Errorf("request %d: %s: %q", i+1, f.name, value)
			}
		}
		if q.ExpectMethod != "" && r.method != q.ExpectMethod {
			return fmt.Errorf("request %d: method %q", i+1, r.method)
		}
		for name, values := range r.saved {
			if got := strings.Join(answers[i].sent.Values(name), ", "); name != "Date" && got != strings.Join(values, ", ") {
				return fmt.Errorf("answer %d: %s: %q, not %q", i+1, name, got, values)
			}
		}
	}
	return nil
}

// TestSuite runs the tests of cache-tests and compares what they find with results.golden.
// A test of the kind required must pass, unless notHere says why not.
func TestSuite(t *testing.T) {
	data, err := os.ReadFile("testdata/cache-tests/tests.json")
	if err != nil {
		t.Fatal(err)
	}
	var tests []suiteTest
	if err := json.Unmarshal(data, &tests); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	unused, failed := maps.Clone(notHere), map[string]bool{}
	for _, test := range tests {
		test.Kind = map[string]string{"": "required"}[test.Kind] + test.Kind
		t.Run(test.Set+"/"+test.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{test: test}
				found := "yes"
				if test.Kind != "required" && slices.ContainsFunc(test.DependsOn, func(id string) bool { return failed[id] }) {
					failed[test.ID], found = true, "not run, as what it depends on is no"
				} else if err := s.run(t); err != nil {
					failed[test.ID], found = true, "no: "+err.Error()
					if _, known := notHere[test.ID]; test.Kind == "required" && !known {
						t.Errorf("%s: %v", test.Name, err)
					}
					delete(unused, test.ID)
				}
				fmt.Fprintf(&out, "%-9s %s: %s\n", test.Kind, test.ID, found)
			})
		})
	}
	for id := range unused {
		t.Errorf("%s passes; delete it from notHere", id)
	}
	const golden = "testdata/cache-tests/results.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != out.String() {
		t.Errorf("the results are not those of %s; see them with -update and git diff (%v)", golden, err)
	}
}

// notHere are the required tests that do not pass, with the reason.
var notHere = map[string]string{
	"headers-store-Set-Cookie":   "an answer with Set-Cookie is never stored",
	"headers-store-Set-Cookie2":  "the same",
	"partial-use-headers":        "a request with Range goes to the upstream",
	"partial-use-stored-headers": "the same",
}

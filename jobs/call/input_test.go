package call

import (
	"errors"
	"strings"
	"testing"

	"jobhub/jobs"
)

func TestCheck(t *testing.T) {
	check := HTTP(Options{}).Check
	for _, tc := range []struct {
		input, pointer string // pointer "" for valid
		code           jobs.Code
	}{
		{`{"url":"https://example.com/a?b=c#d"}`, "", ""},
		{`{"url":"HTTP://Example.COM:8080"}`, "", ""},
		{`{"url":"http://8.8.8.8/"}`, "", ""},
		{`{"url":"http://[2606:4700::1]:80/"}`, "", ""},
		{`{"url":"http://localhost/"}`, "", ""}, // judged when dialled
		{`{"url":"http://xn--bcher-kva.example/"}`, "", ""},
		{`{"url":"http://a.example/","method":"patch","headers":{"X-A":"ü\t"},"body":{"base64":1},"expect":[404,302]}`, "", ""},

		{`null`, "/input/url", "bad_message"},
		{`{}`, "/input/url", "bad_message"},
		{`5`, "/input", "bad_message"},
		{`{"url":5}`, "/input/url", "bad_message"},
		{`{"url":"http://a.example/","uri":""}`, "/input/uri", "bad_message"},
		{`{"url":"http://a.example/","URL":""}`, "/input/URL", "bad_message"},
		{`{"url":"/path"}`, "/input/url", "bad_message"},
		{`{"url":"//a.example/"}`, "/input/url", "bad_message"},
		{`{"url":"ftp://a.example/"}`, "/input/url", "bad_message"},
		{`{"url":"file:///etc/passwd"}`, "/input/url", "bad_message"},
		{`{"url":"http:a.example"}`, "/input/url", "bad_message"},
		{`{"url":"http:///path"}`, "/input/url", "bad_message"},
		{`{"url":"http://:80/"}`, "/input/url", "bad_message"},
		{`{"url":"http://me@a.example/"}`, "/input/url", "bad_message"},
		{`{"url":"http://me:s3cret@a.example/"}`, "/input/url", "bad_message"},
		{`{"url":"http://a.example/%zz?s3cret"}`, "/input/url", "bad_message"},
		{`{"url":"http://a.example\r\nX: y/"}`, "/input/url", "bad_message"},
		{`{"url":"http://a.example:0/"}`, "/input/url", "bad_message"},
		{`{"url":"http://a.example:65536/"}`, "/input/url", "bad_message"},
		{`{"url":"http://bücher.example/"}`, "/input/url", "bad_message"},
		{`{"url":"http://127。0。0。1/"}`, "/input/url", "bad_message"},
		{`{"url":"http://①②⑦.0.0.1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://%31%32%37.0.0.1/"}`, "/input/url", "bad_message"},

		{`{"url":"http://127.0.0.1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://10.1.2.3:8080/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://[::1]/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://[::ffff:127.0.0.1]/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://[fe80::1%25eth0]/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://169.254.169.254/latest/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://168.63.129.16/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://2130706433/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://0x7f.1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://0X7F000001/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://127.1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://017700000001/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://0177.0.0.1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://127.0.0.0x1/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://127.0.0.1./"}`, "/input/url", "blocked_address"},
		{`{"url":"http://8.8.8.8./"}`, "/input/url", "blocked_address"},
		{`{"url":"http://0/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://0x/"}`, "/input/url", "blocked_address"},
		{`{"url":"http://./"}`, "/input/url", "blocked_address"},

		{`{"url":"http://a.example/","method":"G T"}`, "/input/method", "bad_message"},
		{`{"url":"http://a.example/","method":"connect"}`, "/input/method", "bad_message"},
		{`{"url":"http://a.example/","method":"TRACE"}`, "/input/method", "bad_message"},
		{`{"url":"http://a.example/","headers":["a"]}`, "/input/headers", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a":1}}`, "/input/headers/a", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a":null}}`, "/input/headers/a", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a":"s3cret\r\nb: c"}}`, "/input/headers/a", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a":"\u0000"}}`, "/input/headers/a", "bad_message"},
		{`{"url":"http://a.example/","headers":{"":"b"}}`, "/input/headers/", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a b":"c"}}`, "/input/headers/a b", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a/b":"c"}}`, "/input/headers/a~1b", "bad_message"},
		{`{"url":"http://a.example/","headers":{"a\nb":"c"}}`, "/input/headers/a\nb", "bad_message"},
		{`{"url":"http://a.example/","headers":{"x-a":"1","X-A":"2"}}`, "/input/headers/x-a", "bad_message"},
		{`{"url":"http://a.example/","headers":{"host":"b.example"}}`, "/input/headers/host", "bad_message"},
		{`{"url":"http://a.example/","headers":{"Content-Length":"1"}}`, "/input/headers/Content-Length", "bad_message"},
		{`{"url":"http://a.example/","headers":{"connection":"close"}}`, "/input/headers/connection", "bad_message"},
		{`{"url":"http://a.example/","headers":{"Transfer-Encoding":"chunked"}}`, "/input/headers/Transfer-Encoding", "bad_message"},
		{`{"url":"http://a.example/","headers":{"proxy-authorization":"s3cret"}}`, "/input/headers/proxy-authorization", "bad_message"},
		{`{"url":"http://a.example/","headers":{"Jobhub-Attempt":"1"}}`, "/input/headers/Jobhub-Attempt", "bad_message"},
		{`{"url":"http://a.example/","body":{"base64":"!"}}`, "/input/body/base64", "bad_message"},
		{`{"url":"http://a.example/","body":{"a":1,"a":2}}`, "/input/body/a", "bad_message"},
		{`{"url":"http://a.example/","expect":["200"]}`, "/input/expect/0", "bad_message"},
		{`{"url":"http://a.example/","expect":[200,600]}`, "/input/expect/1", "bad_message"},
		{`{"url":"http://a.example/","expect":[200.5]}`, "/input/expect/0", "bad_message"},
	} {
		err := check(jobs.Value(tc.input), jobs.Via{})
		if tc.pointer == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.input, err)
			}
			continue
		}
		p, ok := errors.AsType[*jobs.Problem](err)
		if !ok || p.Code != tc.code || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != tc.pointer || p.Errors[0].Detail == "" {
			t.Errorf("%s: got %+v, want %s at %s", tc.input, p, tc.code, tc.pointer)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells a secret: %v", tc.input, err)
		}
	}
}

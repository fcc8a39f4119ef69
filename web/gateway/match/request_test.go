package match

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// TestRequestTargets: of the forms of a request's target, those that are no path of this server
// are refused, and a URL is read as its path and its host.
func TestRequestTargets(t *testing.T) {
	table := newTable(t, Rule{Path: "/"}, Rule{Host: "internal.example", Path: "/secret/{id}"})
	for line, want := range map[string]string{
		"GET /x HTTP/1.1\r\nHost: h":                                   "/ h /x",
		"GET /x?a=/../ HTTP/1.1\r\nHost: h":                            "/ h /x",
		"GET //evil/x HTTP/1.1\r\nHost: h":                             "/ h //evil/x",
		"GET /secret/1 HTTP/1.1\r\nHost: internal.example:80":          "/secret/{id} internal.example:80 /secret/1",
		"GET http://h/x HTTP/1.1\r\nHost: h":                           "/ h /x",
		"GET http://h HTTP/1.1\r\nHost: h":                             "/ h /",
		"GET http://h?q HTTP/1.1\r\nHost: h":                           "/ h /",
		"GET http://internal.example/secret/1 HTTP/1.1\r\nHost: h":     "/secret/{id} internal.example /secret/1", // RFC 9112: the target goes before Host
		"GET http://h/secret/1 HTTP/1.1\r\nHost: internal.example":     "/ h /secret/1",
		"GET http://user@h/x HTTP/1.1\r\nHost: h":                      "",
		"GET ftp://h/x HTTP/1.1\r\nHost: h":                            "",
		"GET http:/x HTTP/1.1\r\nHost: h":                              "",
		"GET http:x HTTP/1.1\r\nHost: h":                               "",
		"GET mailto:a@b HTTP/1.1\r\nHost: h":                           "",
		"GET http:///x HTTP/1.1\r\nHost: h":                            "",
		"OPTIONS * HTTP/1.1\r\nHost: h":                                "",
		"GET * HTTP/1.1\r\nHost: h":                                    "",
		"CONNECT h:443 HTTP/1.1\r\nHost: h:443":                        "",
		"CONNECT internal.example:443 HTTP/1.1\r\nHost: h":             "",
		"CONNECT /x HTTP/1.1\r\nHost: h":                               "/ h /x",
		"GET http://h/../x HTTP/1.1\r\nHost: h":                        "",
		"GET http://h/%2e%2e/x HTTP/1.1\r\nHost: h":                    "",
		"GET http://internal.example/secret/a%2fb HTTP/1.1\r\nHost: h": "",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(line + "\r\n\r\n")))
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", line, err)
			}
			continue // the server answers 400
		}
		got := ""
		q, err := FromHTTP(r)
		if err == nil {
			var found Found[int]
			if found, err = table.Find(q); err == nil && found.Rule != nil {
				got = found.Rule.Path + " " + q.Host + " " + q.Path
			}
		}
		if got != want || got == "" && err == nil {
			t.Errorf("%q: %q, %v, want %q", line, got, err, want)
		}
	}
}

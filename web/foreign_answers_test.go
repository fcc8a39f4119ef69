package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/google/uuid"

	"jobhub/jobs"
)

func jobIDOf(text string) (jobs.ID, error) { return uuid.Parse(text) }

func nested(open string, close string, n int) string {
	return strings.Repeat(open, n) + "1" + strings.Repeat(close, n)
}

// foreignAnswers are answers of upstreams, by what is odd about them.
func foreignAnswers() map[string]string {
	utf16le := func(text string) string {
		var b bytes.Buffer
		binary.Write(&b, binary.LittleEndian, utf16.Encode([]rune(text)))
		return b.String()
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(`{"a":"` + strings.Repeat("zip", 1000) + `"}`))
	z.Close()
	const js = "application/json"
	return map[string]string{
		"fine":                     answered(js, `{"a":[1,2.50,"x"]}`),
		"member twice":             answered(js, `{"a":1,"a":2}`),
		"member twice, escaped":    answered(js, `{"a":1,"\u0061":2}`),
		"half a surrogate":         answered(js, `{"a":"\ud800"}`),
		"half a surrogate in name": answered(js, `{"\udc00":1}`),
		"surrogates reversed":      answered(js, `["\udc00\ud800"]`),
		"Latin-1":                  answered(js, "{\"n\":\"caf\xe9\"}"),
		"Latin-1 in a text":        answered("text/plain; charset=iso-8859-1", "caf\xe9"),
		"deep arrays":              answered(js, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)),
		"9,999 levels":             answered(js, nested("[", "]", 9_999)),
		"deep objects":             answered(js, nested(`{"a":`, "}", 5_000)),
		"65 levels":                answered(js, nested("[", "]", 65)),
		"64 levels":                answered(js, nested("[", "]", 64)),
		"63 levels":                answered(js, nested("[", "]", 63)),
		"61 levels":                answered(js, nested("[", "]", 61)),
		"deep and cut":             answered(js, strings.Repeat("[", 100)),
		"brackets in strings":      answered(js, `["`+strings.Repeat("[{", 100)+`\"`+strings.Repeat("[", 100)+`"]`),
		"UTF-16":                   answered(js+"; charset=utf-16", utf16le(`{"a":"é"}`)),
		"UTF-16 with a mark":       answered(js, "\xff\xfe"+utf16le(`{"a":1}`)),
		"mark of UTF-8":            answered(js, "\ufeff{\"a\":1}"),
		"zeros":                    answered("text/plain", "a\x00b\x00"),
		"zero in JSON":             answered(js, "{\"a\":\"\x00\"}"),
		"escaped zero":             answered(js, `{"\u0000":"\u0000"}`),
		"huge number":              answered(js, `[1e999999,-0,0.1e-999999,`+strings.Repeat("9", 5000)+`]`),
		"not a number":             answered(js, `{"percent":NaN}`),
		"two values":               answered(js, `{} {}`),
		"line breaks":              answered(js, "{\r\n\t\"a\"\r:\n[\u2028] \n}\n"),
		"line breaks in JSON":      answered(js, "[\r\n1,\r2\n]\r\n"),
		"separators":               answered(js, "[\"\u2028\u2029\"]"),
		"bad type":                 answered(`application/json; charset="`, `{"a":1,"a":2}`),
		"bad type, fine body":      answered(`application/json; charset="; x`, `{"a":1}`),
		"type twice":               answered(js+", text/html", `{"a":1}`),
		"type of bytes":            answered("application/\xff\xfe+json", `{"a":1}`),
		"problem":                  answered("application/problem+json", "{\"title\":\"\xff\",\"title\":1}"),
		"problem of 500":           strings.Replace(answered("application/problem+json", `{"title":{"a":"\ud83d"}`), "200 OK", "500 Broken", 1),
		"header bytes":             answered(js, `{}`, "X-Name: caf\xe9 \x80\xff", "X-name: other", "Server: \xc3\x28"),
		"many headers":             answered(js, `{}`, strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 100)+"X-B: 1"),
		"huge header":              answered(js, `{}`, "X-A: "+strings.Repeat("y", 300<<10)),
		"gzip":                     answered(js, zipped.String(), "Content-Encoding: gzip"),
		"cut gzip":                 answered(js, zipped.String()[:20], "Content-Encoding: gzip"),
		"unsaid gzip":              answered(js, zipped.String()),
		"length too large":         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":1}",
		"cut chunk":                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"a\":",
		"bad chunk":                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
		"chunks":                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"a\":1,\"\r\n6\r\na\":2}\n\r\n0\r\nX-Trailer: \xff\r\n\r\n",
		"no HTTP":                  "\x00\x01\x02{\"a\":1}",
		"nothing":                  "",
		"status 42":                strings.Replace(answered(js, `{}`), "200 OK", "042 Odd", 1),
		"status 99":                strings.Replace(answered(js, `{}`), "200 OK", "099 Odd", 1),
		"status 100":               "HTTP/1.1 100 Continue\r\nX: \xff\r\n\r\n" + answered(js, `{"a":1,"a":2}`),
		"status 101":               "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\xff\xff",
		"status 204 with a body":   "HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n\xff\xff\xff",
		"status 304":               "HTTP/1.1 304 Not Modified\r\nEtag: \"\xff\"\r\n\r\n",
		"status 410":               strings.Replace(answered(js, `{"a":1,"a":2}`), "200 OK", "410 Gone", 1),
		"status 503":               strings.Replace(answered(js, "[\xff]", "Retry-After: \xff99999999999999999999"), "200 OK", "503 \xff\xfe", 1),
		"status 999":               strings.Replace(answered(js, `{"a":1,"a":2}`), "200 OK", "999 Odd", 1),
		"redirect to bytes":        "HTTP/1.1 302 Found\r\nLocation: http://caf\xe9.example/\xff\r\nContent-Length: 0\r\n\r\n",
		"redirect to a bad URL":    "HTTP/1.1 307 Found\r\nLocation: http://[::1%25\xff]:x/%zz\r\nContent-Length: 0\r\n\r\n",
		"JSON lines":               answered("application/x-ndjson", "{\"percent\":1e999}\n{\"percent\":5,\"message\":\"\xff\"}\n{\"percent\":7,\"message\":\"\\ud800\"}\n{\"percent\":8,\"message\":\"a\\u0000b\",\"x\":"+nested("[", "]", 300)+"}\n[\xff\n"),
		"events":                   answered("text/event-stream", "data: {\"percent\":3,\"percent\":4}\n\ndata: \xff\xfe\n\ndata: {\"percent\":50}\r\n\r\n\xe2\x82"),
		"image":                    answered("image/png", "\x89PNG\r\n\x1a\n\x00"),
		"HTML":                     answered("text/html", "<script>\x00\xff</script>"),
		"without a type":           answered("", "caf\xe9"),
		"name with odd letters":    answered(js, `{}`, "X_Name!#$%&'*+.^`|~: 1"),
	}
}

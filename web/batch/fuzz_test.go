package batch

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/rest"
)

// FuzzBatch: no body makes the decoder panic; what it takes can be served: its order of
// dependencies ends, its requests go to this server and not to a batch, and hold nothing
// that HTTP does not allow.
func FuzzBatch(f *testing.F) {
	for _, seed := range []string{`{"requests":[]}`, `{"requests":[{"method":"GET","path":"/items/1"},{"method":"POST","path":"/items","body":{"name":"NewItem"}}]}`,
		`{"requests":[{"id":"a","method":"put","url":"/x?y=%20","headers":{"Prefer":"wait=1","te":"x"},"body":"text","depends_on":["b"]},{"id":"b","method":"DELETE","path":"/"}]}`,
		`{"requests":[{"id":"a","depends_on":["a"]}]}`, `{"requests":[{"path":"//x"},{"path":"/%2e%2e/b"},{"path":"/batch"},{"body":{"base64":"AA=="}}]}`, `{"requests":null}`, `{"requests":[null]}`,
		`{"requests":[{"method":"GET","path":"/v1/%62atch"}]}`, `{"requests":[{"headers":{"a":"b\r\nc"}}],"atomicity_group":1}`, `[`, "\xff", `{"requests":[{"id":"\ud800"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := decodeBatch(body)
		if err != nil {
			if status := rest.ProblemOf(err).Status; status != 400 && status != 422 && status != 413 {
				t.Fatalf("%q is refused with %d", body, status)
			}
			return
		}
		if len(items) > rest.MaxItems {
			t.Fatalf("%d items", len(items))
		}
		server := &Server{Base: new(rest.Base)}
		server.UseSettings(&rest.Settings{})
		b := newBatch(server, &http.Request{Host: "hub", Header: http.Header{"Authorization": {"Bearer x"}}}, items, rest.MaxAnswers)
		b.key = itemKeys("k")
		done := 0
		for round := 0; done < len(items); round++ {
			if round > len(items) {
				t.Fatalf("%q never ends", body)
			}
			for i := range items {
				ready := b.responses[i] == nil
				for _, on := range items[i].after {
					ready = ready && b.responses[on] != nil
				}
				if !ready {
					continue
				}
				done++
				w := &itemWriter{header: http.Header{}}
				w.Write([]byte(items[i].target()))
				b.responses[i] = appendResponse(nil, &items[i], i, w.code(), w.header, w.body)
				if !jsontext.Value(b.responses[i]).IsValid() || !succeeded(b.responses[i]) {
					t.Fatalf("%q gives the response %s", body, b.responses[i])
				}
				req, err := b.request(i)
				if err != nil {
					if rest.ProblemOf(err).Status != 400 {
						t.Fatalf("%q: item %d is refused with %v", body, i, err)
					}
					continue
				}
				if req.URL.Host != "" || req.URL.Scheme != "" || !strings.HasPrefix(req.RequestURI, "/") || req.Host != "hub" || isBatch(req.URL.Path) || req.Header.Get("Authorization") != "Bearer x" {
					t.Fatalf("%q: item %d asks for %v of %s", body, i, req.URL, req.Host)
				}
				if _, err := url.ParseRequestURI(req.RequestURI); err != nil {
					t.Fatalf("%q: %v", body, err)
				}
				for name, values := range req.Header {
					if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
						t.Fatalf("%q: header %q: %q", body, name, values)
					}
				}
			}
		}
		if !json.Valid(b.document()) {
			t.Fatalf("%q gives %s", body, b.document())
		}
	})
}

package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"jobhub/web"
	"jobhub/web/config"
)

// BenchmarkGateway sends requests through a route with all stages (a token of an identity
// provider, scopes, limits, header rules, accounting), and, in the same run, through Go's bare
// ReverseProxy and straight to the upstream.
func BenchmarkGateway(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"n":1}`) }))
	defer up.Close()
	idp := newProvider(b)
	w := startIn(b, b.TempDir(), nil)
	c, err := config.Decode("hub.yaml", []byte(strings.NewReplacer("UP", up.URL, "IDP", idp.URL).Replace(`
auth: {jwt: {corp: {issuer: "https://idp.example.com/", audience: hub, jwks: "IDP/jwks.json", tenant: org}}}
routes:
  - path: /api/{id}
    upstream: UP
    auth: [jwt:corp]
    scopes: {"*": [read]}
    limits: [{rate: 1000000/1s, per: consumer}, {rate: 1000000/1s}]
    request: {headers: {set: {X-Who: "{consumer.name}"}, remove: [Cookie]}}
    response: {headers: {set: {X-Order: "{id}"}}}
`)))
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Apply(web.Settings{Issuers: c.Issuers}, c.Routes); err != nil {
		b.Fatal(err)
	}
	at, err := url.Parse(up.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(&httputil.ReverseProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }})
	defer bare.Close()
	token := idp.token(jwt.MapClaims{"scope": "read"})
	for _, c := range []struct{ name, url string }{{"upstream", up.URL}, {"ReverseProxy", bare.URL}, {"all_stages", w.url}} {
		b.Run(c.name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequest("GET", c.url+"/api/7", nil)
					r.Header.Set("Authorization", "Bearer "+token)
					res, err := client.Do(r)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					if res.Body.Close(); res.StatusCode != 200 {
						b.Fatal(res.Status)
					}
				}
			})
		})
	}
}

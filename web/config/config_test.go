package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/gateway"
)

// TestContract: the example of section 9, unchanged.
func TestContract(t *testing.T) {
	c, err := Decode("jobhub.yaml", []byte(`
hosts: [hub.example.com]                 # besides loopback names
origins: [https://app.example.com]
egress: {allow: ["127.0.0.0/8"]}         # ranges that http jobs and callbacks may reach although they are not public; also --egress-allow
workers: {lease: 30s}                    # also --lease; the beat is a third of it
queues:
  default: {concurrency: 64, capacity: 100000}
  reports: {concurrency: 2, capacity: 50, queue_timeout: 30s}
routes:
  - path: /api/orders/                   # the longest prefix wins
    upstream: http://127.0.0.1:9000      # the path is appended as it came
    async: on-request                    # never | on-request | always
    queue: orders
    queue_timeout: 30s
    timeout: 5m                          # max_attempts is 1 unless retry is set
`))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Hosts, []string{"hub.example.com"}) || !reflect.DeepEqual(c.Origins, []string{"https://app.example.com"}) ||
		!reflect.DeepEqual(c.EgressAllow, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}) || c.Lease != 30*time.Second {
		t.Errorf("%+v", c)
	}
	want := map[string]Queue{"default": {Concurrency: 64, Capacity: 100000}, "reports": {Concurrency: 2, Capacity: 50, QueueTimeout: 30 * time.Second}}
	if !reflect.DeepEqual(c.Queues, want) {
		t.Errorf("queues %+v", c.Queues)
	}
	r := c.Routes[0]
	if r.Path != "/api/orders/" || r.Upstream.String() != "http://127.0.0.1:9000" || r.Async != gateway.OnRequest || r.Queue != "orders" ||
		r.QueueTimeout != 30*time.Second || r.Timeout != 5*time.Minute || r.MaxAttempts != 0 {
		t.Errorf("route %+v", r)
	}
}

func TestTargetsAndRetry(t *testing.T) {
	data, err := os.ReadFile("../../cmd/jobhub/e2e/commands/testdata/check/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode("good.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits != (Limits{ConnectionsPerAddress: 100, Queues: 2000, Kinds: 500}) {
		t.Errorf("%+v", c.Limits)
	}
	r := c.Routes[2]
	if r.Async != gateway.Always || len(r.Targets) != 2 || r.Targets[1].Name != "south" || r.Targets[1].Timeout != 2*time.Second || r.Targets[1].Strip != "/quotes" || r.Policy != "quorum:1" {
		t.Errorf("%+v", r)
	}
	if r.MaxAttempts != 3 || r.Backoff != (jobs.Backoff{Kind: 2, Initial: time.Second, Max: jobs.DefaultBackoff.Max}) {
		t.Errorf("%+v", r)
	}
	if q := c.Queues["orders"].Callbacks; len(q) != 1 || q[0].URL != "https://hooks.example.com/jobhub" || len(q[0].Events) != 2 || len(q[0].Secrets) != 1 || !strings.HasPrefix(string(q[0].Secrets[0]), "whsec_") {
		t.Errorf("%+v", q)
	}
	if q := c.Queues["reports"]; q.Rate != (jobs.Rate{N: 10, Per: jobs.Duration(time.Second)}) || q.PerKey != 1 {
		t.Errorf("%+v", q)
	}
	var set jobs.QueueSettings
	set.Capacity, set.Paused = 7, &jobs.Pause{}
	c.Queues["reports"].ApplyTo(&set)
	if set.Capacity != 50 || set.Concurrency != 2 || set.Paused == nil {
		t.Errorf("%+v", set)
	}
}

// TestSecretsAreNotQuoted: an error must not carry a secret into a log.
func TestSecretsAreNotQuoted(t *testing.T) {
	_, err := Decode("x", []byte("queues: {a: {callbacks: [{url: 'http://user:hunter2@x/', secret: hunter2}]}}\nroutes: [{path: /a/, upstream: 'http://user:hunter2@x/'}]\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// FuzzDecode: nothing makes it panic; an error is Errors with lines of the file, each
// of one printable line; and what is accepted can be served.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"good", "bad", "alias", "overlap", "tab", "two"} {
		data, err := os.ReadFile("../../cmd/jobhub/e2e/commands/testdata/check/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("a: &a [*a]")
	f.Add("routes: [{path: /, upstream: 'http://[::1]:9/'}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Decode("f", []byte(text))
		if err != nil {
			all, ok := errors.AsType[Errors](err)
			if !ok || len(all) == 0 || c != nil {
				t.Fatalf("%T %v", err, err)
			}
			for _, e := range all {
				if e.Line < 0 || e.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+2 || strings.ContainsAny(e.Error(), "\n\r\x1b") {
					t.Errorf("%d %q", e.Line, e.Error())
				}
			}
			return
		}
		c.PathConflicts([]string{"/", "/{$}", "/v1/jobs/{id}", "/static/"})
		table, err := gateway.NewTable(c.Routes, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		for _, r := range c.Routes {
			for _, target := range r.Targets {
				if target.Upstream == nil || target.Name == "" {
					t.Errorf("target %+v", target)
				}
			}
			if r.Path == "" || (r.Upstream == nil) == (len(r.Targets) == 0) {
				t.Errorf("route %+v", r)
			}
		}
	})
}

func TestCredentialsOfRoutes(t *testing.T) {
	t.Setenv("SHOP_TOKEN", "Bearer s3cret")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Decode("jobhub.yaml", []byte(`
trusted_proxies: [10.0.0.0/8, "::1/128"]
dashboard_host: hub.example.com
mask: [X-Corp-Secret]
routes:
  - path: /a/
    upstream: http://127.0.0.1:9000
    headers: {authorization: "env:SHOP_TOKEN", X-File: "file:`+file+`", X-Plain: plain}
    forward_auth: true
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Authorization": "Bearer s3cret", "X-File": "from a file", "X-Plain": "plain"}
	if r := c.Routes[0]; !reflect.DeepEqual(r.Headers, want) || !r.ForwardAuth || len(c.Proxies) != 2 || c.Dashboard != "hub.example.com" || len(c.Mask) != 1 {
		t.Errorf("%+v", c)
	}
	for _, wrong := range []string{`{Authorization: "env:NOT_THERE_AT_ALL"}`, `{X: "file:/nowhere"}`, `{"a b": x}`, `{Connection: x}`, `{X: a, x: b}`, `{X: 1}`, `{X-Forwarded-For: a}`, `[a]`} {
		if _, err := Decode("jobhub.yaml", []byte("routes:\n  - {path: /a/, upstream: \"http://a\", headers: "+wrong+"}\n")); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestDepthOfAConfiguration(t *testing.T) {
	for _, c := range []struct{ open, close string }{{"[", "]"}, {"{a: ", "}"}} {
		for levels, refused := range map[int]bool{63: false, 64: true, 2_000: true} { // below egress
			_, err := Decode("f", []byte("hosts: [x]\negress: "+strings.Repeat(c.open, levels)+"1"+strings.Repeat(c.close, levels)))
			if err == nil || strings.Contains(err.Error(), "f:2: has more than 64 levels") != refused {
				t.Errorf("%d of %s: %v", levels, c.open, err)
			}
		}
	}
}

func TestOutbound(t *testing.T) {
	dir := t.TempDir()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile, keyFile := write("c.pem", "CERTIFICATE", s.Certificate().Raw), write("c.key", "PRIVATE KEY", key)
	all := "proxy: http://proxy:3128, ca: " + certFile + ", client_cert: " + certFile + ", client_key: " + keyFile
	_, err = Decode("jobhub.yaml", []byte(`
http: {`+all+`, max_answer: 32MiB, max_input: 512KiB}
routes:
  - {path: /a/, upstream: "http://a", `+all+`, max_answer: 1GiB}
  - {path: /b/, upstream: "http://b", max_input: 4MiB}
`))
	if err == nil || !strings.Contains(err.Error(), "jobhub.yaml:4: routes[0].max_answer: must be from 1KiB to 256MiB") {
		t.Fatalf("%v", err)
	}
	c, err := Decode("jobhub.yaml", []byte(`
http: {`+all+`, max_answer: 32MiB, max_input: 512KiB}
routes:
  - {path: /a/, upstream: "http://a", `+all+`, max_answer: 64MiB}
  - {path: /b/, upstream: "http://b", max_input: 4MiB}
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]egress.Outbound{"http": c.HTTP.Outbound, "a": c.Routes[0].Outbound} {
		if o.Proxy == nil || o.Proxy.Host != "proxy:3128" || o.CAs == nil || o.Certificate == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
	a, b := c.Routes[0], c.Routes[1]
	if c.HTTP.MaxAnswer != 32<<20 || c.HTTP.MaxInput != 512<<10 || a.Outbound.MaxAnswer != 64<<20 || a.MaxInput != 512<<10 || b.Outbound.MaxAnswer != 32<<20 || b.MaxInput != 4<<20 || b.Outbound.Proxy != nil {
		t.Errorf("sizes: %+v %+v %+v", c.HTTP, a, b)
	}
	for wrong, want := range map[string]string{
		"proxy: proxy:3128": "http.proxy: must be a URL", "proxy: \"http://p/path\"": "a scheme, a host and a port", "ca: /nowhere": "http.ca: can't be read",
		"ca: " + keyFile: "holds no certificate", "client_cert: " + certFile: "needs client_key", "client_key: " + keyFile: "needs client_cert",
		"client_cert: " + keyFile + ", client_key: " + keyFile: "can't be used", "max_answer: 16": "with its unit", "max_answer: 16MB": "with its unit",
		"max_input: 0MiB": "with its unit", "max_input: 65MiB": "from 1KiB to 64MiB", "max_input: [1MiB]": "with its unit", "proxi: x": "known are: ca, client_cert, client_key, max_answer, max_input, proxy",
	} {
		_, err := Decode("jobhub.yaml", []byte("\nhttp: {"+wrong+"}\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "jobhub.yaml:2: ") {
			t.Errorf("%s: %v, want %q", wrong, err, want)
		}
	}
}

func TestLoops(t *testing.T) {
	c, err := Decode("jobhub.yaml", []byte(`routes:
  - {path: /a/, upstream: "http://127.0.0.1:8080/x"}
  - {path: /b/, upstream: "http://127.0.0.1:8081"}
  - {path: /c/, upstream: "http://LOCALHOST:8080"}
  - path: /d/
    targets: [{name: one, upstream: "http://127.0.0.1:9000"}, {name: two, upstream: "http://0.0.0.0:8080"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	own := new(egress.Own)
	if errs := c.Loops(own); len(errs) > 0 {
		t.Error(errs)
	}
	for _, listens := range []string{"127.0.0.1:8080", ":8080"} {
		at, _ := net.ResolveTCPAddr("tcp", listens)
		own.Set(at)
		var lines []string
		for _, e := range c.Loops(own) {
			lines = append(lines, fmt.Sprint(e.Line))
		}
		if got := strings.Join(lines, " "); got != "2 4 5" {
			t.Errorf("%s: lines %s", listens, got)
		}
	}
}

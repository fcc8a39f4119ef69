package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jobhub/web/client"
)

// startConfigured starts a hub with a configuration file, and further arguments.
func startConfigured(t *testing.T, config string, more ...string) (h *hub, file string) {
	t.Helper()
	return startConfiguredIn(t, nil, config, more...)
}

// startConfiguredIn does so with further variables of the environment.
func startConfiguredIn(t *testing.T, env []string, config string, more ...string) (h *hub, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "jobhub.yaml")
	write(t, file, config)
	h = &hub{addr: freeAddr(t), data: t.TempDir()}
	cmd := exec.Command(program, append([]string{"serve", "--addr", h.addr, "--data", h.data, "--grace", "5s", "--config", file}, more...)...)
	cmd.Env = env
	h.process = start(t, cmd)
	h.url = h.matched(h.stdout, `ready at (http://\S+)\n`)[1]
	h.client = client.Client{Base: h.url}
	return h, file
}

// write replaces a file as editors do: it is never there in part.
func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+"~", []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

func route(path, upstream string) string {
	return "routes:\n  - {path: " + path + ", upstream: '" + upstream + "'}\n"
}

// eventually asks until the answer holds.
func (h *hub) eventually(path string, holds func(answer) bool) {
	h.t.Helper()
	end := time.Now().Add(patience)
	for a := h.call("GET", path, ""); !holds(a); a = h.call("GET", path, "") {
		if time.Now().After(end) {
			h.t.Fatalf("GET %s stays %d %s\n%s", path, a.status, a.body, h.stderr)
		}
		time.Sleep(20 * time.Millisecond) // a real file, a real process
	}
}

// TestConfigReload: a changed file is in force without a restart and without a failed
// request; a broken one changes nothing and is told of.
func TestConfigReload(t *testing.T) {
	t.Parallel()
	api := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from "+r.URL.Path) }))
	h, file := startConfigured(t, route("/a/", api.URL)+"queues: {mail: {capacity: 5, concurrency: 1}}\n")
	if a := h.call("GET", "/a/x", ""); string(a.body) != "from /a/x" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := h.call("GET", "/v1/queues/mail", ""); !strings.Contains(string(a.body), `"capacity":5`) {
		t.Errorf("%s", a.body)
	}
	if a := h.call("GET", "/readyz", ""); !strings.HasPrefix(string(a.body), `{"status":"ready","config":{"loaded_at":"`) || !strings.Contains(string(a.body), `"error":null`) {
		t.Errorf("%s", a.body)
	}

	// Requests go on through all that follows; none may fail.
	var stop atomic.Bool
	failed := make(chan string, 1)
	go func() {
		defer close(failed)
		for !stop.Load() {
			res, err := http.Get(h.url + "/a/x")
			if err != nil || res.StatusCode != 200 {
				failed <- fmt.Sprint(res, err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}()

	write(t, file, "hosts: [other.example]\negress: {allow: [127.0.0.0/8]}\nqueues: {mail: {capacity: 6}}\nroutes:\n  - {path: /a/, upstream: '"+api.URL+"'}\n  - {path: /b/, upstream: '"+api.URL+"'}\n")
	h.eventually("/b/x", func(a answer) bool { return a.status == 200 })
	if a := h.call("GET", "/v1/queues/mail", ""); !strings.Contains(string(a.body), `"capacity":6`) || !strings.Contains(string(a.body), `"concurrency":null`) {
		t.Errorf("%s", a.body)
	}
	if a := h.call("GET", "/b/x", "", "Host: other.example"); a.status != 200 {
		t.Errorf("the new host: %d %s", a.status, a.body)
	}
	if a := h.call("POST", "/v1/jobs", httpJob(api.URL+"/job", ""), isJSON); a.status != 202 {
		t.Errorf("the opened range: %d %s", a.status, a.body)
	}

	write(t, file, "routes: [{path: nowhere}]\nqueues: {}\n")
	h.eventually("/readyz", func(a answer) bool {
		return a.status == 200 && strings.Contains(string(a.body), "jobhub.yaml:1: routes[0]") && strings.Contains(string(a.body), "failed_at")
	})
	h.matched(h.stderr, `level=ERROR msg="the configuration file is NOT in force`)
	if a := h.call("GET", "/", ""); !strings.Contains(string(a.body), "The configuration file has errors") {
		t.Error("the dashboard says nothing of it")
	}
	if a := h.call("GET", "/b/x", ""); a.status != 200 {
		t.Errorf("the old routes: %d", a.status)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(h.cmd.Process.Pid, syscall.SIGHUP)
	h.eventually("/readyz", func(a answer) bool { return strings.Contains(string(a.body), "no such file") })

	write(t, file, route("/a/", api.URL))
	h.eventually("/b/x", func(a answer) bool { return a.status == 404 })
	h.eventually("/readyz", func(a answer) bool { return strings.Contains(string(a.body), `"error":null`) })
	if a := h.call("GET", "/b/x", "", "Host: other.example"); a.status != 421 {
		t.Errorf("a host that is gone: %d", a.status)
	}
	stop.Store(true)
	if why, bad := <-failed; bad {
		t.Error("a request failed in between: " + why)
	}
}

// TestConfigAtStart: a bad file is no start; flags go before the file.
func TestConfigAtStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "jobhub.yaml")
	write(t, file, "host: [a]\nroutes: [{path: /healthz, upstream: 'http://127.0.0.1:1'}]\n")
	if code, _, stderr := run(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, "jobhub.yaml:1: host: is not known here") {
		t.Errorf("%d %s", code, stderr)
	}
	write(t, file, "routes: [{path: /healthz, upstream: 'http://127.0.0.1:1'}]\n")
	if code, _, stderr := run(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, "is never reached") {
		t.Errorf("%d %s", code, stderr)
	}
	h, _ := startConfigured(t, "egress: {allow: [127.0.0.0/8]}\nworkers: {lease: 12s}\n", "--egress-allow", "10.0.0.0/8")
	if a := h.call("POST", "/v1/jobs", httpJob("http://127.0.0.1:1/", ""), isJSON); a.status != 422 {
		t.Errorf("the flag does not go before the file: %d", a.status)
	}
	if a := h.call("POST", "/v1/workers", `{"name":"w","kinds":["k"],"slots":1}`, isJSON); !strings.Contains(string(a.body), `"lease":"12s"`) {
		t.Errorf("%s", a.body)
	}
}

// TestConfigCallbacks: the file names callbacks of a queue, which hear of its jobs signed
// with both secrets and in the trace of the request; a changed file changes them, and one
// whose callback may not be called is not in force.
func TestConfigCallbacks(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, accept)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	queue := "queues: {told: {callbacks: [{url: '" + rec.url + "', events: [job.queued], secret: [" + secretB + ", " + secretA + "]}]}}\n"
	h, file := startConfigured(t, "egress: {allow: [127.0.0.0/8]}\n"+queue)
	h.call("POST", "/v1/jobs", `{"kind":"nobody","queue":"told"}`, isJSON, "Traceparent: "+trace)
	d := rec.next(t)
	for _, secret := range []string{secretA, secretB} {
		if got := verify(t, secret, d); got[0] != `{"standardwebhooks":"job.queued","svix":"job.queued"}` {
			t.Errorf("%q", got)
		}
	}
	if d.headers["traceparent"] != trace {
		t.Errorf("traceparent %q", d.headers["traceparent"])
	}
	if a := h.call("GET", "/v1/queues/told", ""); !strings.Contains(string(a.body), rec.url) || strings.Contains(string(a.body), secretA[6:]) {
		t.Errorf("%s", a.body)
	}
	write(t, file, strings.Replace(queue, "/hook", "/other", 1)) // without the range for it
	h.eventually("/readyz", func(a answer) bool {
		return strings.Contains(string(a.body), "queues.told") && !strings.Contains(string(a.body), secretA[6:])
	})
	h.call("POST", "/v1/jobs", `{"kind":"nobody","queue":"told"}`, isJSON)
	rec.next(t) // the configuration before goes on
	write(t, file, "queues: {told: {capacity: 5}}\n")
	h.eventually("/v1/queues/told", func(a answer) bool { return !strings.Contains(string(a.body), rec.url) })
}

// TestDrainKeepsRequests: what is on its way through when the hub is told to stop arrives.
func TestDrainKeepsRequests(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	api := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(entered)
		<-leave
		io.WriteString(w, "whole")
	}))
	h, _ := startConfigured(t, route("/a/", api.URL))
	got := make(chan string, 1)
	go func() {
		res, err := http.Get(h.url + "/a/x")
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	soon(t, entered)
	syscall.Kill(h.cmd.Process.Pid, syscall.SIGTERM)
	h.matched(h.stderr, "stopping")
	time.AfterFunc(1500*time.Millisecond, func() { close(leave) }) // longer than connections without work are given
	if body := <-got; body != "whole<nil>" {
		t.Error(body)
	}
	if code := h.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestForeignUpstreams puts servers that nobody here wrote behind a route: what they say
// through the hub, straight or as a job, is what they say without it.
func TestForeignUpstreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "hello.txt"), "hello\n")
	write(t, filepath.Join(dir, "data.bin"), string(make([]byte, 300_000))+"\xff\xfe")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a b.txt"), "blank\n")
	python, nginx := freeAddr(t), freeAddr(t)
	_, port, _ := strings.Cut(python, ":")
	group := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	start(t, group("python3", "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", dir))
	conf := filepath.Join(t.TempDir(), "nginx.conf")
	write(t, conf, fmt.Sprintf(`daemon off; master_process off; pid nginx.pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off; gzip on; gzip_min_length 1; types { text/plain txt; }
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server { listen %s; root %s;
    location = /moved { return 301 /hello.txt; }
    location = /made { add_header Location /items/7; add_header Set-Cookie a=1; return 201 "made\n"; }
    location = /none { return 204; }
    location = /seen { default_type text/plain; return 200 "$request_method $request_uri $http_x_forwarded_for $http_x_user [$http_upgrade]\n"; }
  }
}`, nginx, dir))
	prefix := t.TempDir()
	start(t, group("nginx", "-e", "stderr", "-p", prefix, "-c", conf))
	h, _ := startConfigured(t, fmt.Sprintf("routes:\n  - {path: /python/, strip: /python, upstream: 'http://%s'}\n  - {path: /nginx/, strip: /nginx, upstream: 'http://%s'}\n", python, nginx))
	for name, addr := range map[string]string{"/python": python, "/nginx": nginx} {
		h.eventually(name+"/hello.txt", func(a answer) bool { return a.status == 200 })
		ask := func(method, url string, headers ...string) answer {
			req, err := http.NewRequest(method, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range headers {
				name, value, _ := strings.Cut(line, ": ")
				req.Header.Set(name, value)
			}
			res, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer{res.StatusCode, res.Header, body}
		}
		paths := []string{"/hello.txt", "/data.bin", "/a%20b.txt", "/sub", "/sub/", "/missing", "/hello.txt?x=1"}
		if name == "/nginx" {
			paths = append(paths, "/moved", "/made", "/none")
		}
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "DELETE"} {
				headers := []string{"Accept-Encoding: gzip", "If-None-Match: \"x\""}
				want := ask(method, "http://"+addr+path, headers...)
				passed := ask(method, h.url+name+path, headers...)
				waited := ask(method, h.url+name+path, append(headers, "Prefer: respond-async, wait=20")...)
				for how, got := range map[string]answer{"passed": passed, "waited": waited} {
					if got.status != want.status || string(got.body) != string(want.body) {
						t.Errorf("%s %s%s %s: %d with %d bytes, want %d with %d", method, name, path, how, got.status, len(got.body), want.status, len(want.body))
					}
					for _, header := range []string{"Content-Type", "Content-Encoding", "Content-Length", "Location", "Last-Modified", "Etag", "Server", "Accept-Ranges"} {
						if header == "Content-Length" && want.header.Get(header) == "" {
							continue // sent in chunks
						}
						if got.header.Get(header) != want.header.Get(header) {
							t.Errorf("%s %s%s %s: %s: %q, want %q", method, name, path, how, header, got.header.Get(header), want.header.Get(header))
						}
					}
				}
			}
		}
	}
	seen := h.call("GET", "/nginx/seen?a=1;b=%2F&async=false", "", "X-Forwarded-For: 6.6.6.6", "X_User: root", "X-User: me", "Upgrade: h2c", "Connection: Upgrade, X-User")
	if got := string(seen.body); got != "GET /seen?a=1;b=%2F 127.0.0.1  []\n" {
		t.Errorf("nginx saw %q", got)
	}
	if a := h.call("GET", "/nginx/made", "", "Prefer: respond-async, wait=20"); a.header.Get("Set-Cookie") != "a=1" {
		t.Errorf("%v", a.header)
	}
}

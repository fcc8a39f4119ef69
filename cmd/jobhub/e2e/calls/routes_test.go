package calls

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

	"jobhub/cmd/jobhub/e2e/trial"
)

func route(path, upstream string) string {
	return "routes:\n  - {path: " + path + ", upstream: '" + upstream + "'}\n"
}

// TestConfigReload: a changed file is in force without a restart and without a failed
// request; an invalid one changes nothing and is reported.
func TestConfigReload(t *testing.T) {
	t.Parallel()
	api := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from "+r.URL.Path) }))
	h, file := trial.StartConfigured(t, route("/a/", api.URL)+"queues: {mail: {capacity: 5, concurrency: 1}}\n")
	if a := h.Call("GET", "/a/x", ""); string(a.Body) != "from /a/x" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := h.Call("GET", "/v1/queues/mail", ""); !strings.Contains(string(a.Body), `"capacity":5`) {
		t.Errorf("%s", a.Body)
	}
	if a := h.Call("GET", "/readyz", ""); !strings.HasPrefix(string(a.Body), `{"status":"ready","config":{"loaded_at":"`) || !strings.Contains(string(a.Body), `"error":null`) {
		t.Errorf("%s", a.Body)
	}

	// Requests continue during all of the following; none may fail.
	var stop atomic.Bool
	failed := make(chan string, 1)
	go func() {
		defer close(failed)
		for !stop.Load() {
			res, err := http.Get(h.URL + "/a/x")
			if err != nil || res.StatusCode != 200 {
				failed <- fmt.Sprint(res, err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}()

	trial.Write(t, file, "hosts: [other.example]\negress: {allow: [127.0.0.0/8]}\nqueues: {mail: {capacity: 6}}\nroutes:\n  - {path: /a/, upstream: '"+api.URL+"'}\n  - {path: /b/, upstream: '"+api.URL+"'}\n")
	h.Eventually("/b/x", func(a trial.Answer) bool { return a.Status == 200 })
	if a := h.Call("GET", "/v1/queues/mail", ""); !strings.Contains(string(a.Body), `"capacity":6`) || !strings.Contains(string(a.Body), `"concurrency":null`) {
		t.Errorf("%s", a.Body)
	}
	if a := h.Call("GET", "/b/x", "", "Host: other.example"); a.Status != 200 {
		t.Errorf("the new host: %d %s", a.Status, a.Body)
	}
	if a := h.Call("POST", "/v1/jobs", trial.HTTPJob(api.URL+"/job", ""), trial.IsJSON); a.Status != 202 {
		t.Errorf("the opened range: %d %s", a.Status, a.Body)
	}

	trial.Write(t, file, "routes: [{path: nowhere}]\nqueues: {}\n")
	h.Eventually("/readyz", func(a trial.Answer) bool {
		return a.Status == 200 && strings.Contains(string(a.Body), "jobhub.yaml:1: routes[0]") && strings.Contains(string(a.Body), "failed_at")
	})
	h.Matched(h.Stderr, `level=ERROR msg="the configuration file is NOT in force`)
	if a := h.Call("GET", "/", ""); !strings.Contains(string(a.Body), "The configuration file has errors") {
		t.Error("the dashboard says nothing of it")
	}
	if a := h.Call("GET", "/b/x", ""); a.Status != 200 {
		t.Errorf("the old routes: %d", a.Status)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(h.Cmd.Process.Pid, syscall.SIGHUP)
	h.Eventually("/readyz", func(a trial.Answer) bool { return strings.Contains(string(a.Body), "no such file") })

	trial.Write(t, file, route("/a/", api.URL))
	h.Eventually("/b/x", func(a trial.Answer) bool { return a.Status == 404 })
	h.Eventually("/readyz", func(a trial.Answer) bool { return strings.Contains(string(a.Body), `"error":null`) })
	if a := h.Call("GET", "/b/x", "", "Host: other.example"); a.Status != 421 {
		t.Errorf("a host that is gone: %d", a.Status)
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
	trial.Write(t, file, "host: [a]\nroutes: [{path: /healthz, upstream: 'http://127.0.0.1:1'}]\n")
	if code, _, stderr := trial.Run(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, "jobhub.yaml:1: host: is unknown here") {
		t.Errorf("%d %s", code, stderr)
	}
	trial.Write(t, file, "routes: [{path: /healthz, upstream: 'http://127.0.0.1:1'}]\n")
	if code, _, stderr := trial.Run(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, "is never reached") {
		t.Errorf("%d %s", code, stderr)
	}
	h, _ := trial.StartConfigured(t, "egress: {allow: [127.0.0.0/8]}\nworkers: {lease: 12s}\n", "--egress-allow", "10.0.0.0/8")
	if a := h.Call("POST", "/v1/jobs", trial.HTTPJob("http://127.0.0.1:1/", ""), trial.IsJSON); a.Status != 422 {
		t.Errorf("the flag does not go before the file: %d", a.Status)
	}
	if a := h.Call("POST", "/v1/workers", `{"name":"w","kinds":["k"],"slots":1}`, trial.IsJSON); !strings.Contains(string(a.Body), `"lease":"12s"`) {
		t.Errorf("%s", a.Body)
	}
}

// TestConfigCallbacks: the file names callbacks of a queue, which hear of its jobs signed
// with both secrets and in the trace of the request; a changed file changes them, and one
// whose callback may not be called is not in force.
func TestConfigCallbacks(t *testing.T) {
	t.Parallel()
	rec := trial.NewReceiver(t, accept)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	queue := "queues: {told: {callbacks: [{url: '" + rec.URL + "', events: [job.queued], secret: [" + secretB + ", " + secretA + "]}]}}\n"
	h, file := trial.StartConfigured(t, "egress: {allow: [127.0.0.0/8]}\n"+queue)
	h.Call("POST", "/v1/jobs", `{"kind":"nobody","queue":"told"}`, trial.IsJSON, "Traceparent: "+trace)
	d := rec.Next(t)
	for _, secret := range []string{secretA, secretB} {
		if got := verify(t, secret, d); got[0] != `{"standardwebhooks":"job.queued","svix":"job.queued"}` {
			t.Errorf("%q", got)
		}
	}
	if d.Headers["traceparent"] != trace {
		t.Errorf("traceparent %q", d.Headers["traceparent"])
	}
	if a := h.Call("GET", "/v1/queues/told", ""); !strings.Contains(string(a.Body), rec.URL) || strings.Contains(string(a.Body), secretA[6:]) {
		t.Errorf("%s", a.Body)
	}
	trial.Write(t, file, strings.Replace(queue, "/hook", "/other", 1)) // without the range for it
	h.Eventually("/readyz", func(a trial.Answer) bool {
		return strings.Contains(string(a.Body), "queues.told") && !strings.Contains(string(a.Body), secretA[6:])
	})
	h.Call("POST", "/v1/jobs", `{"kind":"nobody","queue":"told"}`, trial.IsJSON)
	rec.Next(t) // the old configuration is still used
	trial.Write(t, file, "queues: {told: {capacity: 5}}\n")
	h.Eventually("/v1/queues/told", func(a trial.Answer) bool { return !strings.Contains(string(a.Body), rec.URL) })
}

// TestDrainKeepsRequests: requests that pass through while the hub is stopped are completed, and
// counted.
func TestDrainKeepsRequests(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	api := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(entered)
		<-leave
		io.WriteString(w, "whole")
	}))
	h, _ := trial.StartConfigured(t, route("/a/", api.URL))
	got := make(chan string, 1)
	go func() {
		res, err := http.Get(h.URL + "/a/x")
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	trial.Soon(t, entered)
	syscall.Kill(h.Cmd.Process.Pid, syscall.SIGTERM)
	h.Matched(h.Stderr, "stopping")
	time.AfterFunc(1500*time.Millisecond, func() { close(leave) }) // longer than connections without work are given
	if body := <-got; body != "whole<nil>" {
		t.Error(body)
	}
	if code := h.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h = h.Restart()
	if a := h.Call("GET", "/v1/usage?by=route", ""); !strings.Contains(string(a.Body), `"route":"/a/"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestForeignUpstreams uses servers of other projects as upstreams: what they say
// through the hub, straight or as a job, is what they say without it.
func TestForeignUpstreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trial.Write(t, filepath.Join(dir, "hello.txt"), "hello\n")
	trial.Write(t, filepath.Join(dir, "data.bin"), string(make([]byte, 300_000))+"\xff\xfe")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	trial.Write(t, filepath.Join(dir, "a b.txt"), "blank\n")
	python, nginx := trial.FreeAddr(t), trial.FreeAddr(t)
	_, port, _ := strings.Cut(python, ":")
	group := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	trial.Start(t, group("python3", "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", dir))
	conf := filepath.Join(t.TempDir(), "nginx.conf")
	trial.Write(t, conf, fmt.Sprintf(`daemon off; master_process off; pid nginx.pid; error_log stderr; worker_processes 1;
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
	trial.Start(t, group("nginx", "-e", "stderr", "-p", prefix, "-c", conf))
	h, _ := trial.StartConfigured(t, fmt.Sprintf("routes:\n  - {path: /python/, strip: /python, upstream: 'http://%s'}\n  - {path: /nginx/, strip: /nginx, upstream: 'http://%s'}\n", python, nginx))
	for name, addr := range map[string]string{"/python": python, "/nginx": nginx} {
		h.Eventually(name+"/hello.txt", func(a trial.Answer) bool { return a.Status == 200 })
		ask := func(method, url string, headers ...string) trial.Answer {
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
			return trial.Answer{Status: res.StatusCode, Header: res.Header, Body: body}
		}
		paths := []string{"/hello.txt", "/data.bin", "/a%20b.txt", "/sub", "/sub/", "/missing", "/hello.txt?x=1"}
		if name == "/nginx" {
			paths = append(paths, "/moved", "/made", "/none")
		}
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD", "DELETE"} {
				headers := []string{"Accept-Encoding: gzip", "If-None-Match: \"x\""}
				want := ask(method, "http://"+addr+path, headers...)
				passed := ask(method, h.URL+name+path, headers...)
				waited := ask(method, h.URL+name+path, append(headers, "Prefer: respond-async, wait=20")...)
				for how, got := range map[string]trial.Answer{"passed": passed, "waited": waited} {
					if got.Status != want.Status || string(got.Body) != string(want.Body) {
						t.Errorf("%s %s%s %s: %d with %d bytes, want %d with %d", method, name, path, how, got.Status, len(got.Body), want.Status, len(want.Body))
					}
					for _, header := range []string{"Content-Type", "Content-Encoding", "Content-Length", "Location", "Last-Modified", "Etag", "Server", "Accept-Ranges"} {
						if header == "Content-Length" && want.Header.Get(header) == "" {
							continue // sent in chunks
						}
						if got.Header.Get(header) != want.Header.Get(header) {
							t.Errorf("%s %s%s %s: %s: %q, want %q", method, name, path, how, header, got.Header.Get(header), want.Header.Get(header))
						}
					}
				}
			}
		}
	}
	seen := h.Call("GET", "/nginx/seen?a=1;b=%2F&async=false", "", "X-Forwarded-For: 6.6.6.6", "X_User: root", "X-User: me", "Upgrade: h2c", "Connection: Upgrade, X-User")
	if got := string(seen.Body); got != "GET /seen?a=1;b=%2F 127.0.0.1  []\n" {
		t.Errorf("nginx saw %q", got)
	}
	if a := h.Call("GET", "/nginx/made", "", "Prefer: respond-async, wait=20"); a.Header.Get("Set-Cookie") != "a=1" {
		t.Errorf("%v", a.Header)
	}
}

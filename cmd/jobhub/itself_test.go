package main_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jobhub/web/client"
)

// TestHubIsNotCalled: with loopback open and no keys nothing that a job calls, and nothing
// that an upstream redirects it to, acts on the hub itself.
func TestHubIsNotCalled(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	}))
	_, port, _ := net.SplitHostPort(h.addr)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		pause := "http://" + host + ":" + port + "/v1/queues/default/pause"
		redirected := up.URL + "/?to=" + url.QueryEscape(pause)
		for _, body := range []string{
			`{"kind":"http","retry":{"max_attempts":2,"initial":"1ms"},"input":{"method":"POST","url":"` + pause + `","body":{}}}`,
			`{"kind":"http","retry":{"max_attempts":2,"initial":"1ms"},"input":{"method":"POST","url":"` + redirected + `","body":{}}}`,
			`{"kind":"fanout","retry":{"max_attempts":2,"initial":"1ms"},"input":{"targets":[{"name":"a","method":"POST","url":"` + redirected + `","body":{}}]}}`,
		} {
			a := h.call("POST", "/v1/jobs", body, isJSON)
			if a.status == http.StatusUnprocessableEntity && strings.Contains(string(a.body), "blocked_address") {
				continue
			}
			var j client.Job
			h.decode(a.body, &j)
			j = h.await(j.ID, inState("failed"))
			if !strings.Contains(string(j.Raw), "blocked_address") && !strings.Contains(string(j.Raw), "refused the connection") { // localhost may be ::1, too
				t.Errorf("%s", j.Raw)
			}
		}
	}
	if q := h.call("GET", "/v1/queues/default", ""); strings.Contains(string(q.body), `"paused":true`) {
		t.Errorf("%s", q.body)
	}
	h.submit(httpJob(serve(t, http.NotFoundHandler()).URL, "")) // a neighbour is called
}

// TestRouteBackToTheHub: serve and check refuse a route that leads to the hub itself.
func TestRouteBackToTheHub(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	file := filepath.Join(t.TempDir(), "jobhub.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "routes:\n  - {path: /api/, upstream: \"http://%s\"}\n", addr), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = ":2: routes[0]: leads back to this hub"
	if code, _, stderr := run(t, "serve", "--addr", addr, "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("serve: %d %s", code, stderr)
	}
	if code, _, stderr := run(t, "check", "--addr", addr, file); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("check: %d %s", code, stderr)
	}
	p := start(t, &exec.Cmd{Path: program, Args: []string{program, "check", file}, Env: []string{"JOBHUB_ADDR=" + addr}})
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), want) {
		t.Errorf("check by variable: %d %s", code, p.stderr)
	}
	if code, stdout, _ := run(t, "check", file); code != 0 {
		t.Errorf("check of another hub's file: %d %s", code, stdout)
	}
}

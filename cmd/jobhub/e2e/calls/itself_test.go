package calls

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

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// TestHubIsNotCalled: with loopback open and no keys nothing that a job calls, and nothing
// that an upstream redirects it to, acts on the hub itself.
func TestHubIsNotCalled(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	}))
	_, port, _ := net.SplitHostPort(h.Addr)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		pause := "http://" + host + ":" + port + "/v1/queues/default/pause"
		redirected := up.URL + "/?to=" + url.QueryEscape(pause)
		for _, body := range []string{
			`{"kind":"http","retry":{"max_attempts":2,"initial":"1ms"},"input":{"method":"POST","url":"` + pause + `","body":{}}}`,
			`{"kind":"http","retry":{"max_attempts":2,"initial":"1ms"},"input":{"method":"POST","url":"` + redirected + `","body":{}}}`,
			`{"kind":"fanout","retry":{"max_attempts":2,"initial":"1ms"},"input":{"targets":[{"name":"a","method":"POST","url":"` + redirected + `","body":{}}]}}`,
		} {
			a := h.Call("POST", "/v1/jobs", body, trial.IsJSON)
			if a.Status == http.StatusUnprocessableEntity && strings.Contains(string(a.Body), "blocked_address") {
				continue
			}
			var j client.Job
			h.Decode(a.Body, &j)
			j = h.Await(j.ID, trial.InState("failed"))
			if !strings.Contains(string(j.Raw), "blocked_address") && !strings.Contains(string(j.Raw), "refused the connection") { // localhost may be ::1, too
				t.Errorf("%s", j.Raw)
			}
		}
	}
	if q := h.Call("GET", "/v1/queues/default", ""); strings.Contains(string(q.Body), `"paused":true`) {
		t.Errorf("%s", q.Body)
	}
	h.Submit(trial.HTTPJob(trial.Serve(t, http.NotFoundHandler()).URL, "")) // a neighbour is called
}

// TestRouteBackToTheHub: serve and check refuse a route that leads to the hub itself.
func TestRouteBackToTheHub(t *testing.T) {
	t.Parallel()
	addr := trial.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "jobhub.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "routes:\n  - {path: /api/, upstream: \"http://%s\"}\n", addr), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = ":2: routes[0]: leads back to this hub"
	if code, _, stderr := trial.Run(t, "serve", "--addr", addr, "--data", t.TempDir(), "--config", file); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("serve: %d %s", code, stderr)
	}
	if code, _, stderr := trial.Run(t, "check", "--addr", addr, file); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("check: %d %s", code, stderr)
	}
	p := trial.Start(t, &exec.Cmd{Path: trial.Program, Args: []string{trial.Program, "check", file}, Env: []string{"JOBHUB_ADDR=" + addr}})
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), want) {
		t.Errorf("check by variable: %d %s", code, p.Stderr)
	}
	if code, stdout, _ := trial.Run(t, "check", file); code != 0 {
		t.Errorf("check of another hub's file: %d %s", code, stdout)
	}
}

package clients

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestNodeClient follows a job in Node over each transport of the JavaScript client.
func TestNodeClient(t *testing.T) {
	script, err := filepath.Abs("testdata/follow.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for transport, c := range map[string]struct{ messages, no string }{
		"ws":   {`message subscribed\s(.*\s)*message job\.\w+ running\s(.*\s)*message job\.succeeded succeeded`, "gap|state"},
		"sse":  {`message subscribed\s(.*\s)*message job\.\w+ running\s(.*\s)*message job\.succeeded succeeded`, "gap|state"},
		"poll": {`message (gap|live)\s(.*\s)*message state succeeded`, "job\\."},
	} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			h, g := trial.StartHub(t), trial.NewGate(t)
			close(g.Opened)
			if transport == "sse" && !streams(h) {
				t.Skip("this hub has no server-sent events")
			}
			args := []string{script, h.URL, transport, trial.HTTPJob(g.URL+"/held/1", "")}
			if help, err := exec.Command("node", "--help").Output(); err != nil {
				t.Fatal("this test needs node; on Debian: apt-get install nodejs")
			} else if strings.Contains(string(help), "--experimental-websocket") {
				args = append([]string{"--experimental-websocket"}, args...)
			}
			node := trial.Start(t, exec.Command("node", args...))
			code, out := node.Wait(), node.Stdout.String()
			for _, pattern := range []string{`(?m)^status live ` + transport + `$`, c.messages, `(?m)^job succeeded \d+\n(.*\n)*again true$`} {
				if code != 0 || !regexp.MustCompile(pattern).MatchString(out) {
					t.Fatalf("exit code %d, no %s in\n%s%s", code, pattern, out, node.Stderr)
				}
			}
			if regexp.MustCompile(`message (` + c.no + `)`).MatchString(out) {
				t.Errorf("more than asked for:\n%s", out)
			}
		})
	}
}

// streams reports whether the hub has server-sent events.
func streams(h *trial.Hub) bool {
	h.T.Helper()
	res, err := http.Get(h.URL + "/v1/events?all=1")
	if err != nil {
		h.T.Fatal(err)
	}
	res.Body.Close() // it would not end by itself
	return res.StatusCode != http.StatusNotFound
}

package commands

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestReadmeTour runs every command of the README's tour, in order, and looks for what the
// text says that happens.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(trial.File(t, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, tour, _ := strings.Cut(string(text), "## Five minutes")
	tour, _, _ = strings.Cut(tour, "\n## ")
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(tour, -1) {
		blocks = append(blocks, m[1])
	}
	want := [][]string{ // of each block, what its output holds, in this order
		{},
		{"HTTP/1.1 202 Accepted", "Location: ", `"state":"queued"`, `"epoch":`},
		{"HTTP/1.1 20", "HTTP/1.1 200 OK", `"kind":"http"`},
		{`"type":"subscribe"`, `"type":"live"`, "To continue from here: jobhub watch --all", `data: {"type":"subscribed"`},
		{"hub.yaml is valid", "HTTP/1.1 200 OK", "@jobhub/client", "HTTP/1.1 202 Accepted", `"progress":"IN_QUEUE"`, "HTTP/1.1 200 OK", "Asyncresult: 200", "@jobhub/client"},
		{"hub.yaml is valid", "HTTP/1.1 200 OK", `Ratelimit: "default";r=`, `{"name":"@jobhub/client","version":"`, "STAGE", "limits", "left of 100 in 1m for each address", "upstream"},
		{`"id":"a","index":0,"status":202`, `"id":"b","index":1,"status":200`, `"queues":[`},
		{"HELLO"},
		{`"state":"succeeded"`, `"result":6`},
		{"STILL HERE"},
		{"shown only now", "succeeded", `"token":"jht_`},
		{},
	}
	if len(blocks) != len(want) {
		t.Fatalf("the tour has %d blocks of commands; what to expect of each has to be said here", len(blocks))
	}
	dir := t.TempDir()
	err = os.Symlink(trial.File(t, "static"), filepath.Join(dir, "static"))
	if err == nil {
		err = os.Symlink(trial.Program, filepath.Join(dir, "jobhub"))
	}
	if err != nil {
		t.Fatal(err)
	}
	hub, api := freePort(t), freePort(t)
	wait := func(url string) string {
		return fmt.Sprintf("for i in $(seq 300); do curl -sf %s >/dev/null 2>&1 && break; sleep 0.1; done\n", url)
	}
	script := "set -m\ntrap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n"
	for i, block := range blocks {
		script += fmt.Sprintf("echo '@@ %d'\n", i)
		for line := range strings.Lines(block) {
			switch {
			case strings.HasPrefix(line, "go build "): // it is there
				continue
			case strings.HasPrefix(line, "curl -N "), strings.HasPrefix(line, "./jobhub watch --all"):
				line = "timeout 3 " + line // as a reader does with Ctrl-C
			}
			script += line
			switch {
			case strings.HasPrefix(line, "./jobhub serve"):
				script += wait("http://127.0.0.1:8080/readyz")
			case strings.HasPrefix(line, "python3"):
				script += wait("http://127.0.0.1:9000/")
			case strings.HasPrefix(line, "sleep 1") && strings.Contains(block, "limits:"): // for the hub to read the file, which a busy machine delays
				script += "for i in $(seq 300); do curl -si http://127.0.0.1:8080/api/package.json | grep -qi '^ratelimit:' && break; sleep 0.1; done\n"
			}
		}
	}
	script = strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:"+hub, "127.0.0.1:9000", "127.0.0.1:"+api, "http.server 9000", "http.server "+api).Replace(script)
	cmd := exec.Command("bash", "-c", script)
	out := trial.NewText()
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(trial.CleanEnv(), "JOBHUB_ADDR=127.0.0.1:"+hub, "JOBHUB_SERVER=http://127.0.0.1:"+hub)
	if err := cmd.Run(); err != nil {
		t.Errorf("the last command: %v", err)
	}
	all := fmt.Sprint(out)
	for i := range blocks {
		_, rest, _ := strings.Cut(all, fmt.Sprintf("@@ %d\n", i))
		rest, _, _ = strings.Cut(rest, "@@ ")
		for _, expected := range want[i] {
			before, after, found := strings.Cut(rest, expected)
			if !found {
				t.Errorf("%s\ndoes not print %s; after the last expected text it prints\n%s", blocks[i], expected, before)
				break
			}
			rest = after
		}
	}
}

// freePort is a port of this machine on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

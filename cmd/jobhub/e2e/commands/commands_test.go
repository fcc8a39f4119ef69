package commands

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// upstream answers as the path says.
func upstream(t *testing.T) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/fine", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"all":"fine"}`)
	})
	mux.HandleFunc("/gone", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no longer here", http.StatusGone)
	})
	return trial.Serve(t, mux).URL
}

// TestCommands: the commands of the program against a hub.
func TestCommands(t *testing.T) {
	t.Parallel()
	h, api, g := trial.StartHub(t), upstream(t), trial.NewGate(t)
	command := func(args ...string) (int, string, string) {
		t.Helper()
		return trial.Run(t, append(args, "--server", h.URL)...)
	}

	code, out, errs := command("submit", "http", api+"/fine", "--wait", "--tag", "first")
	if code != 0 || errs != "" || !strings.Contains(out, `"fine"`) {
		t.Errorf("submit --wait: exit code %d, printed %q, said %q", code, out, errs)
	}
	code, out, errs = command("submit", "http", api+"/gone", "--wait", "--json")
	var failed client.Job
	h.Decode([]byte(out), &failed)
	if code != 1 || failed.State != "failed" || failed.Reason != "rejected" {
		t.Errorf("submit --wait of what fails: exit code %d, printed %q, said %q", code, out, errs)
	}
	code, out, _ = command("submit", "http", api+"/fine", "--delay", "1h", "--idempotency-key", "k1", "--fair-key", "customer-7", "--queue", "later")
	later := strings.SplitN(out, "\n", 2)[0]
	if code != 0 || !strings.Contains(out, h.URL+"/v1/jobs/"+later+"/response\n") || !strings.Contains(out, h.URL+"/jobs/"+later+"\n") {
		t.Errorf("submit --delay: exit code %d, printed %q", code, out)
	}
	if a := h.Call("GET", "/v1/jobs/"+later, ""); !strings.Contains(string(a.Body), `"fair_key":"customer-7"`) {
		t.Errorf("submit --fair-key: %s", a.Body)
	}
	if _, out, _ = command("submit", "http", api+"/fine", "--delay", "1h", "--idempotency-key", "k1", "--fair-key", "customer-7", "--queue", "later"); !strings.HasPrefix(out, later+"\n") {
		t.Errorf("submit with the same key printed %q", out)
	}

	// Watching a job ends with the job.
	job := h.Submit(trial.HTTPJob(g.URL+"/held/1", `,"queue":"held","tags":["second"]`))
	watch := trial.Start(t, exec.Command(trial.Program, "watch", job.ID, "--server", h.URL))
	raw := trial.Start(t, exec.Command(trial.Program, "watch", job.ID, "--raw", "--server", h.URL))
	all := trial.Start(t, exec.Command(trial.Program, "watch", "--all", "--server", h.URL))
	watch.Matched(watch.Stdout, `running|started`)
	raw.Matched(raw.Stdout, `"type":"live"`)
	trial.Soon(t, g.Arrived)
	close(g.Opened)
	for _, p := range []*trial.Process{watch, raw} {
		if code := p.Wait(); code != 0 || p.Stderr.String() != "" {
			t.Errorf("%s: exit code %d\n%s%s", p.Cmd, code, p.Stdout, p.Stderr)
		}
	}
	if text := watch.Stdout.String(); !strings.Contains(text, `second of 1`) || !regexp.MustCompile(`succeeded.*\n$`).MatchString(text) {
		t.Errorf("watch printed\n%s", text)
	}
	if text := raw.Stdout.String(); !strings.HasPrefix(text, `< {"type":"welcome"`) || !strings.Contains(text, "\n> {\"type\":\"subscribe\"") || !strings.Contains(text, `"type":"job.succeeded"`) {
		t.Errorf("watch --raw printed\n%s", text)
	}
	if code, out, errs := command("watch", failed.ID); code != 1 || !strings.Contains(out, "failed") || errs != "" {
		t.Errorf("watch of a failed job: exit code %d, printed %q, said %q", code, out, errs)
	}
	if code, _, errs := command("watch", "00000000-0000-7000-8000-000000000000"); code != 1 || !strings.Contains(errs, "no such job") && !strings.Contains(errs, "ot found") {
		t.Errorf("watch of an unknown job: exit code %d, said %q", code, errs)
	}

	if code, out, errs := command("cancel", later, failed.ID); code != 0 || out != later+" cancelled\n"+failed.ID+" is already finished: failed\n" {
		t.Errorf("cancel: exit code %d, printed %q, said %q", code, out, errs)
	}
	if code, _, _ := command("cancel", later, "nobody"); code != 1 {
		t.Errorf("cancel of an unknown job: exit code %d", code)
	}

	// Watching everything ends with ^C and prints how to continue.
	all.Matched(all.Stdout, `cancelled.*`+later)
	all.Signal(syscall.SIGINT)
	again := all.Matched(all.Stderr, `To continue from here: jobhub (watch --all --since \w+:\d+)\n`)
	if code := all.Wait(); code != 0 {
		t.Errorf("watch --all: exit code %d", code)
	}
	going := trial.Start(t, exec.Command(trial.Program, append(strings.Fields(again[1]), "--server", h.URL)...))
	fresh := h.Submit(trial.HTTPJob(api+"/fine", `,"tags":["third"]`))
	going.Matched(going.Stdout, `succeeded.*`+fresh.ID)
	if strings.Contains(going.Stdout.String(), later) {
		t.Errorf("watch --since prints an event again\n%s", going.Stdout)
	}

	_, out, _ = command("jobs")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], fresh.ID) || !strings.Contains(lines[1], "third") {
		t.Errorf("jobs printed\n%s", out)
	}
	if _, out, _ = command("jobs", "--state", "failed,cancelled"); !strings.Contains(out, "failed/rejected") || !strings.Contains(out, "cancelled/user") || strings.Count(out, "\n") != 3 {
		t.Errorf("jobs --state printed\n%s", out)
	}
	_, out, errs = command("jobs", "--limit", "2", "--json")
	for line := range strings.Lines(out) {
		var j client.Job
		if err := json.Unmarshal([]byte(line), &j); err != nil || j.ID == "" {
			t.Errorf("jobs --json: %v: %s", err, line)
		}
	}
	if strings.Count(out, "\n") != 2 {
		t.Errorf("jobs --limit 2 printed\n%s%s", out, errs)
	}

	// Watchers learn that the hub ended, and a second hub can then open the store.
	h.Signal(syscall.SIGTERM)
	if code := h.Wait(); code != 0 {
		t.Errorf("the hub: exit code %d\n%s", code, h.Stderr)
	}
	going.Matched(going.Stderr, `connection lost`)
	h = h.Restart()
	last := h.Submit(trial.HTTPJob(api+"/fine", ""))
	going.Matched(going.Stdout, `succeeded.*`+last.ID)
}

// TestDemo: the demo ends by itself, with a ledger that balances and nothing left.
func TestDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := exec.Command(trial.Program, "demo", "--for", "6s", "--addr", "127.0.0.1:0", "--rate", "10")
	cmd.Env = []string{"TMPDIR=" + tmp}
	p := trial.Start(t, cmd)
	url := p.Matched(p.Stdout, `Dashboard +(http://127\.0\.0\.1:\d+/)`)[1]
	if res, err := http.Get(url); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the dashboard: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	code := p.Wait()
	lines := regexp.MustCompile(`submitted (\d+) = (\d+) succeeded \+ (\d+) failed \+ (\d+) cancelled \+ (\d+) in flight +lost 0 +duplicated 0\n`).
		FindAllStringSubmatch(p.Stdout.String(), -1)
	if code != 0 || len(lines) == 0 || p.Stderr.String() != "" {
		t.Fatalf("exit code %d\n%s%s", code, p.Stdout, p.Stderr)
	}
	var n [6]int
	for i, digits := range lines[len(lines)-1][1:] {
		fmt.Sscan(digits, &n[i])
	}
	if n[0] < 20 || n[1] < 10 || n[0] != n[1]+n[2]+n[3]+n[4] {
		t.Errorf("%s", p.Stdout)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("files that were not removed: %q", left)
	}
}

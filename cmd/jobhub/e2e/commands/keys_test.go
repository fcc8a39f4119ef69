package commands

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestKeys: a hub with keys answers on every address, and nobody without a key; keys come
// and go while it runs.
func TestKeys(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	admin := trial.MakeKey(t, data, "--role", "admin", "--name", "root")
	h := trial.StartHubAt(t, strings.Replace(trial.FreeAddr(t), "127.0.0.1", "0.0.0.0", 1), data)
	submitter, worker := trial.MakeKey(t, data, "--role", "submitter", "--name", "ci", "--expires", "720h"), trial.MakeKey(t, data, "--role=worker", "--name=w 1")
	viewer, stranger := trial.MakeKey(t, data, "--role", "viewer"), trial.MakeKey(t, data, "--role", "admin", "--tenant", "other")

	if a := h.Call("GET", "/v1/jobs", ""); a.Status != 401 || a.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a key: %d %v %s", a.Status, a.Header, a.Body)
	}
	for host, want := range map[string]int{"127.0.0.1": 200, "localhost": 200, "hub.example.com": 421, "0.0.0.0": 421} {
		if a := h.Call("GET", "/v1/jobs", "", "Host: "+host, "Authorization: Bearer "+viewer); a.Status != want {
			t.Errorf("as %s: %d, want %d", host, a.Status, want)
		}
	}
	if code, out, errs := trial.Run(t, "jobs", "--server", h.URL); code == 0 || out != "" || !strings.Contains(errs, "JOBHUB_TOKEN") || !strings.Contains(errs, "--token") {
		t.Errorf("jobhub jobs without a key: %d %s %s", code, out, errs)
	}
	command := func(key string, args ...string) (int, string, string) {
		t.Helper()
		return trial.Run(t, append(args, "--server", h.URL, "--token", key)...)
	}
	cmd := exec.Command(trial.Program, "work", "--kind", "greet", "--server", h.URL, "--", "echo", `"hello"`)
	cmd.Env = []string{"JOBHUB_TOKEN=" + worker}
	trial.Start(t, cmd)
	code, out, errs := command(submitter, "submit", "greet")
	id, _, _ := strings.Cut(out, "\n")
	if code != 0 {
		t.Fatalf("jobhub submit: %d %s %s", code, out, errs)
	}
	if code, out, errs := command(submitter, "watch", id); code != 0 || !strings.Contains(out, "succeeded") { // over a WebSocket
		t.Errorf("jobhub watch: %d %s %s", code, out, errs)
	}
	if code, out, _ := command(viewer, "jobs"); code != 0 || !strings.Contains(out, id) {
		t.Errorf("jobhub jobs: %d %s", code, out)
	}
	if code, out, _ := command(stranger, "jobs"); code != 0 || strings.Contains(out, id) {
		t.Errorf("jobhub jobs of another tenant: %d %s", code, out)
	}
	if code, _, errs := command(viewer, "submit", "greet"); code == 0 || !strings.Contains(errs, "viewer") {
		t.Errorf("a viewer submits: %d %s", code, errs)
	}
	if code, _, errs := command(submitter, "queues", "pause", "default"); code == 0 || !strings.Contains(errs, "submitter") {
		t.Errorf("a submitter pauses a queue: %d %s", code, errs)
	}
	if code, out, _ := command(admin, "queues", "pause", "q", "--reason", "lunch"); code != 0 || !strings.Contains(out, "by root: lunch") {
		t.Errorf("an admin pauses a queue: %d %s", code, out)
	}

	if code, out, errs := trial.Run(t, "token", "create", "--role", "viewer", "--name", "ci", "--data", data); code != 1 || out != "" || !strings.Contains(errs, "ci already") {
		t.Errorf("a second key of that name: %d %s %s", code, out, errs)
	}
	if code, out, errs := trial.Run(t, "token", "revoke", "ci", "--data", data); code != 0 || !strings.Contains(out, "ci revoked") {
		t.Errorf("jobhub token revoke: %d %s %s", code, out, errs)
	}
	for end := time.Now().Add(trial.Patience); h.Call("GET", "/v1/jobs", "", "Authorization: Bearer "+submitter).Status != 401; {
		if time.Now().After(end) {
			t.Fatal("the hub does not notice that the key was revoked")
		}
	}
	code, out, _ = trial.Run(t, "token", "list", "--data", data)
	for _, pattern := range []string{`ID +NAME +ROLE +TENANT`, `key_\w+ +root +admin +default .* - +good`, `ci +submitter +default .* revoked`, `w 1 +worker`, `admin +other`} {
		if code != 0 || !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("jobhub token list: %d, lacks %s:\n%s", code, pattern, out)
		}
	}

	if code, out, errs := trial.Run(t, "keys", "create", "--role", "monitor", "--data", data); code != 0 || !strings.HasPrefix(out, "jh_") || strings.Contains(errs, "first key") {
		t.Errorf("jobhub keys create: %d %s %s", code, out, errs)
	} else {
		monitor := strings.TrimSpace(out)
		for path, want := range map[string]int{"/metrics": 200, "/readyz": 200, "/v1/jobs": 403, "/v1/events?all=1": 403} {
			if a := h.Call("GET", path, "", "Authorization: Bearer "+monitor); a.Status != want {
				t.Errorf("a monitor gets %d for %s, want %d", a.Status, path, want)
			}
		}
	}

	h.Signal(syscall.SIGTERM)
	h = h.Restart() // the keys stay
	for key, want := range map[string]int{admin: 200, submitter: 401, "": 401} {
		if a, err := h.Send(context.Background(), "GET", "/v1/jobs/"+id, "", "Authorization: Bearer "+key); err != nil || a.Status != want {
			t.Errorf("after a restart: %d, want %d, %v", a.Status, want, err)
		}
	}
	secrets := []string{admin, submitter, worker, viewer, stranger}
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if name := entry.Name(); strings.HasPrefix(name, "keys") || strings.HasPrefix(name, "token") {
			if info.Mode() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds a key", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, secret := range secrets {
		if strings.Contains(h.Stderr.String()+h.Stdout.String()+out+errs, secret) {
			t.Error("a key is printed")
		}
	}
}

// TestFirstAndLastKey: the first key closes a running hub and the last one that is revoked
// leaves it closed; both commands say so, and a worker that is refused says what it needs.
func TestFirstAndLastKey(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	h := trial.StartHubAt(t, "127.0.0.1:0", data)
	worker := trial.Start(t, exec.Command(trial.Program, "work", "--server", h.URL, "--kind", "k", "--", "true"))
	h.Eventually("/v1/workers", func(a trial.Answer) bool { return strings.Contains(string(a.Body), `"worker_id"`) })
	code, out, errs := trial.Run(t, "token", "create", "--role", "admin", "--name", "root", "--data", data)
	for _, part := range []string{"first key", "JOBHUB_TOKEN", "workers"} {
		if code != 0 || !strings.Contains(errs, part) {
			t.Errorf("the first key lacks %q: %d %s", part, code, errs)
		}
	}
	if code := worker.Wait(); code != 1 {
		t.Errorf("the worker ends with %d", code)
	}
	if text := worker.Stderr.String(); !strings.Contains(text, "JOBHUB_TOKEN") || !strings.Contains(text, "role worker") {
		t.Errorf("the worker says %s", text)
	}
	again := exec.Command(trial.Program, "work", "--server", h.URL, "--kind", "k", "--", "true")
	again.Env = []string{"JOBHUB_TOKEN=" + strings.TrimSpace(out)}
	trial.Start(t, again)
	if code, _, errs := trial.Run(t, "keys", "create", "--role", "viewer", "--name", "v", "--data", data); code != 0 || strings.Contains(errs, "first key") {
		t.Errorf("the second key: %d %s", code, errs)
	}
	if code, out, errs := trial.Run(t, "keys", "revoke", "root", "--data", data); code != 0 || !strings.Contains(out, "root revoked") || errs != "" {
		t.Errorf("one of two: %d %s %s", code, out, errs)
	}
	if code, out, errs := trial.Run(t, "keys", "revoke", "v", "--data", data); code != 0 || !strings.Contains(out, "v revoked") || !strings.Contains(errs, "still requires one") || !strings.Contains(errs, filepath.Join(data, "keys.json")) {
		t.Errorf("the last one: %d %s %s", code, out, errs)
	}
	h.Signal(syscall.SIGTERM)
	h = h.Restart()
	if a := h.Call("GET", "/v1/jobs", ""); a.Status != 401 {
		t.Errorf("without a good key the hub says %d", a.Status)
	}
	h.Signal(syscall.SIGTERM) // and as it was said, it is open again
	if err := os.Remove(filepath.Join(data, "keys.json")); err != nil {
		t.Fatal(err)
	}
	h = h.Restart()
	if a := h.Call("GET", "/v1/jobs", ""); a.Status != 200 {
		t.Errorf("without the file of keys the hub says %d", a.Status)
	}
}

// TestKeysOfAFolderAndAHub: each subcommand does the same with the keys of a data folder and
// with those of a running hub.
func TestKeysOfAFolderAndAHub(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	root := trial.MakeKey(t, data, "--role", "admin", "--name", "root")
	h := trial.StartHubAt(t, "127.0.0.1:0", data)
	for where, flags := range map[string][]string{"folder": {"--data", data}, "hub": {"--server", h.URL, "--token", root}} {
		command := func(wantCode int, want string, args ...string) string {
			t.Helper()
			code, out, errs := trial.Run(t, append(append([]string{"keys"}, args...), flags...)...)
			if code != wantCode || !regexp.MustCompile(want).MatchString(out+errs) {
				t.Errorf("%s: %s: exit code %d, want %d and %s\n%s%s", where, strings.Join(args, " "), code, wantCode, want, out, errs)
			}
			return out
		}
		name := "shop " + where
		text := strings.TrimSpace(command(0, `^jh_[a-z2-7]{52}\n.*shown only now`, "create", "--role", "submitter", "--name", name, "--team", "shop", "--scopes", "orders.read,orders.write", "--plan", "gold",
			"--rate", "100/1m", "--quota", "10000/1d", "--budget", "50/30d", "--expires", "2099-01-31T12:00:00Z"))
		if a := h.Call("GET", "/v1/jobs", "", trial.Bearer+text); a.Status != 200 {
			t.Errorf("%s: the new key gets %d", where, a.Status)
		}
		command(0, `(?s)name +`+name+`\nrole +submitter\ntenant +default\nteam +shop\nscopes +orders.read,orders.write\nplan +gold\nrate +100/1m\nquota +10000/1d\nbudget +50/30d\n.*expires +2099.*good`, "show", name)
		command(0, `"budget":"50/30d","expires":"2099-01-31T12:00:00.000Z","state":"valid"`, "show", name, "--json")
		command(0, name+` +submitter +default +shop +gold `, "list", "--team", "shop", "--role", "submitter")
		command(0, `^ID.*STATE\n$`, "list", "--tenant", "acme")
		command(0, `(?s)role +viewer\n.*team +-\nscopes +-\n.*expires +-\n`, "update", name, "--role", "viewer", "--team", "", "--scopes", "", "--expires", "")
		h.Eventually("/v1/keys?team=shop", func(trial.Answer) bool {
			return h.Call("POST", "/v1/jobs", `{"kind":"k"}`, trial.Bearer+text).Status == 403
		})
		command(1, `--budget must be .*; --rate must be like`, "update", name, "--rate", "often", "--budget", "1")
		command(1, `--scopes must be the name of a scope`, "create", "--role", "viewer", "--scopes", `a"b`)
		command(1, name+` already`, "create", "--role", "viewer", "--name", name)
		for _, verb := range []string{"show", "revoke"} {
			command(1, `"nobody"`, verb, "nobody")
		}
		command(1, `"nobody"`, "update", "nobody", "--team", "a")
		for _, args := range [][]string{{"update", name}, {"show"}, {"show", name, "--team", "a"}, {"list", "--plan", "gold"}, {"list", name}, {"revoke"}, {"create"}} {
			command(2, `want create --role ROLE, list`, args...)
		}
		command(0, name+` revoked\n$`, "revoke", name)
		command(0, name+` revoked\n$`, "revoke", name)
		command(1, `was revoked`, "update", name, "--team", "a")
		if out := command(0, `"key":"jh_`, "create", "--role", "viewer", "--json"); !strings.HasPrefix(out, `{"id":"key_`) {
			t.Errorf("%s: create --json: %s", where, out)
		}
	}
	if code, _, errs := trial.Run(t, "keys", "revoke", "root", "--server", h.URL, "--token", root); code != 1 || !strings.Contains(errs, "Make another key with the role admin first") {
		t.Errorf("the last admin: %d %s", code, errs)
	}
	if code, _, errs := trial.Run(t, "keys", "list", "--server", h.URL, "--data", data); code != 2 || !strings.Contains(errs, "not both") {
		t.Errorf("both: %d %s", code, errs)
	}
	if code, _, errs := trial.Run(t, "keys", "list", "--server", h.URL); code != 1 || !strings.Contains(errs, "JOBHUB_TOKEN") {
		t.Errorf("without a key: %d %s", code, errs)
	}
	if strings.Contains(h.Stderr.String(), "jh_") {
		t.Errorf("a key is logged: %s", h.Stderr.String())
	}
	for _, line := range []string{"key created", "key changed", "key revoked"} {
		if !regexp.MustCompile(line + `.* by=root `).MatchString(h.Stderr.String()) {
			t.Errorf("the log lacks %s: %s", line, h.Stderr.String())
		}
	}
}

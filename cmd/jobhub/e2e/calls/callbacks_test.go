package calls

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func accept(int, http.ResponseWriter, *http.Request) {}

// verify asks the reference libraries about callbacks.
func verify(t *testing.T, secret string, list ...trial.Delivered) (verdicts []string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s; on Debian: apt-get install nodejs npm", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "jobhub-test", "webhooks")
	install(t, dir, filepath.Join("testdata", "webhooks"))
	var in bytes.Buffer
	for _, d := range list {
		line, err := json.Marshal(map[string]any{"secret": secret, "headers": d.Headers, "body": d.Body})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs")
	cmd.Dir, cmd.Stdin = dir, &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

var installing sync.Mutex // held while packages of the cache folder change

// install puts the Node package in source into dir, with what it depends on, once.
func install(t *testing.T, dir, source string) {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	want, err := os.ReadFile(filepath.Join(source, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(dir, "node_modules", "installed.json")
	if got, err := os.ReadFile(done); err != nil || !bytes.Equal(got, want) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "package.json"), want, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm install in %s: %v\n%s", dir, err, out)
		}
		if err := os.WriteFile(done, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join(source, "verify.mjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "verify.mjs"), script, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCallbacks: a delivery verifies with the reference libraries, with each of two
// secrets, and with nothing changed in it.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	rec := trial.NewReceiver(t, accept)
	upstream := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "Grüße\u2028\n") }))
	quoted, _ := json.Marshal(rec.URL)
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	j := h.Submit(fmt.Sprintf(`{"kind":"http","input":{"url":%q,"headers":{"traceparent":%q}},"callbacks":[{"url":%s,"secret":[%q,%q],"events":["job.started","job.succeeded"]}]}`, upstream.URL, trace, quoted, secretB, secretA))
	two := map[string]trial.Delivered{}
	for range 2 {
		d := rec.Next(t)
		var body struct {
			Type string     `json:"type"`
			Data client.Job `json:"data"`
		}
		h.Decode([]byte(d.Body), &body)
		two[body.Type] = d
		if want := strings.TrimPrefix(body.Type, "job."); body.Data.ID != j.ID || body.Data.State != strings.Replace(want, "started", "running", 1) || d.Headers["traceparent"] != trace {
			t.Errorf("%s: %+v", d.Body, d.Headers)
		}
	}
	done := h.Await(j.ID, trial.InState("succeeded"))
	success, started := two["job.succeeded"], two["job.started"]
	for _, secret := range []string{secretA, secretB} {
		altered, older, other := success, success, success
		altered.Body = strings.Replace(altered.Body, "succeeded", "failed", 1)
		older.Headers, other.Headers = maps.Clone(success.Headers), maps.Clone(success.Headers)
		older.Headers["webhook-timestamp"] = fmt.Sprint(time.Now().Add(-10 * time.Minute).Unix())
		other.Headers["webhook-id"] = started.Headers["webhook-id"]
		got := verify(t, secret, success, started, altered, older, other)
		refused := `{"standardwebhooks":"refused","svix":"refused"}`
		want := []string{`{"standardwebhooks":"job.succeeded","svix":"job.succeeded"}`, `{"standardwebhooks":"job.started","svix":"job.started"}`, refused, refused, refused}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %s…: %q", secret[:10], got)
		}
	}

	// They are child jobs of the job of their event, and nothing shows the secrets.
	list := h.Children(j.ID)
	if len(list) != 2 || list[0].Kind != "webhook" || list[0].Queue != "callbacks" || list[0].Parent != j.ID {
		t.Fatalf("children %+v", list)
	}
	shown := string(done.Raw) + h.Stderr.String()
	for _, d := range list {
		d = h.Await(d.ID, trial.InState("succeeded"))
		shown += string(d.Raw) + string(h.Call("GET", "/jobs/"+d.ID, "").Body) + string(h.Call("GET", "/v1/jobs/"+d.ID+"/response", "").Body)
	}
	shown += string(h.Call("GET", "/jobs/"+j.ID, "").Body) + string(h.Call("GET", "/v1/jobs", "").Body) + string(h.Call("GET", "/v1/queues", "").Body)
	for _, secret := range []string{secretA, secretB} {
		if strings.Contains(shown, secret[6:]) {
			t.Errorf("the secret %s… is shown", secret[:10])
		}
	}

	// Sent again by hand, it is the same message.
	var again client.Job
	a := h.Call("POST", "/v1/jobs/"+list[0].ID+"/retry", "", trial.IsJSON)
	if h.Decode(a.Body, &again); a.Status != http.StatusAccepted || again.RetryOf != list[0].ID || again.Parent != j.ID {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if d := rec.Next(t); d.Headers["webhook-id"] != "msg_"+list[0].ID || d.Body != success.Body && d.Body != started.Body {
		t.Errorf("sent again: %+v", d)
	}
}

// TestCallbackSurvivesKill: a delivery that was under way when the hub was killed comes
// again with the same id, and costs no attempt.
func TestCallbackSurvivesKill(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	release := make(chan struct{})
	rec := trial.NewReceiver(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n == 1 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	defer close(release)
	quoted, _ := json.Marshal(rec.URL)
	j := h.Submit(fmt.Sprintf(`{"kind":"nobody","callbacks":[{"url":%s,"secret":%q}]}`, quoted, secretA))
	h.Call("POST", "/v1/jobs/"+j.ID+"/cancel", "")
	first := rec.Next(t)
	h.Signal(syscall.SIGKILL)
	h.Wait()
	h = h.Restart()
	second := rec.Next(t)
	if first.Body != second.Body || first.Headers["webhook-id"] != second.Headers["webhook-id"] {
		t.Errorf("first %+v\nthen %+v", first, second)
	}
	list := h.Children(j.ID)
	if len(list) != 1 {
		t.Fatalf("%d deliveries", len(list))
	}
	if d := h.Await(list[0].ID, trial.InState("succeeded")); d.Attempt != 1 {
		t.Errorf("%s", d.Raw)
	}
	if got := verify(t, secretA, first, second); fmt.Sprint(got) != fmt.Sprint([]string{`{"standardwebhooks":"job.cancelled","svix":"job.cancelled"}`, `{"standardwebhooks":"job.cancelled","svix":"job.cancelled"}`}) {
		t.Errorf("%q", got)
	}
}

// TestHubSecret: callbacks without a secret are signed with the hub's.
func TestHubSecret(t *testing.T) {
	t.Parallel()
	h := &trial.Hub{Addr: trial.FreeAddr(t), Data: t.TempDir()}
	cmd := exec.Command(trial.Program, h.Args()...)
	cmd.Env = append(trial.CleanEnv(), "JOBHUB_WEBHOOK_SECRET="+secretA)
	h.Process = trial.Start(t, cmd)
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]
	rec := trial.NewReceiver(t, accept)
	j := h.Submit(fmt.Sprintf(`{"kind":"nobody","callbacks":[{"url":%q,"events":["job.queued"]}]}`, rec.URL))
	if got := verify(t, secretA, rec.Next(t)); got[0] != `{"standardwebhooks":"job.queued","svix":"job.queued"}` {
		t.Errorf("%q", got)
	}
	if list := h.Children(j.ID); len(list) != 1 {
		t.Errorf("%d deliveries", len(list))
	}
	for _, wrong := range []string{"whsec_short", secretA + "," + secretB[6:]} {
		cmd := exec.Command(trial.Program, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir())
		cmd.Env = append(trial.CleanEnv(), "JOBHUB_WEBHOOK_SECRET="+wrong)
		out, err := cmd.CombinedOutput()
		if err == nil || strings.Contains(string(out), secretA[6:]) || !strings.Contains(string(out), "whsec_ and 24 to 64") {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestFanoutSurvivesKill: what came of a target before the hub was killed is kept, can be
// read while the rest still runs, and is not asked for again.
func TestFanoutSurvivesKill(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	release := make(chan struct{})
	var mu sync.Mutex
	calls := map[string]int{}
	upstream := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls[r.URL.Path]++
		mu.Unlock()
		if r.URL.Path == "/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, r.URL.Path)
	}))
	j := h.Submit(fmt.Sprintf(`{"kind":"fanout","input":{"targets":[{"name":"slow","url":"%s/slow"},{"name":"fast","url":"%s/fast"}]}}`, upstream.URL, upstream.URL))
	fast := func(j client.Job) bool { return strings.Contains(string(j.Result), `"body":"/fast"`) }
	for late := time.Now().Add(trial.Patience); ; {
		var now client.Job
		h.Decode(h.Call("GET", "/v1/jobs/"+j.ID, "").Body, &now)
		if fast(now) {
			if now.State != "running" || !strings.Contains(string(now.Result), `"slow":{"state":"running","status":null`) {
				t.Errorf("%s", now.Raw)
			}
			break
		}
		if time.Now().After(late) {
			t.Fatalf("%s", now.Raw)
		}
	}
	h.Signal(syscall.SIGKILL)
	h.Wait()
	h = h.Restart()
	close(release)
	done := h.Await(j.ID, trial.InState("succeeded"))
	if !fast(done) || !strings.HasPrefix(string(done.Result), `{"targets":{"slow":{`) || done.Attempt != 1 {
		t.Errorf("%s", done.Raw)
	}
	mu.Lock()
	if calls["/fast"] != 1 || calls["/slow"] != 2 {
		t.Errorf("calls %v", calls)
	}
	mu.Unlock()
	code, stdout, stderr := trial.Run(t, "retry", "--server", h.URL, "--targets", "fast", j.ID)
	again := regexp.MustCompile(`again as (\S+)`).FindStringSubmatch(stdout)
	if code != 0 || again == nil {
		t.Fatalf("%d %s%s", code, stdout, stderr)
	}
	if now := h.Await(again[1], trial.InState("succeeded")); now.RetryOf != j.ID || !strings.Contains(string(now.Result), `"body":"/slow"`) || !strings.HasSuffix(string(now.Result), `"repeated":["fast"]}`) {
		t.Errorf("%s", now.Raw)
	}
	if a := h.Call("POST", "/v1/jobs/"+j.ID+"/retry", `{"targets":["none"]}`, trial.IsJSON); a.Status != http.StatusUnprocessableEntity || !strings.Contains(string(a.Body), "/targets/0") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestCallbacksOfManyKilled: the hub is killed in the middle of many jobs; in the end each
// that it had accepted has one end and one delivery, which came with one id.
func TestCallbacksOfManyKilled(t *testing.T) {
	t.Parallel()
	const most = 200
	h := trial.StartHub(t)
	var mu sync.Mutex
	ids := map[string]map[string]bool{} // webhook-ids by job
	rec := trial.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Data struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return // the hub died while it sent this
		}
		mu.Lock()
		defer mu.Unlock()
		if ids[body.Data.ID] == nil {
			ids[body.Data.ID] = map[string]bool{}
		}
		ids[body.Data.ID][r.Header.Get("webhook-id")] = true
	}))
	upstream := trial.Serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) }))
	body := trial.HTTPJob(upstream.URL, fmt.Sprintf(`,"retry":{"initial":"50ms"},"callbacks":[{"url":%q}]`, rec.URL))
	b := &trial.Book{Bodies: map[string]string{}, IDs: map[string]string{}}
	var clients sync.WaitGroup
	var next, accepted atomic.Int64
	for range 4 {
		clients.Go(func() {
			for n := next.Add(1); n <= most; n = next.Add(1) {
				if b.Submit(t.Context(), h, fmt.Sprint("job-", n), body) && accepted.Add(1) == most/2 {
					h.Signal(syscall.SIGKILL)
				}
			}
		})
	}
	clients.Wait()
	h.Wait()
	h = h.Restart()
	if len(b.IDs) < most/2 {
		t.Fatalf("only %d jobs were accepted", len(b.IDs))
	}
	for _, id := range b.IDs {
		h.Await(id, trial.InState("succeeded"))
		list := h.Children(id)
		if len(list) != 1 {
			t.Fatalf("job %s has %d deliveries", id, len(list))
		}
		h.Await(list[0].ID, trial.InState("succeeded"))
		mu.Lock()
		if got := ids[id]; len(got) != 1 || !got["msg_"+list[0].ID] {
			t.Errorf("deliveries for job %s: %v", id, got)
		}
		mu.Unlock()
	}
}

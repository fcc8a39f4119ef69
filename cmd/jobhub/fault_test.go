package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The fault tests do to the real program what breaks programs of its kind: they kill it,
// stop its workers, fill its disk, fail its flushes and cut its power. What a test found
// wrong it returns as lines of text, so that TestSabotageIsCaught can show, with
// programs that were built to be wrong, that it would be found.

// launch starts a program as a hub and does not wait for it. The end of the test does
// not look at what it logs; the test does.
func launch(t *testing.T, binary, addr, data string, flags ...string) *hub {
	t.Helper()
	h := &hub{addr: addr, data: data, url: "http://" + addr}
	h.client.Base = h.url
	h.process = start(t, exec.Command(binary, append(h.args(), flags...)...))
	return h
}

func (h *hub) awaitReady() { h.t.Helper(); h.matched(h.stdout, `ready at (http://\S+)\n`) }

// alarms are the lines of a hub's log that must not be there.
func (h *hub) alarms() (wrong []string) {
	for line := range strings.Lines(h.stderr.String()) {
		for _, word := range []string{"level=ERROR", "panic:", "DATA RACE"} {
			if strings.Contains(line, word) {
				wrong = append(wrong, "the hub says "+strings.TrimSpace(line))
			}
		}
	}
	return wrong
}

// stopped ends a hub in order and says what is wrong with how it does.
func (h *hub) stopped() (wrong []string) {
	h.signal(syscall.SIGTERM)
	if code := h.wait(); code != 0 {
		wrong = append(wrong, fmt.Sprintf("the hub ended with %d\n%s", code, h.stderr))
	}
	return wrong
}

var (
	builds   sync.Mutex
	sabotage = map[string]string{}
)

// sabotagedBuild is the program built with that tag.
func sabotagedBuild(t *testing.T, tag string) string {
	t.Helper()
	if tag == "sabotage_nosync" {
		return sabotaged
	}
	builds.Lock()
	defer builds.Unlock()
	if sabotage[tag] == "" {
		path := filepath.Join(filepath.Dir(program), tag)
		if out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", tag, "-o", path, ".").CombinedOutput(); err != nil {
			t.Fatalf("go build -tags %s: %v\n%s", tag, err, out)
		}
		sabotage[tag] = path
	}
	return sabotage[tag]
}

// TestSabotageIsCaught shows that the fault tests can fail: each of these programs has
// one promise broken, and the test of that promise says so.
func TestSabotageIsCaught(t *testing.T) {
	t.Parallel()
	for tag, test := range map[string]func(*testing.T, string) []string{
		"sabotage_nosync":  func(t *testing.T, binary string) []string { return powerCuts(t, binary, 8, 10) },
		"sabotage_refsync": func(t *testing.T, binary string) []string { return failedFsync(t, binary, 20, false) },
		"sabotage_nofence": func(t *testing.T, binary string) []string { return fencing(t, binary, 40) },
		"sabotage_resume":  func(t *testing.T, binary string) []string { return torture(t, binary, 2, seed(t)).wrong },
	} {
		t.Run(strings.TrimPrefix(tag, "sabotage_"), func(t *testing.T) {
			t.Parallel()
			wrong := test(t, sabotagedBuild(t, tag))
			if len(wrong) == 0 {
				t.Fatal("nothing was found to be wrong with this program, so the test proves nothing")
			}
			t.Logf("%d findings, the first of them: %s", len(wrong), wrong[0])
		})
	}
}

// seed is where a test's random choices come from: SEED in the environment, or a new one.
func seed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the seed was SEED=%d", n)
		}
	})
	return n
}

func report(t *testing.T, wrong []string) {
	t.Helper()
	for i, w := range wrong {
		if i == 20 {
			t.Errorf("… and %d more", len(wrong)-i)
			break
		}
		t.Error(w)
	}
}

// rawWorker speaks the worker protocol without the client's help.
type rawWorker struct {
	hub  *hub
	http *http.Client
	id   string
}

// task is a job as a worker gets it.
type task struct {
	Lease   string         `json:"lease"`
	ID      string         `json:"id"`
	Attempt int            `json:"attempt"`
	Input   jsontext.Value `json:"input"`
}

// verdict is an answer to a worker, whole or a problem.
type verdict struct {
	status int
	body   []byte
	Code   string `json:"code"`
}

func (w *rawWorker) post(ctx context.Context, path, body string) (v verdict, err error) {
	a, err := w.hub.sendBy(ctx, w.http, "POST", path, body, isJSON)
	if err != nil {
		return v, err
	}
	v.status, v.body = a.status, a.body
	return v, json.Unmarshal(a.body, &v)
}

func (w *rawWorker) register(ctx context.Context, kind string) error {
	v, err := w.post(ctx, "/v1/workers", fmt.Sprintf(`{"name":"raw","kinds":[%q],"slots":4}`, kind))
	if err != nil {
		return err
	}
	var out struct {
		ID string `json:"worker_id"`
	}
	err = json.Unmarshal(v.body, &out)
	w.id = out.ID
	return err
}

// lease asks for one job; nil if none came.
func (w *rawWorker) lease(ctx context.Context, wait time.Duration) (*task, error) {
	v, err := w.post(ctx, "/v1/workers/"+w.id+"/lease", fmt.Sprintf(`{"max":1,"wait":%q}`, wait))
	if err != nil {
		return nil, err
	}
	if v.status != http.StatusOK {
		return nil, fmt.Errorf("%d %s", v.status, v.body)
	}
	var out struct {
		Jobs []task `json:"jobs"`
	}
	if err := json.Unmarshal(v.body, &out); err != nil || len(out.Jobs) == 0 {
		return nil, err
	}
	return &out.Jobs[0], nil
}

// end ends an attempt by a verb.
func (w *rawWorker) end(ctx context.Context, token, verb, body string) (verdict, error) {
	return w.post(ctx, "/v1/leases/"+token+"/"+verb, body)
}

// both ends an attempt by two verbs at the same time, and says if more than one won.
func (w *rawWorker) both(ctx context.Context, k *task, result string) (complete, release verdict, err error) {
	var group sync.WaitGroup
	var errs [2]error
	group.Go(func() { complete, errs[0] = w.end(ctx, k.Lease, "complete", `{"result":`+result+`}`) })
	group.Go(func() { release, errs[1] = w.end(ctx, k.Lease, "release", `{}`) })
	group.Wait()
	for _, e := range errs {
		if e != nil {
			err = e
		}
	}
	return complete, release, err
}

// wrongEnds says what is wrong with the answers to two verbs of one attempt.
func wrongEnds(k *task, complete, release verdict) (wrong []string) {
	if complete.status == http.StatusOK && release.status == http.StatusOK {
		wrong = append(wrong, fmt.Sprintf("%s: both complete and release of one lease were accepted", k.ID))
	}
	for verb, v := range map[string]verdict{"complete": complete, "release": release} {
		if v.status != http.StatusOK && (v.status != http.StatusConflict || v.Code != "conflict" && v.Code != "lease_lost") {
			wrong = append(wrong, fmt.Sprintf("%s: %s was answered with %d %s", k.ID, verb, v.status, v.body))
		}
	}
	return wrong
}

// sendBy is hub.send with another HTTP client.
func (h *hub) sendBy(ctx context.Context, c *http.Client, method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}

// newHTTP is an HTTP client of its own, with connections for many callers.
func newHTTP(t *testing.T) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

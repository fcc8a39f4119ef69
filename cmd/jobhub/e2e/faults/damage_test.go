package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestFlippedBits flips bits in the files that a killed hub left, and asks the next one for
// every job that was accepted: it has each as it was, or says what is damaged.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	flips := 12
	if trial.Long() {
		flips = 500
	}
	random := rand.New(rand.NewPCG(trial.Seed(t), 3))
	data := filepath.Join(t.TempDir(), "data")
	h := launch(t, trial.Program, trial.FreeAddr(t), data)
	awaitReady(h)
	inputs := map[string]string{} // by id
	submit := func(n int) {
		for range n {
			text := strings.Repeat("x", []int{10, 500, 3000, 30_000}[random.IntN(4)])
			input := fmt.Sprintf(`{"n":%d,"text":%q}`, len(inputs), text)
			inputs[h.Submit(fmt.Sprintf(`{"kind":"idle","input":%s}`, input)).ID] = input
		}
	}
	submit(60)
	if wrong := stopped(h); len(wrong) > 0 { // so that the database holds some, and the WAL the others
		t.Fatal(wrong)
	}
	h = launch(t, trial.Program, h.Addr, data)
	awaitReady(h)
	submit(40)
	h.Signal(syscall.SIGKILL)
	verdicts := map[string]int{}
	for range flips {
		at := filepath.Join(t.TempDir(), "data")
		shell(t, "cp", "-a", data, at)
		path := filepath.Join(at, []string{"jobs.db", "jobs.db-wal"}[random.IntN(2)])
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bit := random.IntN(8 * len(content))
		content[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		verdict, wrong := damagedHub(t, at, inputs)
		verdicts[verdict]++
		for _, w := range wrong {
			t.Errorf("bit %d of %s: %s", bit, filepath.Base(path), w)
		}
		os.RemoveAll(at)
	}
	t.Log(verdicts)
}

// damagedHub starts a hub on damaged files and says what it did about it.
func damagedHub(t *testing.T, data string, inputs map[string]string) (verdict string, wrong []string) {
	h := launch(t, trial.Program, trial.FreeAddr(t), data)
	if !comesUp(h) {
		if !strings.Contains(h.Stderr.String(), "damaged") {
			return "refused", []string{"the hub ends and does not say why: " + h.Stderr.String()}
		}
		return "refused", nil
	}
	answers := map[string]trial.Answer{}
	for id := range inputs {
		answers[id] = h.Call("GET", "/v1/jobs/"+id, "")
	}
	list, created := h.Call("GET", "/v1/jobs?limit=500", ""), h.Call("POST", "/v1/jobs", `{"kind":"idle"}`, trial.IsJSON)
	h.Signal(syscall.SIGTERM)
	log := h.Stderr.String()
	said := strings.Contains(log, "level=ERROR")
	verdict = "no harm"
	if said {
		verdict = "said"
	}
	for id, a := range answers {
		switch {
		case a.Status == http.StatusOK && strings.Contains(string(a.Body), `"input":`+inputs[id]):
		case a.Status == http.StatusInternalServerError && strings.Contains(string(a.Body), "store_damaged") && said:
			verdict = "answered"
		case a.Status == http.StatusNotFound && said && strings.Contains(log, "gets a new epoch"):
			verdict = "lost and said"
		default:
			wrong = append(wrong, fmt.Sprintf("job %s: %d %.200s", id, a.Status, a.Body))
		}
	}
	if list.Status != http.StatusOK && !strings.Contains(string(list.Body), "store_damaged") {
		wrong = append(wrong, fmt.Sprintf("the list: %d %.200s", list.Status, list.Body))
	}
	if created.Status != http.StatusAccepted && !strings.Contains(string(created.Body), "store_damaged") {
		wrong = append(wrong, fmt.Sprintf("a new job: %d %.200s", created.Status, created.Body))
	}
	if strings.Contains(log, "panic") || strings.Count(log, "\n") > 300 {
		wrong = append(wrong, fmt.Sprintf("the log: %.5000s", log))
	}
	return verdict, wrong
}

// comesUp waits until a hub is ready or has ended.
func comesUp(h *trial.Hub) bool {
	h.T.Helper()
	for late := time.After(trial.Patience); ; {
		said, grown := h.Stdout.Now()
		ready := strings.Contains(said, "ready at")
		if ready {
			return true
		}
		select {
		case <-grown:
		case <-h.Ended:
			return false
		case <-late:
			h.T.Fatalf("the hub neither answers nor ends: %s", h.Stderr)
		}
	}
}

// TestRestoredCopies puts a copy of the data folder back, in all the ways there are. A
// client that has seen more learns that its position is of another log.
func TestRestoredCopies(t *testing.T) {
	t.Parallel()
	for way, restore := range map[string]string{
		"cp -a of all":       `rm -rf "$DATA" && cp -a "$COPY" "$DATA"`,
		"cp -a in place":     `rm -f "$DATA"/jobs.db-* && cp -a "$COPY"/. "$DATA"/`,
		"cp in place":        `rm -f "$DATA"/jobs.db-* && cp "$COPY"/* "$DATA"/`,
		"mv":                 `rm -rf "$DATA" && mv "$COPY" "$DATA"`,
		"tar":                `tar -C "$COPY" -cf "$DATA.tar" . && rm -rf "$DATA"/* && tar -C "$DATA" -xf "$DATA.tar"`,
		"the database alone": `rm -f "$DATA"/jobs.db* && cp -a "$COPY"/jobs.db* "$DATA"/`,
	} {
		for how, end := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
			t.Run(way+", "+how, func(t *testing.T) {
				t.Parallel()
				root := t.TempDir()
				data, backup := filepath.Join(root, "data"), filepath.Join(root, "copy")
				addr := trial.FreeAddr(t)
				run := func() *trial.Hub {
					h := launch(t, trial.Program, addr, data)
					awaitReady(h)
					return h
				}
				h := run()
				for range 3 {
					h.Submit(`{"kind":"idle"}`)
				}
				h.Signal(end)
				shell(t, "cp", "-a", data, backup)
				h = run()
				for range 3 {
					h.Submit(`{"kind":"idle"}`)
				}
				lost := h.Submit(`{"kind":"idle"}`)
				if resumed := resumeAt(h, lost.Epoch, lost.Seq); resumed.Recovered == nil || !*resumed.Recovered {
					t.Fatalf("a client that lost nothing hears %+v", resumed)
				}
				h.Signal(end)
				cmd := exec.Command("sh", "-ec", restore)
				cmd.Env = append(os.Environ(), "DATA="+data, "COPY="+backup)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				h = run()
				for range 6 { // so that the number exists again
					h.Submit(`{"kind":"idle"}`)
				}
				resumed := resumeAt(h, lost.Epoch, lost.Seq)
				if resumed.Recovered == nil || *resumed.Recovered || resumed.Reason != "epoch" {
					t.Errorf("a client with a number that was given out twice hears %+v; %s", resumed, h.Stderr)
				}
				report(t, stopped(h))
			})
		}
	}
}

// resumeAt connects where a client left off, and returns how it is greeted.
func resumeAt(h *trial.Hub, epoch string, seq uint64) trial.Said {
	h.T.Helper()
	s := h.Dial(fmt.Sprintf("all=1&epoch=%s&seq=%d", epoch, seq))
	defer s.CloseNow()
	for {
		m, err := s.Next(h.T.Context())
		if err != nil {
			h.T.Fatal(err)
		}
		if m.Type == "subscribed" {
			return m
		}
	}
}

func shell(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

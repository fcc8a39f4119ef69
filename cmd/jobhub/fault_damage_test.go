package main_test

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
)

// TestFlippedBits flips bits in the files that a killed hub left, and asks the next one for
// every job that was accepted: it has each as it was, or says what is damaged.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	flips := 12
	if long() {
		flips = 500
	}
	random := rand.New(rand.NewPCG(seed(t), 3))
	data := filepath.Join(t.TempDir(), "data")
	h := launch(t, program, freeAddr(t), data)
	h.awaitReady()
	inputs := map[string]string{} // by id
	submit := func(n int) {
		for range n {
			text := strings.Repeat("x", []int{10, 500, 3000, 30_000}[random.IntN(4)])
			input := fmt.Sprintf(`{"n":%d,"text":%q}`, len(inputs), text)
			inputs[h.submit(fmt.Sprintf(`{"kind":"idle","input":%s}`, input)).ID] = input
		}
	}
	submit(60)
	if wrong := h.stopped(); len(wrong) > 0 { // so that the database holds some, and the WAL the others
		t.Fatal(wrong)
	}
	h = launch(t, program, h.addr, data)
	h.awaitReady()
	submit(40)
	h.signal(syscall.SIGKILL)
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
	h := launch(t, program, freeAddr(t), data)
	if !h.comesUp() {
		if !strings.Contains(h.stderr.String(), "damaged") {
			return "refused", []string{"the hub ends and does not say why: " + h.stderr.String()}
		}
		return "refused", nil
	}
	answers := map[string]answer{}
	for id := range inputs {
		answers[id] = h.call("GET", "/v1/jobs/"+id, "")
	}
	list, created := h.call("GET", "/v1/jobs?limit=500", ""), h.call("POST", "/v1/jobs", `{"kind":"idle"}`, isJSON)
	h.signal(syscall.SIGTERM)
	log := h.stderr.String()
	said := strings.Contains(log, "level=ERROR")
	verdict = "no harm"
	if said {
		verdict = "said"
	}
	for id, a := range answers {
		switch {
		case a.status == http.StatusOK && strings.Contains(string(a.body), `"input":`+inputs[id]):
		case a.status == http.StatusInternalServerError && strings.Contains(string(a.body), "store_damaged") && said:
			verdict = "answered"
		case a.status == http.StatusNotFound && said && strings.Contains(log, "gets a new epoch"):
			verdict = "lost and said"
		default:
			wrong = append(wrong, fmt.Sprintf("job %s: %d %.200s", id, a.status, a.body))
		}
	}
	if list.status != http.StatusOK && !strings.Contains(string(list.body), "store_damaged") {
		wrong = append(wrong, fmt.Sprintf("the list: %d %.200s", list.status, list.body))
	}
	if created.status != http.StatusAccepted && !strings.Contains(string(created.body), "store_damaged") {
		wrong = append(wrong, fmt.Sprintf("a new job: %d %.200s", created.status, created.body))
	}
	if strings.Contains(log, "panic") || strings.Count(log, "\n") > 300 {
		wrong = append(wrong, fmt.Sprintf("the log: %.5000s", log))
	}
	return verdict, wrong
}

// comesUp waits until a hub is ready or has ended.
func (h *hub) comesUp() bool {
	h.t.Helper()
	for late := time.After(patience); ; {
		h.stdout.mu.Lock()
		ready, grown := strings.Contains(string(h.stdout.bytes), "ready at"), h.stdout.grown
		h.stdout.mu.Unlock()
		if ready {
			return true
		}
		select {
		case <-grown:
		case <-h.ended:
			return false
		case <-late:
			h.t.Fatalf("the hub neither answers nor ends: %s", h.stderr)
		}
	}
}

// TestRestoredCopies puts a copy of the data folder back, in all the ways there are. A
// client that has seen more is told that its position is of another history.
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
				addr := freeAddr(t)
				run := func() *hub {
					h := launch(t, program, addr, data)
					h.awaitReady()
					return h
				}
				h := run()
				for range 3 {
					h.submit(`{"kind":"idle"}`)
				}
				h.signal(end)
				shell(t, "cp", "-a", data, backup)
				h = run()
				for range 3 {
					h.submit(`{"kind":"idle"}`)
				}
				lost := h.submit(`{"kind":"idle"}`)
				if resumed := h.resume(lost.Epoch, lost.Seq); resumed.Recovered == nil || !*resumed.Recovered {
					t.Fatalf("a client that lost nothing hears %+v", resumed)
				}
				h.signal(end)
				cmd := exec.Command("sh", "-ec", restore)
				cmd.Env = append(os.Environ(), "DATA="+data, "COPY="+backup)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				h = run()
				for range 6 { // so that the number exists again
					h.submit(`{"kind":"idle"}`)
				}
				resumed := h.resume(lost.Epoch, lost.Seq)
				if resumed.Recovered == nil || *resumed.Recovered || resumed.Reason != "epoch" {
					t.Errorf("a client with a number that was given out twice hears %+v; %s", resumed, h.stderr)
				}
				report(t, h.stopped())
			})
		}
	}
}

// resume connects where a client left off, and returns how it is greeted.
func (h *hub) resume(epoch string, seq uint64) said {
	h.t.Helper()
	s := h.dial(fmt.Sprintf("all=1&epoch=%s&seq=%d", epoch, seq))
	defer s.CloseNow()
	for {
		m, err := s.read(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
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

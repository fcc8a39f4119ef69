package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"jobhub/web/client"
)

// StartConfigured starts a hub with a configuration file, and further arguments.
func StartConfigured(t *testing.T, config string, more ...string) (h *Hub, file string) {
	t.Helper()
	return StartConfiguredIn(t, nil, config, more...)
}

// StartConfiguredIn does so with further variables of the environment.
func StartConfiguredIn(t *testing.T, env []string, config string, more ...string) (h *Hub, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "jobhub.yaml")
	Write(t, file, config)
	h = &Hub{Addr: FreeAddr(t), Data: t.TempDir()}
	cmd := exec.Command(Program, append([]string{"serve", "--addr", h.Addr, "--data", h.Data, "--grace", "5s", "--config", file}, more...)...)
	cmd.Env = env
	h.Process = Start(t, cmd)
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]
	h.Client = client.Client{Base: h.URL}
	return h, file
}

// Write replaces a file as editors do: it is never there in part.
func Write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+"~", []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

// Eventually asks until the answer holds.
func (h *Hub) Eventually(path string, holds func(Answer) bool) {
	h.T.Helper()
	end := time.Now().Add(Patience)
	for a := h.Call("GET", path, ""); !holds(a); a = h.Call("GET", path, "") {
		if time.Now().After(end) {
			h.T.Fatalf("GET %s stays %d %s\n%s", path, a.Status, a.Body, h.Stderr)
		}
		time.Sleep(20 * time.Millisecond) // a real file, a real process
	}
}

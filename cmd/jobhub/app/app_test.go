package app_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jobhub/cmd/jobhub/app"
)

// TestStart: a hub answers when Start returns. One that could not start leaves nothing
// behind, so that the next one can use the address and the store.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "jobhub.yaml")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	o := app.Options{Addr: l.Addr().String(), Data: filepath.Join(dir, "data"), Config: file}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{
		"routes: 7\n", // found before anything is opened
		"routes: [{path: /api/, upstream: \"http://" + o.Addr + "\"}]\n", // and this when the store is open: it leads to the hub
	} {
		write(text)
		if h, err := app.Start(t.Context(), o); err == nil {
			h.Close(t.Context())
			t.Fatalf("a hub starts with %q", text)
		} else if !strings.Contains(err.Error(), "the configuration has errors") {
			t.Fatal(err)
		}
	}
	write("queues: {q: {concurrency: 2}}\n")
	for range 2 {
		h, err := app.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Get(h.URL() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("it is not ready: %s", res.Status)
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := h.Run(over, nil); err != nil {
			t.Error(err)
		}
	}
}

package commands

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

type digest struct {
	Path      string `json:"path"`
	Bytes     int    `json:"bytes"`
	SHA256    string `json:"sha256"`
	GzipBytes int    `json:"gzip_bytes"`
}

// TestDemoTakenPort: an address that the user gave is the one that is used, or none.
func TestDemoTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	code, stdout, stderr := trial.Run(t, "demo", "--addr", l.Addr().String(), "--for", "1s")
	if code != 1 || !strings.Contains(stderr, l.Addr().String()+" is in use; choose another --addr") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// TestDemoFiles: the demo's worker process works on real files, and the ledger balances.
func TestDemoFiles(t *testing.T) {
	t.Parallel()
	dir, tmp := t.TempDir(), t.TempDir()
	text := []byte(strings.Repeat("All that is gold does not glitter. ", 50_000))
	path := filepath.Join(dir, "below", "text")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(trial.Program, "demo", "--files", dir, "--for", "8s", "--addr", "127.0.0.1:0", "--rate", "1")
	cmd.Env = []string{"TMPDIR=" + tmp}
	p := trial.Start(t, cmd)
	c := client.Client{Base: strings.TrimSuffix(p.Matched(p.Stdout, `Dashboard +(http://\S+)`)[1], "/")}

	ctx, cancel := context.WithTimeout(t.Context(), trial.Patience)
	defer cancel()
	var j client.Job
	progress := 0
	for m, err := range c.Watch(ctx, client.Filter{Queue: "files"}, client.WatchOptions{Snapshot: true}) {
		if err != nil {
			t.Fatalf("no file was worked on: %v\n%s", err, p.Stderr)
		}
		if m.Type == "job.progress" {
			progress++
		}
		if m.Final() {
			if j, err = c.Job(ctx, m.Job); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	var got digest
	if err := json.Unmarshal(j.Result, &got); err != nil || got.Path != path || got.Bytes != len(text) || got.SHA256 != sum(text) || got.GzipBytes != zipped(t, text) || progress == 0 {
		t.Errorf("%d reports of progress, %s", progress, j.Raw)
	}
	if code := p.Wait(); code != 0 || p.Stderr.String() != "" || !regexp.MustCompile(`lost 0 +duplicated 0\n$`).MatchString(p.Stdout.String()) {
		t.Errorf("exit code %d\n%s%s", code, p.Stdout, p.Stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
		t.Errorf("files that were not removed: %q", left)
	}
	if code, _, errs := trial.Run(t, "demo", "--files", filepath.Join(dir, "nowhere")); code != 1 || !strings.Contains(errs, "no such file") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 700_001)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(noise)
	path := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(path, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	for input, want := range map[string]struct {
		code int
		out  string
	}{
		fmt.Sprintf(`{"path":%q}`, path): {0, fmt.Sprintf(`::result {"path":%q,"bytes":700001,"sha256":%q,"gzip_bytes":%d}`, path, sum(noise), zipped(t, noise))},
		`{"path":"/nowhere/at/all"}`:     {65, ""},
		`{"path":7}`:                     {65, ""},
		``:                               {65, ""},
	} {
		cmd := exec.Command(trial.Program, "digest")
		cmd.Stdin = strings.NewReader(input)
		out, _ := cmd.Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if code := cmd.ProcessState.ExitCode(); code != want.code || lines[len(lines)-1] != want.out {
			t.Errorf("%s: exit code %d\n%s", input, code, out)
		}
	}
}

func sum(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

func zipped(t *testing.T, p []byte) int {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

package commands

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// TestRefusedSubmissions: each answer says what is wrong, and nothing is stored.
func TestRefusedSubmissions(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	const plain = "Content-Type: text/plain"
	for name, c := range map[string]struct {
		body   string
		header string
		status int
		code   string
		about  string // in the answer
	}{
		"no body":             {``, trial.IsJSON, 400, "bad_message", ""},
		"half a body":         {`{"kind":"http"`, trial.IsJSON, 400, "bad_message", ""},
		"no JSON":             {`kind=http`, trial.IsJSON, 400, "bad_message", ""},
		"not UTF-8":           {"{\"kind\":\"a\",\"tags\":[\"\xff\"]}", trial.IsJSON, 400, "bad_message", ""},
		"duplicate member":    {`{"kind":"a","kind":"b"}`, trial.IsJSON, 400, "bad_message", "kind"},
		"duplicate in input":  {`{"kind":"a","input":{"x":{"y":1,"y":2}}}`, trial.IsJSON, 400, "bad_message", "y"},
		"trailing data":       {`{"kind":"a"} {}`, trial.IsJSON, 400, "bad_message", ""},
		"another value":       {`["a"]`, trial.IsJSON, 422, "", ""},
		"no kind":             {`{"input":{}}`, trial.IsJSON, 422, "", "kind"},
		"malformed kind":      {`{"kind":"A b"}`, trial.IsJSON, 422, "", "kind"},
		"long kind":           {`{"kind":"` + strings.Repeat("a", 65) + `"}`, trial.IsJSON, 422, "", "kind"},
		"malformed queue":     {`{"kind":"a","queue":"ü"}`, trial.IsJSON, 422, "", "queue"},
		"wrong type":          {`{"kind":7}`, trial.IsJSON, 422, "", "kind"},
		"wrong case":          {`{"Kind":"a"}`, trial.IsJSON, 422, "", "Kind"},
		"unknown member":      {`{"kind":"a","speed":9}`, trial.IsJSON, 422, "", "speed"},
		"unknown in retry":    {`{"kind":"a","retry":{"often":9}}`, trial.IsJSON, 422, "", "often"},
		"priority":            {`{"kind":"a","priority":101}`, trial.IsJSON, 422, "", "priority"},
		"duration":            {`{"kind":"a","delay":"soon"}`, trial.IsJSON, 422, "", "delay"},
		"http without url":    {`{"kind":"http","input":{}}`, trial.IsJSON, 422, "", "url"},
		"another scheme":      {`{"kind":"http","input":{"url":"file:///etc/passwd"}}`, trial.IsJSON, 422, "", "url"},
		"blocked literal":     {`{"kind":"http","input":{"url":"http://10.0.0.1/"}}`, trial.IsJSON, 422, "blocked_address", ""},
		"callbacks null":      {`{"kind":"a","callbacks":null}`, trial.IsJSON, 422, "", "/callbacks"},
		"callback blocked":    {`{"kind":"a","callbacks":[{"url":"http://169.254.169.254/"}]}`, trial.IsJSON, 422, "blocked_address", "/callbacks/0/url"},
		"callback secret":     {`{"kind":"a","callbacks":[{"url":"https://a.example","secret":"whsec_c2hvcnQ="}]}`, trial.IsJSON, 422, "", "/callbacks/0/secret"},
		"delivery by hand":    {`{"kind":"webhook","input":{"url":"https://a.example"}}`, trial.IsJSON, 422, "", "/kind"},
		"fan-out of none":     {`{"kind":"fanout","input":{"targets":[]}}`, trial.IsJSON, 422, "", "/input/targets"},
		"fan-out blocked":     {`{"kind":"fanout","input":{"targets":[{"name":"a","url":"http://10.0.0.1/"}]}}`, trial.IsJSON, 422, "blocked_address", "/input/targets/0/url"},
		"another type":        {`{"kind":"a"}`, plain, 415, "", "application/json"},
		"a form":              {`kind=a`, "Content-Type: application/x-www-form-urlencoded", 415, "", "application/json"},
		"over 2 MiB":          {`{"kind":"a","input":"` + strings.Repeat("x", 2<<20) + `"}`, trial.IsJSON, 413, "too_large", "2097152"},
		"malformed key":       {`{"kind":"a"}`, trial.IsJSON + "\nIdempotency-Key: \"a", 400, "bad_message", "Idempotency-Key"},
		"malformed wait":      {`{"kind":"a"}`, trial.IsJSON + "\nPrefer: wait=soon", 400, "bad_message", "wait"},
		"from another origin": {`{"kind":"a"}`, trial.IsJSON + "\nOrigin: https://evil.example", 403, "forbidden", "evil.example"},
		"to another host":     {`{"kind":"a"}`, trial.IsJSON + "\nHost: evil.example", 421, "", "evil.example"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.Call("POST", "/v1/jobs", c.body, strings.Split(c.header, "\n")...)
			var p client.Problem
			if a.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %s: %s", a.Status, a.Header, a.Body)
			}
			h.Decode(a.Body, &p)
			if a.Status != c.status || p.Status != c.status || p.Title == "" || p.Code == "" {
				t.Errorf("status %d, expected %d: %s", a.Status, c.status, a.Body)
			}
			if c.code != "" && p.Code != c.code {
				t.Errorf("code %s, expected %s: %s", p.Code, c.code, a.Body)
			}
			if !strings.Contains(string(a.Body), c.about) {
				t.Errorf("says nothing of %s: %s", c.about, a.Body)
			}
			if left := h.Jobs(); len(left) > 0 {
				t.Errorf("stored %s", left[0].Raw)
			}
		})
	}
	if a := h.Call("GET", "/v1/queues", ""); !strings.Contains(string(a.Body), `"queues":[]`) {
		t.Errorf("queues came into being: %s", a.Body)
	}
}

// TestForeign: a page of another site gets nothing from the hub, nor does one that
// has its name resolve to the hub's address.
func TestForeign(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	const foreignOrigin, foreignHost = "Origin: https://evil.example", "Host: evil.example"
	for path, own := range map[string]int{"/": 200, "/v1/jobs": 200, "/v1/queues": 200, "/nothing": 404} {
		for header, status := range map[string]int{foreignOrigin: 403, foreignHost: 421, "Origin: null": 403,
			"Origin: http://127.0.0.1:1": 403, "Host: 127.0.0.1.evil.example": 421, "Host: localhost:1": own, "Origin: " + h.URL: own} {
			if a := h.Call("GET", path, "", header); a.Status != status {
				t.Errorf("%s with %s: %d, expected %d", path, header, a.Status, status)
			}
		}
	}
	for header, status := range map[string]int{foreignOrigin: 403, foreignHost: 421, "Origin: " + h.URL: 101} {
		name, value, _ := strings.Cut(header, ": ")
		o := &websocket.DialOptions{HTTPHeader: http.Header{}, Subprotocols: []string{"jobhub.v1"}}
		if name == "Host" {
			o.Host = value
		} else {
			o.HTTPHeader.Set(name, value)
		}
		ctx, cancel := context.WithTimeout(t.Context(), trial.Patience)
		conn, res, err := websocket.Dial(ctx, h.URL+"/v1/ws?all=1", o)
		cancel()
		if res == nil || res.StatusCode != status {
			t.Errorf("WebSocket with %s: %v, expected %d", header, err, status)
		}
		if conn != nil {
			conn.CloseNow()
		}
	}
}

// TestRefusedStarts: a hub that can't start says why in one line and leaves no files.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	running := trial.StartHub(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := newerStore(t)
	before, err := os.ReadFile(filepath.Join(newer, "jobs.db"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		addr, data string // free ones if empty
		more       []string
		env        string
		code       int
		says       []string
	}{
		"address in use":       {addr: taken.Addr().String(), code: 1, says: []string{taken.Addr().String(), "in use", "--addr"}},
		"not loopback":         {addr: "0.0.0.0:20001", code: 1, says: []string{"--addr 0.0.0.0:20001", "loopback", "jobhub keys create"}},
		"any address":          {addr: ":20001", code: 1, says: []string{"--addr :20001", "loopback"}},
		"no address":           {addr: "here", code: 1, says: []string{`--addr "here"`, "127.0.0.1:8080"}},
		"unwritable folder":    {data: filepath.Join(file, "data"), code: 1, says: []string{"data folder", file, "not a directory"}},
		"a file as the folder": {data: file, code: 1, says: []string{"data folder", file, "not a directory"}},
		"a store in use":       {data: running.Data, code: 1, says: []string{"another process has this store open", "--data"}},
		"a newer store":        {data: newer, code: 1, says: []string{"format 99", "newer"}},
		"another store":        {more: []string{"--store", "redis://localhost"}, code: 1, says: []string{"--store", "redis://localhost", "sqlite:PATH"}},
		"an argument":          {more: []string{"now"}, code: 2, says: []string{`"now"`, "flags"}},
		"an unknown flag":      {more: []string{"--speed=9"}, code: 2, says: []string{"-speed"}},
		"a malformed flag":     {more: []string{"--grace=soon"}, code: 2, says: []string{"-grace", `"soon"`}},
		"a malformed range":    {more: []string{"--egress-allow=loopback"}, code: 2, says: []string{"-egress-allow", `"loopback"`, "10.0.0.0/8"}},
		"a malformed variable": {env: "JOBHUB_EGRESS_ALLOW=loopback", code: 2, says: []string{"JOBHUB_EGRESS_ALLOW", `"loopback"`, "10.0.0.0/8"}},
		"a malformed duration": {env: "JOBHUB_LEASE=1s\nJOBHUB_GRACE=soon", code: 2, says: []string{"JOBHUB_GRACE", `"soon"`}},
	} {
		t.Run(name, func(t *testing.T) {
			addr, data := c.addr, c.data
			if addr == "" {
				addr = trial.FreeAddr(t)
			}
			if data == "" {
				data = filepath.Join(t.TempDir(), "data")
			}
			if c.more == nil && c.env == "" {
				c.more = []string{"--grace", "1s"}
			}
			cmd := exec.Command(trial.Program, append([]string{"serve", "--addr", addr, "--data", data}, c.more...)...)
			cmd.Env = strings.Split(c.env, "\n")
			p := trial.Start(t, cmd)
			if code := p.Wait(); code != c.code {
				t.Errorf("exit code %d, expected %d", code, c.code)
			}
			if out := p.Stdout.String(); out != "" {
				t.Errorf("printed %s", out)
			}
			first, rest, _ := strings.Cut(p.Stderr.String(), "\n")
			for _, word := range c.says {
				if !strings.Contains(first, word) {
					t.Errorf("says nothing of %s: %s", word, first)
				}
			}
			// After a mistake in the command line the flags are shown.
			if rest != "" && !(c.code == 2 && strings.HasPrefix(rest, "Usage of jobhub serve:\n")) {
				t.Errorf("has more to say:\n%s", rest)
			}
			if c.addr == "" && listening(addr) {
				t.Errorf("something listens on %s", addr)
			}
			if _, err := os.Stat(data); c.data == "" && err == nil {
				t.Errorf("%s was created", data)
			}
		})
	}
	if after, err := os.ReadFile(filepath.Join(newer, "jobs.db")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the newer store was changed (%v)", err)
	}
	if a := running.Call("GET", "/readyz", ""); a.Status != 200 {
		t.Errorf("the hub whose store the others wanted: %d %s", a.Status, a.Body)
	}
}

func listening(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// newerStore is a store as a later version leaves it.
func newerStore(t *testing.T) (data string) {
	t.Helper()
	h := trial.StartHub(t)
	h.Submit(`{"kind":"a"}`)
	h.Signal(syscall.SIGTERM)
	if err := os.Chmod(h.Data, 0o700); err != nil { // others may read it otherwise, which would be said first
		t.Fatal(err)
	}
	db, err := sqlite.OpenConn(filepath.Join(h.Data, "jobs.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := sqlitex.ExecuteTransient(db, "PRAGMA user_version=99", nil); err != nil {
		t.Fatal(err)
	}
	return h.Data
}

func TestRefusedCommands(t *testing.T) {
	t.Parallel()
	gone := "http://" + trial.FreeAddr(t)
	for line, says := range map[string][]string{
		"":                           {"Usage: jobhub COMMAND"},
		"fly":                        {`there is no command "fly"`},
		"jobs --server " + gone:      {"no hub answers at " + gone, "jobhub serve", "--server"},
		"submit --server " + gone:    {"want a KIND"},
		"submit a --server " + gone:  {"no hub answers at " + gone},
		"watch x y":                  {"want one of"},
		"cancel --server " + gone:    {"ID"},
		"demo --rate 0":              {"--rate"},
		"demo --addr 0.0.0.0:0":      {"loopback"},
		"watch --since yesterday":    {"since", "EPOCH:SEQ"},
		"token":                      {"create", "list", "revoke"},
		"token create":               {"--role"},
		"token create --role root":   {"role", `"root"`, "viewer"},
		"token list all":             {"list"},
		"token revoke nobody":        {`"nobody"`},
		"submit a {} --priority low": {"priority", `"low"`},
	} {
		code, out, errs := trial.Run(t, strings.Fields(line)...)
		if code == 0 || out != "" {
			t.Errorf("jobhub %s: exit code %d, printed %q", line, code, out)
		}
		for _, word := range says {
			if !strings.Contains(errs, word) {
				t.Errorf("jobhub %s says nothing of %s: %s", line, word, errs)
			}
		}
	}
	for _, line := range []string{"help", "--help", "serve --help", "demo --help", "submit --help", "watch --help", "jobs --help", "cancel --help", "token --help", "version"} {
		if code, out, errs := trial.Run(t, strings.Fields(line)...); code != 0 || out+errs == "" {
			t.Errorf("jobhub %s: exit code %d, %s", line, code, fmt.Sprint(out, errs))
		}
	}
}

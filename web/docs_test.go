package web_test

import (
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

var docsPaths = []string{"/docs", "/docs/protocol", "/docs/workers", "/docs/gateway", "/docs/operate", "/docs/api", "/docs/errors"}

// blocks are the code blocks of a page's source, for the server at url.
func blocks(t *testing.T, page, url string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "pages", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?sm)^```(\\w+)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], strings.ReplaceAll(m[2], "http://127.0.0.1:8080", url)})
	}
	return all
}

type block struct{ language, code string }

// shell runs a script; a curl in it fails where the hub refuses. One that has no end (-N)
// is ended after a second, and must be live by then.
func shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", `curl() {
		case " $* " in
		*" -N "*) command curl --fail-with-body --max-time 1 "$@" || [ $? = 28 ] ;; # 28: it took too long
		*) command curl --fail-with-body --max-time 20 ${key:+-H "Authorization: Bearer $key"} "$@" ;;
		esac
	}`+"\n"+script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, script, out)
	}
	if strings.Contains(script, "curl -N") && !strings.Contains(string(out), `"type":"live"`) {
		t.Errorf("%s is not live:\n%s", script, out)
	}
	return string(out)
}

// TestDocsCommands runs what the pages tell people to type.
func TestDocsCommands(t *testing.T) {
	for _, tool := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s; on Debian: apt-get install %[1]s", tool)
		}
	}
	pages, err := filepath.Glob("docs/pages/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range pages {
		name := filepath.Base(page)
		if name == "gateway.md" { // TestGatewayRecipes runs its commands, on hubs with its configurations
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := start(t)
			for _, b := range blocks(t, name, w.url) {
				if b.language != "sh" || !strings.Contains(b.code, "curl") || strings.HasPrefix(b.code, "#!") {
					continue
				}
				ran++
				if out := shell(t, b.code); strings.Contains(b.code, "/complete") && !strings.HasSuffix(out, "\"HELLO\"\n") {
					t.Errorf("the job made by hand has another result: %s", out)
				}
			}
		})
	}
	if ran < 4 {
		t.Errorf("only %d blocks of commands were run", ran)
	}
}

// TestDocsWorkers: the workers of the page take a job, run it, and exit on a directive.
func TestDocsWorkers(t *testing.T) {
	w := start(t)
	for _, b := range blocks(t, "workers.md", w.url) {
		program := map[string]string{"sh": "sh", "python": "python3", "js": "node"}[b.language]
		if program == "" || b.language == "sh" && !strings.HasPrefix(b.code, "#!") {
			continue
		}
		t.Run(program, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "worker.mjs")
			if err := os.WriteFile(file, []byte(b.code), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, file)
			cmd.WaitDelay = time.Second
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			id := w.submit(`{"kind":"shout","input":"hello"}`)
			if job := w.await(id, "succeeded"); job["result"] != "HELLO" {
				t.Errorf("result %v", job["result"])
			}
			for _, worker := range w.do("GET", "/v1/workers", "").json()["workers"].([]any) {
				w.do("POST", "/v1/workers/"+worker.(map[string]any)["worker_id"].(string)+"/terminate", "").want(200)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, out.String())
			}
			for _, worker := range w.do("GET", "/v1/workers", "").json()["workers"].([]any) {
				w.do("DELETE", "/v1/workers/"+worker.(map[string]any)["worker_id"].(string), "").want(204)
			}
		})
	}
}

// TestDocsAPICommands sends the curl commands of the reference unchanged.
func TestDocsAPICommands(t *testing.T) {
	open, keyed := start(t), start(t)
	keyed.bearer = keyed.key(auth.Admin, "default")
	page := open.do("GET", "/docs/api", "").want(200).body
	commands := regexp.MustCompile(`<pre id="curl-([^"]+)"><code>(.*?)</code>`)
	all := commands.FindAllStringSubmatch(strings.ReplaceAll(page, "\n", "\x00"), -1)
	if len(all) < 30 {
		t.Fatalf("only %d commands", len(all))
	}
	for _, m := range all {
		if operation, _, _ := strings.Cut(m[1], "-"); operation == "socket" || operation == "events" { // which have no end
			continue
		}
		command := html.UnescapeString(strings.ReplaceAll(m[2], "\x00", "\n"))
		w, key := open, ""
		if strings.Contains(command, "/v1/keys") { // the first key would close the hub
			w, key = keyed, "key="+keyed.bearer+"\n"
		}
		command = key + strings.ReplaceAll(command, "http://127.0.0.1:8080", w.url)
		t.Run(m[1], func(t *testing.T) { shell(t, newStand(w).in(command)) })
	}
}

// TestDocsSayWhereTheHubIs: commands can be copied as they are.
func TestDocsSayWhereTheHubIs(t *testing.T) {
	for origin, socket := range map[string]string{"http://hub.example.com:9000": "ws://hub.example.com:9000", "https://hub.example.com": "wss://hub.example.com"} {
		w := startIn(t, t.TempDir(), func(p *parts) { p.web.Origin = origin })
		for _, path := range append(docsPaths, "/openapi.json", "/asyncapi.json") {
			body := w.do("GET", path, "").want(200).body
			if strings.Contains(body, "127.0.0.1:8080") {
				t.Errorf("%s speaks of another address", path)
			}
			if path != "/docs/errors" && !strings.Contains(body, strings.TrimPrefix(strings.TrimPrefix(origin, "http://"), "https://")) {
				t.Errorf("%s does not say where the hub is", path)
			}
		}
		if !strings.Contains(w.do("GET", "/docs/protocol", "").body, socket+"/v1/ws") {
			t.Errorf("%s: no address of the socket", origin)
		}
		if got := readAsyncAPI(w).at("servers", "websocket").text("protocol") + "://"; !strings.HasPrefix(socket, got) {
			t.Errorf("%s: protocol %s", origin, got)
		}
	}
}

// TestDocsLinks: every link leads somewhere, also those into a page.
func TestDocsLinks(t *testing.T) {
	w := start(t)
	links := regexp.MustCompile(`href="([^"]+)"`)
	bodies := map[string]string{}
	for _, path := range docsPaths {
		bodies[path] = w.do("GET", path, "").want(200).body
		if strings.Contains(bodies[path], " style=") || strings.Contains(bodies[path], "<style") {
			t.Errorf("%s has styles that its own policy forbids", path)
		}
	}
	for _, from := range docsPaths {
		for _, m := range links.FindAllStringSubmatch(bodies[from], -1) {
			path, anchor, _ := strings.Cut(html.UnescapeString(m[1]), "#")
			if path == "" {
				path = from
			}
			if _, read := bodies[path]; !read {
				bodies[path] = w.do("GET", path, "").want(200).body
			}
			if anchor != "" && anchor != "main" && strings.Count(bodies[path], `id="`+anchor+`"`) != 1 {
				t.Errorf("%s leads to #%s, which %s has not once", from, anchor, path)
			}
		}
	}
}

// TestDocsErrors: there is an entry for each code in the code, and none else.
func TestDocsErrors(t *testing.T) {
	w := start(t)
	page := w.do("GET", "/docs/errors", "").want(200).body
	var described []string
	for _, m := range regexp.MustCompile(`<h3 id="(\w+)"`).FindAllStringSubmatch(page, -1) {
		described = append(described, m[1])
	}
	var codes []string
	for _, i := range readAsyncAPI(w).at("components", "schemas", "Code", "enum").names() {
		codes = append(codes, readAsyncAPI(w).at("components", "schemas", "Code", "enum").at(i).value.(string))
	}
	for _, folder := range []string{".", "rest", "api", "batch", "live", "pages", "../jobs", "../jobs/engine", "../jobs/engine/commit", "../jobs/engine/transition", "../jobs/call", "../jobs/egress", "../jobs/webhook", "limit", "catalog", "auth/jwt", "auth/signature", "gateway", "gateway/match", "gateway/transform", "gateway/upstream", "gateway/upgrade", "gateway/openapi", "gateway/cache", "gateway/usage"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`\bCode +(?:Code +)?=? *"(\w+)"|\bCode = "(\w+)"|[nN]ewProblem\("(\w+)"|Title, p\.Code, p\.Type = "\w+", "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
				codes = append(codes, strings.Join(m[1:], ""))
			}
		}
	}
	if len(codes) < 25 {
		t.Fatalf("only %q were found", codes)
	}
	for _, code := range codes {
		if !slices.Contains(described, code) {
			t.Errorf("%s has no entry", code)
		}
	}
	for _, code := range described {
		if !slices.Contains(codes, code) {
			t.Errorf("there is no code %s", code)
		}
	}
}

// TestDocsCloseCodes: the page has a row for each close code of asyncapi.json.
func TestDocsCloseCodes(t *testing.T) {
	w := start(t)
	page := strings.ReplaceAll(w.do("GET", "/docs/protocol", "").want(200).body, " – ", "-")
	codes := readAsyncAPI(w).at("channels", "socket", "x-close-codes")
	if len(codes.names()) < 8 {
		t.Fatalf("only %d close codes", len(codes.names()))
	}
	for _, i := range codes.names() {
		code := codes.at(i).text("range")
		if number, ok := codes.at(i).at("code").value.(json.Number); ok {
			code = number.String()
		}
		if code == "" || !strings.Contains(page, code) {
			t.Errorf("the page does not say what to do about %s", code)
		}
	}
}

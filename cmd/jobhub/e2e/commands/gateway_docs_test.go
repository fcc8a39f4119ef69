package commands

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"jobhub/cmd/jobhub/e2e/trial"
)

// TestGatewayRecipes runs each recipe of the page about the gateway: its configuration on a real
// hub, its commands against a real API, and compares what they print with what the page shows.
func TestGatewayRecipes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(trial.File(t, "web/docs/pages/gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "## Ten recipes")
	intro, rest, _ := strings.Cut(part, "\n### ")
	api := codeOf(t, intro, "python")
	recipes := strings.Split(rest, "\n### ")
	if len(recipes) != 10 {
		t.Fatalf("there are %d recipes", len(recipes))
	}
	for _, recipe := range recipes {
		title, _, _ := strings.Cut(recipe, " {#")
		t.Run(title, func(t *testing.T) { runRecipe(t, api, recipe) })
	}
}

// codeOf returns the only block of code of a language in a text.
func codeOf(t *testing.T, text, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%d blocks of %s", len(found), language)
	}
	return found[0][1]
}

func runRecipe(t *testing.T, api, recipe string) {
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(trial.Program, filepath.Join(bin, "jobhub")); err != nil {
		t.Fatal(err)
	}
	hub := trial.FreeAddr(t)
	replaced := []string{"127.0.0.1:8080", hub, "https://idp.example.com/jwks.json", "JWKS"}
	token := ""
	if strings.Contains(recipe, "$TOKEN") {
		replaced[3], token = startProvider(t)
	}
	for _, port := range []string{"9000", "9001", "9002", "9009", "9010"} {
		free := freePort(t)
		replaced = append(replaced, "127.0.0.1:"+port, "127.0.0.1:"+free, `"port": `+port, `"port": `+free)
		if port == "9000" || port == "9001" {
			startAPI(t, api, free)
		}
	}
	here := strings.NewReplacer(replaced...)
	config, commands, want := here.Replace(codeOf(t, recipe, "yaml")), here.Replace(codeOf(t, recipe, "sh")), here.Replace(codeOf(t, recipe, "text"))

	trial.Write(t, filepath.Join(dir, "hub.yaml"), config)
	serve := exec.Command(trial.Program, "serve", "--addr", hub, "--data", filepath.Join(dir, "jobhub-data"), "--config", filepath.Join(dir, "hub.yaml"))
	p := trial.Start(t, serve)
	p.Matched(p.Stdout, `ready at`)

	script := "set -m\ntrap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n"
	for line := range strings.Lines(commands) {
		script += line
		if m := regexp.MustCompile(`^jobhub serve --addr (\S+)`).FindStringSubmatch(line); m != nil { // which a reader sees start
			script += fmt.Sprintf("until curl -sf http://%s/readyz >/dev/null; do sleep 0.1; done\n", m[1])
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), trial.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	cmd.Env = append(trial.CleanEnv(), "PATH="+bin+":"+os.Getenv("PATH"), "TOKEN="+token)
	printed, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the last command: %v", err)
	}
	lines := strings.Split(strings.ReplaceAll(string(printed), "\r", ""), "\n")
	for expected := range strings.Lines(want) {
		expected = strings.TrimSuffix(expected, "\n")
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(expected), "…", ".*") + "$")
		at := 0
		for at < len(lines) && !pattern.MatchString(lines[at]) {
			at++
		}
		if at == len(lines) {
			t.Fatalf("%s\ndoes not print\n%s\nafter what was expected before; all of it is\n%s\nthe hub says\n%s", commands, expected, printed, p.Stderr)
		}
		lines = lines[at+1:]
	}
}

// startAPI starts the page's API on a port of this machine.
func startAPI(t *testing.T, program, port string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "api.py")
	trial.Write(t, file, program)
	p := trial.Start(t, exec.Command("python3", file, port))
	for end := time.Now().Add(trial.Patience); ; {
		res, err := http.Get("http://127.0.0.1:" + port + "/up")
		if err == nil {
			res.Body.Close()
			return
		}
		select {
		case <-p.Ended:
			t.Fatalf("the API ended: %s", p.Stderr)
		case <-time.After(20 * time.Millisecond): // another program, which does not say when it is ready
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// startProvider starts an identity provider. It returns the address of its keys, and a token.
func startProvider(t *testing.T) (jwks, token string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"one","alg":"ES256","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
	provider := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(keys)) }))
	claims := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "https://idp.example.com/", "aud": "hub", "sub": "ann", "scope": "orders.read", "exp": time.Now().Add(time.Hour).Unix()})
	claims.Header["kid"] = "one"
	if token, err = claims.SignedString(key); err != nil {
		t.Fatal(err)
	}
	return provider.URL + "/jwks.json", token
}

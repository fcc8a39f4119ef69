package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// brokenStore can read nothing while it is on.
type brokenStore struct {
	jobs.Store
	on atomic.Bool
}

var errBroken = errors.New("the disk is on fire")

func (s *brokenStore) Job(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	if s.on.Load() {
		return jobs.Job{}, jobs.Position{}, errBroken
	}
	return s.Store.Job(ctx, tenant, id)
}

func (s *brokenStore) List(ctx context.Context, f jobs.Filter) (jobs.Page, error) {
	if s.on.Load() {
		return jobs.Page{}, errBroken
	}
	return s.Store.List(ctx, f)
}

// Whatever happens, no log line holds a secret, nor does an answer.
func TestSecretsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	var broken brokenStore
	w := startIn(t, dir, func(p *parts) {
		p.web.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		p.wrap = func(s jobs.Store) jobs.Store { broken.Store = s; return &broken }
	})
	admin := w.key(auth.Admin, "default")
	w.bearer = admin
	id := w.submit(`{"kind":"leased"}`)
	k := w.worker(1, "leased")
	lease, _ := k.lease()
	token, cookie := w.token(`{"jobs":["`+id+`"]}`), w.logIn(admin)
	secrets := []string{admin, token, strings.TrimPrefix(cookie, "jobhub_session="), lease, "jh_wrong", base64.RawURLEncoding.EncodeToString([]byte(admin))}
	all := func() {
		for _, bearer := range []string{admin, token, "jh_wrong", ""} {
			for _, request := range []string{"GET /v1/jobs", "GET /v1/jobs/" + id, "GET /", "GET /jobs/" + id, "GET /v1/workers", "POST /v1/leases/" + lease + "/events", "POST /v1/leases/" + lease + "/snooze", "POST /v1/leases/" + lease + "/complete"} {
				method, path, _ := strings.Cut(request, " ")
				body := ""
				if method == "POST" {
					body = `{"n":1,"type":"log","text":"x"}`
				}
				r := w.with(bearer, method, path, body, "Cookie", cookie, "Sec-WebSocket-Protocol", offered(admin), "Origin", w.url)
				for _, secret := range secrets {
					if instance := `"instance":"` + path + `"`; strings.Contains(strings.ReplaceAll(r.body, instance, ""), secret) && !strings.Contains(path, "/events") {
						t.Errorf("%s answers with a secret: %s", request, r.body)
					}
				}
			}
		}
		w.form("/login", "key=jh_wrong&next=%2F", "").want(401)
	}
	all()
	broken.on.Store(true)
	all()
	w.do("POST", "/v1/leases/"+lease+"/complete", `{"result":1}`).problem(500, "internal")
	w.http.Close() // waits for who writes the log
	text := log.String()
	if !strings.Contains(text, "request failed") || !strings.Contains(text, "/v1/leases/{token}/complete") {
		t.Fatalf("the log lacks something: %s", text)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %s:\n%s", secret, text)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{admin, token, cookie[len("jobhub_session="):]} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds a secret", file)
			}
		}
	}
}

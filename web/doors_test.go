package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// jsonDoors are the calls that take a JSON body, with one that each of them takes. TOKEN
// and JOB, WORKER and KEY are replaced by a lease, a finished job, a worker and a key.
var jsonDoors = []struct {
	method, path, body string
	optional           bool // the body may be left out
}{
	{"POST", "/v1/jobs", `{"kind":"nobody"}`, false},
	{"POST", "/v1/jobs/JOB/retry", `{}`, true},
	{"POST", "/v1/jobs:bulk", `{"action":"cancel","filter":{"tag":"none"},"dry_run":true}`, false},
	{"POST", "/v1/batch", `{"requests":[]}`, false},
	{"POST", "/batch?async=true", `{"requests":[]}`, false},
	{"PUT", "/v1/schedules/s", `{"cron":"* * * * *","paused":true,"job":{"kind":"nobody"}}`, false},
	{"PATCH", "/v1/queues/q", `{}`, true},
	{"POST", "/v1/queues/q/pause", `{"reason":"r"}`, true},
	{"POST", "/v1/workers", `{"kinds":["none"]}`, false},
	{"POST", "/v1/workers/WORKER/lease", `{"wait":"0s","max":1}`, true},
	{"POST", "/v1/workers/WORKER/beat", `{"leases":[]}`, true},
	{"POST", "/v1/keys", `{"role":"viewer"}`, false},
	{"PATCH", "/v1/keys/KEY", `{}`, true},
	{"POST", "/v1/tokens", `{"queues":["q"]}`, false},
	{"POST", "/v1/leases/TOKEN/events", `{"n":1,"type":"log","text":"x"}`, false},
	{"POST", "/v1/leases/TOKEN/release", `{}`, true},
	{"POST", "/v1/leases/TOKEN/fail", `{}`, true},
	{"POST", "/v1/leases/TOKEN/snooze", `{"delay":"1h"}`, false},
	{"POST", "/v1/leases/TOKEN/complete", `{}`, true},
}

// doors gives every door to a test, each with a lease and a worker of its own.
func doors(t *testing.T, test func(w *world, method, path, body string, optional bool)) {
	w := start(t)
	key, text, err := w.keys.Create(auth.Key{Role: auth.Admin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.bearer = text
	w.do("POST", "/v1/jobs", `{"kind":"echo","input":[]}`, "Prefer", "wait=20").want(200)
	done, err := w.store.List(t.Context(), jobs.Filter{Tenant: jobs.DefaultTenant})
	if err != nil || len(done.Jobs) != 1 {
		t.Fatal(done, err)
	}
	for _, door := range jsonDoors {
		t.Run(door.method+door.path, func(t *testing.T) {
			defer func(all testing.TB) { w.t = all }(w.t)
			w.t = t
			k := w.worker(1, "outside")
			path := strings.NewReplacer("JOB", done.Jobs[0].ID.String(), "WORKER", w.worker(9, "plenty").id, "KEY", key.ID).Replace(door.path)
			if strings.HasSuffix(path, "/lease") { // so that no poll is held
				for range 9 {
					w.submit(`{"kind":"plenty"}`)
				}
			}
			if strings.Contains(path, "TOKEN") {
				w.submit(`{"kind":"outside"}`)
				token, _ := k.lease()
				path = strings.Replace(path, "TOKEN", token, 1)
			}
			test(w, door.method, path, door.body, door.optional)
		})
	}
}

// TestDepthAtEveryDoor: JSON of more than 64 levels is refused with 400 before anything else
// is looked at; a worker's result, which is well-formed, with 422.
func TestDepthAtEveryDoor(t *testing.T) {
	doors(t, func(w *world, method, path, body string, _ bool) {
		deep := func(levels int) string { // in all, with the object that is there
			return strings.TrimSuffix(body, "}") + strings.Repeat(",", min(1, len(body)-2)) + `"x":` + nested("[", "]", levels-1) + "}"
		}
		if strings.HasSuffix(path, "/complete") {
			w.do(method, path, `{"result":`+nested("[", "]", 65)+`}`).problem(422, "bad_message")
			w.do(method, path, `{"result":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`).problem(422, "bad_message")
			w.do(method, path, `{"result":`+nested("[", "]", 64)+`}`).want(200)
			return
		}
		for _, levels := range []int{65, 1_000, 9_999, 20_000} {
			p := w.do(method, path, deep(levels)).problem(400, "bad_message")
			if !strings.Contains(p["detail"].(string), "64 levels") {
				w.t.Errorf("%d levels: %v", levels, p["detail"])
			}
		}
		w.do(method, path, deep(64)).problem(422, "bad_message") // an unknown member, like any other
		if r := w.do(method, path, body); r.status >= 300 {
			w.t.Errorf("the door itself: %d %s", r.status, r.body)
		}
	})
}

// TestInputOfTheDepthThatIsTaken: what is accepted at the limit can be shown and run.
func TestInputOfTheDepthThatIsTaken(t *testing.T) {
	f := startForeign(t)
	v := visit{f, t}
	id := v.accepted("POST", "/v1/jobs", `{"kind":"echo","input":`+nested("[", "]", 63)+`,"callbacks":[{"url":"`+f.upstream+`/"}]}`)
	answer := []byte(answered("text/plain", "ok"))
	f.answer.Store(&answer)
	if job := v.ended(id); job.State != jobs.Succeeded {
		t.Fatalf("%s: %+v", job.State, job.Error)
	}
	v.shown(id)
	for _, delivery := range v.tried(id) {
		if job := v.ended(delivery); job.State != jobs.Succeeded {
			t.Errorf("the callback: %s %+v", job.State, job.Error)
		}
		v.shown(delivery)
		v.ended(v.accepted("POST", "/v1/jobs/"+delivery.String()+"/retry", ""))
	}
	v.accepted("POST", "/v1/jobs/"+id.String()+"/retry", "")
	v.everywhere()
}

func TestDepthOverWebSocket(t *testing.T) {
	w := start(t)
	c := w.dial("")
	for _, input := range []string{nested("[", "]", 63), strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)} {
		c.send(`{"type":"submit","id":"m","job":{"kind":"nobody","input":%s}}`, input)
		if m := c.next(); m["type"] != "error" || m["code"] != "bad_message" {
			t.Errorf("%v", m)
		}
	}
	w.nothingStored()
	c.send(`{"type":"submit","id":"m","job":{"kind":"nobody","input":%s}}`, nested("[", "]", 62))
	if m := c.next(); m["type"] != "reply" {
		t.Errorf("%v", m)
	}
}

// TestCharsets: JSON is UTF-8 (RFC 8259, section 8.1), whatever a client calls it.
func TestCharsets(t *testing.T) {
	w := start(t)
	for contentType, status := range map[string]int{"application/json; charset=utf-8": 202, "application/json;charset=UTF-8": 202, `application/json; charset="us-ascii"`: 202,
		"application/json; charset=utf-16": 415, "application/problem+json; charset=iso-8859-1": 415} {
		r := w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Content-Type", contentType)
		if r.status != status || status == 415 && (r.header.Get("Accept") != "application/json" || !strings.Contains(r.body, "UTF-8")) {
			t.Errorf("%s: %d %s %s", contentType, r.status, r.header, r.body)
		}
	}
}

// TestCompressedBodies: an encoded body is refused with what is taken, and not as broken JSON.
func TestCompressedBodies(t *testing.T) {
	doors(t, func(w *world, method, path, body string, _ bool) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, body)
		z.Close()
		for _, coding := range []string{"gzip", "br", "identity, zstd", "x-unheard-of"} {
			r := w.do(method, path, b.String(), "Content-Encoding", coding)
			r.problem(415, "unsupported")
			r.has("Accept-Encoding", "identity")
		}
		if r := w.do(method, path, body, "Content-Encoding", "identity"); r.status >= 300 {
			w.t.Errorf("identity: %d %s", r.status, r.body)
		}
	})
}

// TestEmptyChunkedBodies: a body that may be left out may also be sent as no chunks, with or
// without a type.
func TestEmptyChunkedBodies(t *testing.T) {
	doors(t, func(w *world, method, path, body string, optional bool) {
		for _, contentType := range []string{"", "application/json"} {
			req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, io.MultiReader(strings.NewReader("")))
			if err != nil {
				w.t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+w.bearer)
			if contentType != "" {
				req.Header.Set("Content-Type", contentType)
			}
			res, err := w.client.Do(req)
			if err != nil {
				w.t.Fatal(err)
			}
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if ok := res.StatusCode < 300; ok != optional {
				w.t.Errorf("type %q: %d %s", contentType, res.StatusCode, text)
			}
		}
	})
}

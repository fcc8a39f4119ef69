package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAccepted(t *testing.T) {
	w := start(t)
	w.submit(`{"kind":"nobody"}`)
	r := w.do("POST", "/v1/jobs", `{"kind":"nobody","priority":-7,"tags":["b","a"],"input":{"n":1}}`).want(202)
	job := r.json()
	self := "/v1/jobs/" + job["id"].(string)
	r.has("Location", self+"/response", "Operation-Location", self, "Retry-After", "1", "Vary", "Prefer", "Content-Type", "application/json",
		"Preference-Applied", "", "Idempotency-Replayed", "", "AsyncResult", "")
	for member, want := range map[string]any{"state": "queued", "progress_state": "IN_QUEUE", "queue_position": json.Number("2"), "queue": "default", "tenant": "default",
		"kind": "nobody", "priority": json.Number("-7"), "version": json.Number("1"), "seq": json.Number("2"), "epoch": w.hub.Epoch(), "attempt": json.Number("0"),
		"max_attempts": json.Number("5"), "reason": "", "result": nil, "error": nil, "progress": nil, "cancel_requested": false} {
		if job[member] != want {
			t.Errorf("%s: %v, want %v", member, job[member], want)
		}
	}
	if fmt.Sprint(job["tags"], job["input"]) != "[b a] map[n:1]" {
		t.Errorf("tags and input: %v %v", job["tags"], job["input"])
	}
	links := job["links"].(map[string]any)
	for name, want := range map[string]string{"self": self, "response": self + "/response", "cancel": self + "/cancel", "events": "/v1/ws?job=" + job["id"].(string), "html": "/jobs/" + job["id"].(string)} {
		if links[name] != want {
			t.Errorf("link %s: %v, want %s", name, links[name], want)
		}
	}
	doc := w.do("GET", self, "").want(200).has("Retry-After", "1", "Vary", "Prefer").json()
	delete(job, "progress_state")
	delete(job, "queue_position")
	if fmt.Sprint(doc) != fmt.Sprint(job) {
		t.Errorf("GET answers\n%v, the 202 had\n%v", doc, job)
	}
	scheduled := w.do("POST", "/v1/jobs", `{"kind":"nobody","delay":"1h"}`).want(202).json()
	if scheduled["state"] != "scheduled" || scheduled["scheduled_at"] == nil || scheduled["queue_position"] != json.Number("0") {
		t.Errorf("with a delay: %v", scheduled)
	}
}

func TestHandlersMayRefuse(t *testing.T) {
	w := start(t)
	w.do("POST", "/v1/jobs", `{"kind":"picky","input":"no"}`, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "blocked_address")
	w.nothingStored()
	w.submit(`{"kind":"picky","input":"yes"}`, "Idempotency-Key", "k") // the refusal did not take the key
}

func TestSubmitAndWait(t *testing.T) {
	w := start(t)
	r := w.do("POST", "/v1/jobs", `{"kind":"echo","input":[1.0]}`, "Prefer", "respond-async, wait=20").want(200)
	self := r.header.Get("Operation-Location")
	r.has("AsyncResult", "200", "Preference-Applied", "wait=20", "Content-Type", "application/json", "Content-Security-Policy", "sandbox", "Location", "")
	if r.body != "[1.0]\n" || !strings.HasPrefix(self, "/v1/jobs/") {
		t.Errorf("%q, operation at %q", r.body, self)
	}
	if again := w.do("GET", self+"/response", "").want(200); again.body != r.body {
		t.Errorf("the polling URL says %q", again.body)
	}
	for prefer, applied := range map[string]string{"wait=0": "wait=0", `wait="0"`: "wait=0", "WAIT = 0; x": "wait=0"} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Prefer", prefer).want(202).has("Preference-Applied", applied, "AsyncResult", "", "Retry-After", "1")
	}
	w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Prefer", "respond-async").want(202).has("Preference-Applied", "")
	head := w.store.Head().Seq
	for _, prefer := range []string{"wait", "wait=", "wait=-1", "wait=soon", "wait=1.5"} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Prefer", prefer).problem(http.StatusBadRequest, "bad_message")
	}
	if w.store.Head().Seq != head {
		t.Error("a refused request left a job")
	}
}

// A request that waits is answered as soon as the job ends, however long it may wait.
func TestWaitEndsWithTheJob(t *testing.T) {
	w := start(t)
	done := make(chan reply)
	go func() { done <- w.do("POST", "/v1/jobs", `{"kind":"script","input":"a"}`, "Prefer", "wait=60") }()
	w.script("a").succeed(`"fine"`)
	r := <-done
	if r.want(200); r.body != "\"fine\"\n" {
		t.Errorf("%q", r.body)
	}
	go func() {
		done <- w.do("POST", "/v1/jobs", `{"kind":"script","input":"b"}`, "Prefer", "wait=60", "Idempotency-Key", "k")
	}()
	w.script("b").output("x") // it runs
	w.Drain()
	if r := <-done; r.want(202).header.Get("AsyncResult") != "" {
		t.Error("an unfinished job has an AsyncResult")
	}
}

func TestLongPolling(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"script","input":"a"}`)
	w.await(id, "running")
	self := "/v1/jobs/" + id
	done := make(chan reply)
	for _, query := range []string{"", "?version=2"} {
		go func() { done <- w.do("GET", self+query, "", "Prefer", "wait=60") }()
	}
	w.do("GET", self+"?version=1", "", "Prefer", "wait=60").want(200).has("Preference-Applied", "wait=50", "Retry-After", "1") // newer than 1 already
	w.script("a").progress(50)                                                                                                 // no change of the version: it still waits
	w.script("a").succeed("1")
	for range 2 {
		if r := <-done; r.want(200).text("state") != "succeeded" || r.header.Get("Retry-After") != "" {
			t.Errorf("a long poll ended with %v", r.body)
		}
	}
	w.do("GET", self, "", "Prefer", "wait=60").want(200) // final: nothing more to wait for
	w.do("GET", self+"?version=99", "", "Prefer", "wait=60").want(200)
	w.do("GET", self+"?version=x", "", "Prefer", "wait=1").problem(http.StatusBadRequest, "bad_message")
	w.do("GET", self, "", "Prefer", "wait=x").problem(http.StatusBadRequest, "bad_message")
	w.do("GET", "/v1/jobs/"+unknownID, "", "Prefer", "wait=60").problem(http.StatusNotFound, "not_found")
}

func TestSubmissionsThatAreRefused(t *testing.T) {
	w := start(t)
	long := strings.Repeat("a", 65)
	for _, test := range []struct {
		name, body string
		status     int
		pointer    string
	}{
		{"empty", ` `, 400, ""},
		{"cut off", `{"kind":"a"`, 400, ""},
		{"not JSON", `kind=a`, 400, ""},
		{"trailing data", `{"kind":"a"}{}`, 400, ""},
		{"trailing comma", `{"kind":"a",}`, 400, ""},
		{"comment", `{"kind":"a"/**/}`, 400, ""},
		{"NaN", `{"kind":"a","priority":NaN}`, 400, ""},
		{"infinite", `{"kind":"a","priority":Infinity}`, 400, ""},
		{"leading zero", `{"kind":"a","priority":01}`, 400, ""},
		{"member twice", `{"kind":"a","kind":"a"}`, 400, "/kind"},
		{"queue twice", `{"queue":"a","kind":"a","queue":"b"}`, 400, "/queue"},
		{"member twice, once escaped", `{"kind":"a","\u006bind":"b"}`, 400, "/kind"},
		{"member of the input twice", `{"kind":"a","input":{"b":[{"c":1,"c":1}]}}`, 400, "/input/b/0/c"},
		{"invalid UTF-8", "{\"kind\":\"a\",\"tags\":[\"\xff\"]}", 400, "/tags/0"},
		{"invalid UTF-8 in the input", "{\"kind\":\"a\",\"input\":\"\xc3\x28\"}", 400, "/input"},
		{"half a surrogate", `{"kind":"a","input":"\ud800"}`, 400, "/input"},
		{"nested too deep", `{"kind":"a","input":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, ""},

		{"array", `[]`, 422, ""},
		{"null", `null`, 422, "/kind"},
		{"no kind", `{}`, 422, "/kind"},
		{"kind null", `{"kind":null}`, 422, "/kind"},
		{"kind empty", `{"kind":""}`, 422, "/kind"},
		{"kind upper case", `{"kind":"A"}`, 422, "/kind"},
		{"kind with a space", `{"kind":"a b"}`, 422, "/kind"},
		{"kind with a line", `{"kind":"a\n"}`, 422, "/kind"},
		{"kind with NUL", `{"kind":"a\u0000"}`, 422, "/kind"},
		{"kind too long", `{"kind":"` + long + `"}`, 422, "/kind"},
		{"kind a number", `{"kind":5}`, 422, "/kind"},
		{"queue path", `{"kind":"a","queue":"../x"}`, 422, "/queue"},
		{"queue empty", `{"kind":"a","queue":""}`, 422, "/queue"},
		{"queue too long", `{"kind":"a","queue":"` + long + `"}`, 422, "/queue"},
		{"unknown member", `{"kind":"a","colour":"red"}`, 422, "/colour"},
		{"the former name of fair_key", `{"kind":"a","key":"customer"}`, 422, "/key"},
		{"case variant", `{"kind":"a","Queue":"b"}`, 422, "/Queue"},
		{"case variant of kind", `{"KIND":"a"}`, 422, "/KIND"},
		{"unknown member of retry", `{"kind":"a","retry":{"attempts":3}}`, 422, "/retry/attempts"},
		{"priority as text", `{"kind":"a","priority":"5"}`, 422, "/priority"},
		{"priority broken", `{"kind":"a","priority":1.5}`, 422, "/priority"},
		{"priority 1e309", `{"kind":"a","priority":1e309}`, 422, "/priority"},
		{"priority 2^63", `{"kind":"a","priority":9223372036854775808}`, 422, "/priority"},
		{"priority 10^9", `{"kind":"a","priority":1000000000}`, 422, "/priority"},
		{"priority 101", `{"kind":"a","priority":101}`, 422, "/priority"},
		{"priority -101", `{"kind":"a","priority":-101}`, 422, "/priority"},
		{"attempts 0", `{"kind":"a","retry":{"max_attempts":0}}`, 422, "/retry/max_attempts"},
		{"attempts -1", `{"kind":"a","retry":{"max_attempts":-1}}`, 422, "/retry/max_attempts"},
		{"attempts 2^53+1", `{"kind":"a","retry":{"max_attempts":9007199254740993}}`, 422, "/retry/max_attempts"},
		{"backoff unknown", `{"kind":"a","retry":{"backoff":"none"}}`, 422, "/retry/backoff"},
		{"backoff negative", `{"kind":"a","retry":{"initial":"-1s"}}`, 422, "/retry/initial"},
		{"backoff shrinks", `{"kind":"a","retry":{"initial":"1h","max":"1s"}}`, 422, "/retry/max"},
		{"delay as number", `{"kind":"a","delay":5}`, 422, "/delay"},
		{"delay without unit", `{"kind":"a","delay":"5"}`, 422, "/delay"},
		{"delay negative", `{"kind":"a","delay":"-1s"}`, 422, "/delay"},
		{"delay of 10^12 s", `{"kind":"a","delay":"1000000000000s"}`, 422, "/delay"},
		{"delay of 11 years", `{"kind":"a","delay":"96426h"}`, 422, "/delay"},
		{"run_at not a time", `{"kind":"a","run_at":"tomorrow"}`, 422, "/run_at"},
		{"run_at without zone", `{"kind":"a","run_at":"2026-01-02T15:04:05"}`, 422, "/run_at"},
		{"run_at far away", `{"kind":"a","run_at":"9999-01-01T00:00:00Z"}`, 422, "/run_at"},
		{"run_at and delay", `{"kind":"a","run_at":"2026-01-02T15:04:05Z","delay":"1s"}`, 422, "/delay"},
		{"timeout 0", `{"kind":"a","timeout":"0s"}`, 422, "/timeout"},
		{"timeout too long", `{"kind":"a","timeout":"25h"}`, 422, "/timeout"},
		{"tag empty", `{"kind":"a","tags":[""]}`, 422, "/tags/0"},
		{"tag NUL", `{"kind":"a","tags":["ok","\u0000"]}`, 422, "/tags/1"},
		{"tag CRLF", `{"kind":"a","tags":["a\r\nb"]}`, 422, "/tags/0"},
		{"tag escape", `{"kind":"a","tags":["\u001b[31m"]}`, 422, "/tags/0"},
		{"tag C1 control", `{"kind":"a","tags":["\u0085"]}`, 422, "/tags/0"},
		{"tag bidi override", `{"kind":"a","tags":["\u202egpj.exe"]}`, 422, "/tags/0"},
		{"tag bidi isolate", `{"kind":"a","tags":["\u2067"]}`, 422, "/tags/0"},
		{"tag too long", `{"kind":"a","tags":["` + strings.Repeat("é", 65) + `"]}`, 422, "/tags/0"},
		{"tag of combining marks", `{"kind":"a","tags":["a` + strings.Repeat("\u0301", 1<<19) + `"]}`, 422, "/tags/0"},
		{"tags too many", `{"kind":"a","tags":[` + strings.Repeat(`"x",`, 32) + `"x"]}`, 422, "/tags"},
		{"tags as text", `{"kind":"a","tags":"x"}`, 422, "/tags"},
		{"tag null", `{"kind":"a","tags":[null]}`, 422, "/tags/0"},
		{"ordering key NUL", `{"kind":"a","ordering_key":"\u0000"}`, 422, "/ordering_key"},
		{"ordering key too long", `{"kind":"a","ordering_key":"` + long + long + `"}`, 422, "/ordering_key"},
		{"ordering key a number", `{"kind":"a","ordering_key":7}`, 422, "/ordering_key"},
		{"fair_key CRLF", `{"kind":"a","fair_key":"a\r\nb"}`, 422, "/fair_key"},
		{"fair_key too long", `{"kind":"a","fair_key":"` + long + long + `"}`, 422, "/fair_key"},
		{"rerun unknown", `{"kind":"a","rerun":"sometimes"}`, 422, "/rerun"},
		{"rerun as truth", `{"kind":"a","rerun":false}`, 422, "/rerun"},
		{"after not a list", `{"kind":"a","after":"` + unknownID + `"}`, 422, "/after"},
		{"after not an id", `{"kind":"a","after":["` + unknownID + `","x"]}`, 422, "/after/1"},
		{"after another form of id", `{"kind":"a","after":["urn:uuid:` + unknownID + `"]}`, 422, "/after/0"},
		{"after null", `{"kind":"a","after":[null]}`, 422, "/after/0"},
		{"after too many", `{"kind":"a","after":[` + strings.Repeat(`"`+unknownID+`",`, 1000) + `"` + unknownID + `"]}`, 422, "/after"},
		{"retention 0", `{"kind":"a","retention":"0s"}`, 422, "/retention"},
		{"retention negative", `{"kind":"a","retention":"-1h"}`, 422, "/retention"},
		{"retention of 11 years", `{"kind":"a","retention":"96426h"}`, 422, "/retention"},
		{"retention as number", `{"kind":"a","retention":7}`, 422, "/retention"},
		{"queue timeout 0", `{"kind":"a","queue_timeout":"0s"}`, 422, "/queue_timeout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.do("POST", "/v1/jobs", test.body, "Idempotency-Key", "k")
			r.t = t
			p := r.problem(test.status, "bad_message")
			if pointers := fmt.Sprint(p["errors"]); test.pointer != "" && !strings.Contains(pointers, "pointer:"+test.pointer+"]") {
				t.Errorf("errors %s do not name %s", pointers, test.pointer)
			}
			w.nothingStored()
		})
	}
}

// A hub that could not deliver callbacks does not accept them.
func TestCallbacksWithoutAHandler(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.mute = true })
	w.do("POST", "/v1/jobs", `{"kind":"a","callbacks":[{"url":"https://example.com"}]}`).problem(http.StatusUnprocessableEntity, "unsupported")
	w.nothingStored()
}

func TestBodies(t *testing.T) {
	w := start(t)
	const most = 2 << 20
	exact := func(size int) string {
		return `{"kind":"nobody","input":"` + strings.Repeat("x", size-len(`{"kind":"nobody","input":""}`)) + `"}`
	}
	w.do("POST", "/v1/jobs", exact(most+1)).problem(http.StatusRequestEntityTooLarge, "too_large")
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/json/x", ";"} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Content-Type", media).problem(http.StatusUnsupportedMediaType, "unsupported")
	}
	w.nothingStored()
	id := w.submit(exact(most))
	if input := w.do("GET", "/v1/jobs/"+id, "").want(200).text("input"); len(input) != most-len(`{"kind":"nobody","input":""}`) {
		t.Errorf("the largest input came back with %d bytes", len(input))
	}
	for _, media := range []string{"application/json; charset=utf-8", "APPLICATION/JSON", "application/cloudevents+json"} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Content-Type", media).want(202)
	}
}

func TestWhatIsAllowed(t *testing.T) {
	w := start(t)
	for _, body := range []string{
		`{"kind":"` + strings.Repeat("a", 64) + `","queue":"._-09"}`,
		`{"kind":"a","priority":100,"tags":["a","a","😀","a b","ü"]}`,
		`{"kind":"a","priority":-100,"tags":[],"input":null}`,
		`{"kind":"a","tags":null,"retry":null,"queue":null,"delay":null,"timeout":null}`,
		`{"kind":"a","run_at":"1990-01-02T15:04:05+07:00"}`,
		"\n\t {\"kind\":\"a\"}\r\n",
	} {
		w.do("POST", "/v1/jobs", body).want(202)
	}
	jobs := w.do("GET", "/v1/jobs?tag=a", "").json()["jobs"].([]any)
	if len(jobs) != 1 || !slices.Equal(jobs[0].(map[string]any)["tags"].([]any), []any{"a", "a", "😀", "a b", "ü"}) {
		t.Errorf("by tag: %v", jobs)
	}
}

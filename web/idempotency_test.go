package web_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestIdempotencyKey(t *testing.T) {
	w := start(t)
	const body = `{"kind":"nobody","input":"a"}`
	first := w.do("POST", "/v1/jobs", body, "Idempotency-Key", "key-1").want(202).has("Idempotency-Replayed", "").text("id")
	for _, key := range []string{`key-1`, `"key-1"`, ` "key-1" `} {
		r := w.do("POST", "/v1/jobs", body, "Idempotency-Key", key).want(202).has("Idempotency-Replayed", "true", "Location", "/v1/jobs/"+first+"/response")
		if r.text("id") != first {
			t.Errorf("key %s made another job", key)
		}
	}
	for _, other := range []string{`{"kind":"nobody","input":"b"}`, `{"kind":"nobody", "input":"a"}`} {
		w.do("POST", "/v1/jobs", other, "Idempotency-Key", "key-1").problem(http.StatusUnprocessableEntity, "conflict")
	}
	if second := w.submit(body, "Idempotency-Key", "key-2"); second == first {
		t.Error("two keys, one job")
	}
	c := w.dial("")
	c.send(`{"type":"submit","id":"m","key":"key-1","job":%s}`, body)
	if data := c.until("reply")["data"].(map[string]any); data["id"] != first {
		t.Errorf("over WebSocket the same key and body is job %v", data["id"])
	}
	if head := len(w.log()); head != 2 {
		t.Errorf("the log has %d events", head)
	}
}

func TestReplayIsAsOfNow(t *testing.T) {
	w := start(t)
	const body = `{"kind":"echo","input":7}`
	id := w.submit(body, "Idempotency-Key", "k")
	w.await(id, "succeeded")
	r := w.do("POST", "/v1/jobs", body, "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "true")
	if r.text("state") != "succeeded" || r.text("seq") != "3" {
		t.Errorf("replayed: %s", r.body)
	}
	r = w.do("POST", "/v1/jobs", body, "Idempotency-Key", "k", "Prefer", "wait=1").want(200).has("Idempotency-Replayed", "true", "AsyncResult", "200")
	if r.body != "7\n" {
		t.Errorf("with wait: %q", r.body)
	}
}

func TestMalformedIdempotencyKeys(t *testing.T) {
	w := start(t)
	for _, key := range []string{"", `""`, `"a`, `"a"b`, `"a\x"`, `"a\`, "ü", "a\tb", strings.Repeat("k", 256), `"` + strings.Repeat("k", 256) + `"`} {
		w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Idempotency-Key", key).problem(http.StatusBadRequest, "bad_message")
	}
	w.nothingStored()
	w.submit(`{"kind":"nobody"}`, "Idempotency-Key", strings.Repeat("k", 255))
	one := w.submit(`{"kind":"nobody"}`, "Idempotency-Key", `"a\"b\\"`)
	if two := w.submit(`{"kind":"nobody"}`, "Idempotency-Key", `a"b\`); two != one {
		t.Error("an escaped and a bare key of the same characters are two")
	}
}

func TestRefusalsAreNotRemembered(t *testing.T) {
	w := start(t)
	w.do("POST", "/v1/jobs", `{"kind":"NO"}`, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "bad_message")
	w.do("POST", "/v1/jobs", `{`, "Idempotency-Key", "k").problem(http.StatusBadRequest, "bad_message")
	w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "")
}

func TestTwinsBecomeOneJob(t *testing.T) {
	w := start(t)
	ids := make([]string, 20)
	replayed := make([]string, len(ids))
	var twins sync.WaitGroup
	for i := range ids {
		twins.Go(func() {
			r := w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Idempotency-Key", "twin")
			ids[i], replayed[i] = r.want(202).text("id"), r.header.Get("Idempotency-Replayed")
		})
	}
	twins.Wait()
	firsts := 0
	for i, id := range ids {
		if id != ids[0] {
			t.Errorf("twin %d became job %s, another %s", i, id, ids[0])
		}
		if replayed[i] == "" {
			firsts++
		}
	}
	if firsts != 1 || len(w.log()) != 1 {
		t.Errorf("%d answers say that they made the job, the log has %d events", firsts, len(w.log()))
	}
}

func TestKeySurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	id := w.submit(`{"kind":"nobody"}`, "Idempotency-Key", "k")
	w.close()
	w = startIn(t, dir, nil)
	r := w.do("POST", "/v1/jobs", `{"kind":"nobody"}`, "Idempotency-Key", `"k"`).want(202).has("Idempotency-Replayed", "true")
	if r.text("id") != id {
		t.Errorf("after reopening the idempotency key gives job %s, before %s", r.text("id"), id)
	}
	w.do("POST", "/v1/jobs", `{"kind":"other"}`, "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "conflict")
}

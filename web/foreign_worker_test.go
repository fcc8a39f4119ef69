package web_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jobhub/jobs"
)

// workerBodies are what workers send, by its call.
var workerBodies = map[string][]string{
	"events": {
		`{"n":1,"type":"progress","percent":1e999999,"message":"m"}`, `{"n":1,"type":"progress","percent":50,"message":"a\u0000\ufffe","data":{"a":[1.0]}}`,
		`{"n":1,"type":"progress","data":{"a":1,"a":2}}`, `{"n":1,"type":"progress","data":"\ud800"}`, "{\"n\":1,\"type\":\"progress\",\"message\":\"\xff\"}",
		`{"n":1,"type":"progress","data":` + nested("[", "]", 62) + `}`, `{"n":1,"type":"progress","data":` + nested("[", "]", 63) + `}`, `{"n":1,"type":"progress","data":` + nested("[", "]", 64) + `}`,
		`{"n":1,"type":"checkpoint","data":` + nested(`{"a":`, "}", 63) + `}`, `{"n":1,"type":"checkpoint","data":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
		"{\"n\":1,\"type\":\"checkpoint\",\"data\":[\r1\r,\t2]}", `{"n":1,"type":"checkpoint","data":{"\udc00":1}}`,
		`{"n":1,"type":"output","stream":"a\u0000\r\n\ud83d\ude00<b>","text":"x\u0000\r\n"}` + "\n" + `{"n":2,"type":"output","stream":"\"}","base64":"/////w=="}`,
		`{"n":1,"type":"output","stream":"\ud800","text":"x"}`, `{"n":1,"type":"log","text":"\udfff"}`, `{"n":1,"type":"output","base64":"4oI="}` + "\n" + `{"n":2,"type":"output","base64":"rA=="}`,
		"\xff\xfe{\x00", "\ufeff{}", "{\"n\":1}\r{\"n\":2}", "", "null", `{"n":1e1,"type":"log","text":"x"}`,
	},
	"complete": {
		`{"result":{"a":1,"a":2}}`, `{"result":"\ud800"}`, "{\"result\":\"caf\xe9\"}", `{"result":` + nested("[", "]", 64) + `}`, `{"result":` + nested(`{"a":`, "}", 65) + `}`,
		`{"result":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, "{\"result\":{\r\n\"a\" : [1e999999,\r\n\"\u2028\"]}}", `{"result":1,"result":2}`, `{"result":{"\u0061":1,"a":2}}`,
		`{"result":null}`, "\x00", `{"result":"\u0000"}`, `{"result":{"status":"\n","title":"x"}}`, strings.Repeat("[", 100),
	},
	"fail": {
		`{"error":{"title":"t\u0000","detail":"\ud83d\ude00","status":1e99}}`, "{\"error\":{\"title\":\"\xff\"}}", `{"error":{"title":"\ud800"}}`, `{"error":{"title":"a","title":"b"}}`,
		`{"error":{"type":"\u0000","code":"<script>\r\n","status":-5,"errors":[{"pointer":"/\u0000","detail":"` + strings.Repeat("é", 5000) + `"}]},"retry":"never"}`,
		`{"error":{"title":"t","x":` + nested("[", "]", 61) + `},"retry":"never"}`, `{"error":{"x":` + nested("[", "]", 5_000) + `}}`, `{"error":{"status":9999999999}}`, `{"error":[]}`, `{"retry":"never"}`,
	},
	"release": {
		`{"checkpoint":{"a":1,"a":2}}`, `{"checkpoint":` + nested("[", "]", 63) + `}`, `{"checkpoint":` + nested("[", "]", 64) + `}`, "{\"checkpoint\":\"\xe9\"}", `{"checkpoint":"\udead"}`, "{\"checkpoint\":[\r\n1]}", `{}`,
	},
}

// worked sends a body to a call about a lease, and looks at all that shows its job, which
// then ends.
func (v visit) worked(worker, call string, body []byte) {
	v.t.Helper()
	id := v.accepted("POST", "/v1/jobs", `{"kind":"outside","retry":{"max_attempts":1}}`)
	lease := func() string {
		doc := v.json("POST", "/v1/workers/"+worker+"/lease", `{"wait":"20s"}`, 200)
		_, rest, _ := bytes.Cut(doc, []byte(`"lease":"`))
		token, _, _ := strings.Cut(string(rest), `"`)
		if !strings.HasPrefix(token, id.String()) {
			v.t.Fatalf("leased: %s", doc)
		}
		return token
	}
	token := lease()
	status, _, answer := v.send("POST", "/v1/leases/"+token+"/"+call, string(body))
	v.strictly(call, answer)
	if status != http.StatusOK && status != 400 && status != 413 && status != 422 {
		v.t.Fatalf("%s of %.300q: %d %s", call, body, status, answer)
	}
	v.shown(id)
	job, _, err := v.store.Job(v.t.Context(), jobs.DefaultTenant, id)
	if err != nil {
		v.t.Fatal(err)
	}
	if job.State == jobs.Queued { // released: the next lease brings the checkpoint
		token = lease()
		job.State = jobs.Running
	}
	switch job.State {
	case jobs.Running:
		v.json("POST", "/v1/leases/"+token+"/complete", `{"result":[]}`, 200)
	case jobs.Retrying:
		v.json("POST", "/v1/jobs/"+id.String()+"/cancel", "", 200)
	}
	if job := v.ended(id); job.State == jobs.Failed {
		v.send("GET", "/v1/jobs/"+id.String()+"/response", "")
	}
	v.shown(id)
}

// FuzzForeignWorkers: nothing that a worker sends ends the hub or breaks what it shows.
func FuzzForeignWorkers(f *testing.F) {
	hub := startForeign(f)
	worker := hub.worker(1000, "outside").id
	calls := slices.Sorted(maps.Keys(workerBodies))
	for i, call := range calls {
		for _, body := range workerBodies[call] {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		visit{hub, t}.worked(worker, calls[int(n)%len(calls)], body)
	})
	visit{hub, f}.everywhere()
}

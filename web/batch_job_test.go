package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jobhub/jobs"
)

// partial waits until the result of a batch job has the statuses; null where there is none.
func (w *world) partial(id, want string) map[string]any {
	w.t.Helper()
	for {
		head := w.store.Head().Seq // before the look, so that no later change is missed
		job := w.do("GET", "/v1/jobs/"+id, "").want(200).json()
		var words []string
		if result, there := job["result"].(map[string]any); there {
			for _, m := range result["responses"].([]any) {
				if m == nil {
					words = append(words, "null")
				} else {
					words = append(words, fmt.Sprint(m.(map[string]any)["status"]))
				}
			}
		}
		if strings.Join(words, " ") == want {
			return job
		}
		if job["state"] == "succeeded" || job["state"] == "failed" {
			w.t.Fatalf("the batch ended with %v, want %s", words, want)
		}
		if err := w.store.Wait(w.t.Context(), head); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAsyncBatch(t *testing.T) {
	w := start(t)
	slow := w.submit(`{"kind":"script","input":"slow"}`)
	body := `{"requests":[{"id":"a","method":"GET","path":"/healthz"},{"id":"b","method":"GET","path":"/v1/jobs/` + slow + `?version=1000","headers":{"Prefer":"wait=60"}},
		{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","input":{"n":1.50}}},{"method":"GET","path":"/healthz","depends_on":["b"]}]}`
	r := w.do("POST", "/v1/batch", body, "Prefer", "respond-async").want(http.StatusAccepted)
	job := r.json()
	id := job["id"].(string)
	r.has("Location", "/v1/jobs/"+id+"/response", "Operation-Location", "/v1/jobs/"+id, "Preference-Applied", "respond-async", "Vary", "Prefer", "Retry-After", "1")
	if job["kind"] != "batch" || job["progress_state"] != "IN_QUEUE" || job["state"] != "queued" {
		t.Errorf("accepted: %v", job)
	}
	now := w.partial(id, "200 null 202 null")
	if p := now["progress"].(map[string]any); now["state"] != "running" || p["percent"] != json.Number("50") || p["message"] != "2 of 4" {
		t.Errorf("half-way: %v %v", now["state"], p)
	}
	w.do("GET", "/v1/jobs/"+id+"/response", "").want(http.StatusAccepted)
	w.script("slow").succeed(`1`)
	w.await(id, "succeeded")
	list := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).has("AsyncResult", "200").responses()
	if got := statuses(list); got != "200 200 202 200" || list[1]["id"] != "b" || list[3]["index"] != json.Number("3") {
		t.Errorf("at the end: %s", got)
	}
	progress := 0
	for _, e := range w.log() {
		if e.Job.String() == id && e.Type == jobs.JobProgress && strings.Contains(string(e.Data), " of 4") {
			progress++
		}
	}
	if progress == 0 {
		t.Error("no progress in the log")
	}
	// The query asks for the same, and wait is honoured, too.
	done := w.do("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/healthz"}]}`, "Prefer", "wait=20").want(200)
	if done.has("AsyncResult", "200", "Preference-Applied", "respond-async, wait=20"); statuses(done.responses()) != "200" {
		t.Errorf("waited for: %s", done.body)
	}
	if list := w.do("POST", "/batch", `{"requests":[]}`, "Prefer", "respond-async, wait=20").want(200).responses(); len(list) != 0 {
		t.Errorf("an empty batch: %v", list)
	}
	// A batch is a job like any other.
	direct := w.submit(`{"kind":"batch","input":{"requests":[{"method":"GET","path":"/healthz"}]}}`)
	w.await(direct, "succeeded")
	w.do("POST", "/v1/jobs", `{"kind":"batch","input":{"requests":[{"id":"a"},{"id":"a"}]}}`).problem(400, "bad_message")
}

func TestAsyncBatchIdempotency(t *testing.T) {
	w := start(t)
	body := `{"requests":[{"method":"GET","path":"/healthz"}]}`
	first := w.do("POST", "/batch?async=true", body, "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "")
	again := w.do("POST", "/batch?async=true", body, "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "true")
	if first.text("id") != again.text("id") {
		t.Errorf("repeated: %s and %s", first.text("id"), again.text("id"))
	}
	w.do("POST", "/batch?async=true", `{"requests":[]}`, "Idempotency-Key", "k").problem(422, "conflict")
}

func TestAsyncBatchCancelled(t *testing.T) {
	w := start(t)
	slow := w.submit(`{"kind":"script","input":"slow"}`)
	id := w.do("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/healthz"},{"method":"GET","path":"/v1/jobs/`+slow+`?version=1000","headers":{"Prefer":"wait=60"}}]}`).want(202).text("id")
	w.partial(id, "200 null")
	w.do("DELETE", "/v1/jobs/"+id, "").want(200)
	w.await(id, "cancelled")
	w.partial(id, "200 null")
	w.do("GET", "/v1/jobs/"+id+"/response", "").problem(409, "cancelled")
	w.script("slow").succeed(`1`)
}

// TestAsyncBatchSurvivesARestart: what was answered is not asked again, what was under way
// is, and makes no second job.
func TestAsyncBatchSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	large := strings.Repeat("x", 3000)
	slow := w.submit(`{"kind":"nobody","input":"` + large + `"}`)
	id := w.do("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/v1/jobs/`+slow+`"},{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["first"]}},
		{"id":"held","method":"POST","path":"/v1/jobs","headers":{"Prefer":"wait=60"},"body":{"kind":"nobody","tags":["held"]}},
		{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["after"]},"depends_on":["held"]}]}`).want(202).text("id")
	before := w.partial(id, "200 202 null null")
	w.close()
	w = startIn(t, dir, nil)
	for deadline := w.store.Head().Seq; ; deadline = w.store.Head().Seq { // the job that is held has to be there in both lives
		page, err := w.store.List(t.Context(), jobs.Filter{Tag: "held"})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Jobs) > 0 {
			w.do("DELETE", "/v1/jobs/"+page.Jobs[0].ID.String(), "").want(200)
			break
		}
		if err := w.store.Wait(t.Context(), deadline); err != nil {
			t.Fatal(err)
		}
	}
	after := w.await(id, "succeeded")
	if after["attempt"] != json.Number("1") {
		t.Errorf("attempts: %v", after["attempt"])
	}
	list := after["result"].(map[string]any)["responses"].([]any)
	old := before["result"].(map[string]any)["responses"].([]any)
	for i := range 2 {
		if fmt.Sprint(list[i]) != fmt.Sprint(old[i]) {
			t.Errorf("answer %d was %v and is %v", i, old[i], list[i])
		}
	}
	for i, want := range []string{"200", "202", "409", "424"} {
		if got := fmt.Sprint(list[i].(map[string]any)["status"]); got != want {
			t.Errorf("item %d: %s, want %s", i, got, want)
		}
	}
	for tag, want := range map[string]int{"first": 1, "held": 1, "after": 0} {
		page, err := w.store.List(t.Context(), jobs.Filter{Tag: tag})
		if err != nil || len(page.Jobs) != want {
			t.Errorf("%s: %d jobs, want %d, %v", tag, len(page.Jobs), want, err)
		}
	}
}

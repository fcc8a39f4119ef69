package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"jobhub/jobs"
)

// TestRetryHasOneAnswer: the second press leads to the retry of the first, however it comes.
func TestRetryHasOneAnswer(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	path := "/v1/jobs/" + id + "/retry"
	w.do("POST", path, "").problem(http.StatusConflict, "conflict")
	w.do("DELETE", "/v1/jobs/"+id, "").want(200)
	var mu sync.Mutex
	answers := map[string]int{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			r := w.do("POST", path, "")
			mu.Lock()
			answers[fmt.Sprint(r.status, " ", r.header.Get("Jobhub-Existing"))]++
			mu.Unlock()
		})
	}
	all.Wait()
	if answers["202 "] != 1 || answers["200 true"] != 19 {
		t.Fatalf("answers %v", answers)
	}
	r := w.do("POST", path, "").want(200)
	retry := r.text("id")
	r.has("Jobhub-Existing", "true", "Operation-Location", "/v1/jobs/"+retry, "Location", "/v1/jobs/"+retry+"/response", "Retry-After", "1")
	if old := w.do("GET", "/v1/jobs/"+id, "").json(); old["retried_by"] != retry || old["state"] != "cancelled" || r.json()["retry_of"] != id {
		t.Errorf("the old one: %v", old)
	}
	// The button leads there, too; by the API another one can be made.
	w.do("POST", "/jobs/"+id+"/retry", "", "Content-Type", "application/x-www-form-urlencoded").want(303).has("Location", "/jobs/"+retry)
	if again := w.do("POST", path, `{"again":true}`).want(202).text("id"); again == retry {
		t.Error("it was not made again")
	}
	w.do("POST", path, `{"input":{"page":2}}`).want(202)
	w.do("POST", path, `{"input":{"page":2}}`).want(200)
	w.do("POST", path, `{"again":1}`).problem(422, "bad_message")
	// In a batch each item has its own answer.
	list := w.batch(`{"method":"POST","path":"` + path + `"},{"method":"POST","path":"` + path + `"}`)
	if got := statuses(list); got != "200 200" {
		t.Errorf("in a batch: %s", got)
	}
}

// TestChangeOverHTTP: what PATCH takes, and what it says of the rest.
func TestChangeOverHTTP(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody","tags":["a"]}`)
	path := "/v1/jobs/" + id
	job := w.do("PATCH", path, `{"priority":7,"queue":"other","tags":["b"],"delay":"1h"}`).want(200).json()
	if job["state"] != "scheduled" || job["queue"] != "other" || fmt.Sprint(job["priority"], job["tags"]) != "7[b]" {
		t.Errorf("changed: %v", job)
	}
	w.do("POST", path+"/run", "").want(200)
	if job = w.do("POST", path+"/run", "").want(200).json(); job["state"] != "queued" {
		t.Errorf("run now, twice: %v", job)
	}
	for body, pointer := range map[string]string{
		`{"kind":"k"}`: "/kind", `{"priority":101}`: "/priority", `{"queue":"A"}`: "/queue", `{"tags":[""]}`: "/tags/0", `{"run_at":"soon"}`: "/run_at",
		`{"delay":"-1s"}`: "/delay", `{"run_at":"2030-01-01T00:00:00Z","delay":"1s"}`: "/delay", `{"input":{}}`: "/input",
	} {
		if r := w.do("PATCH", path, body).problem(422, "bad_message"); !strings.Contains(fmt.Sprint(r), "pointer:"+pointer+"]") {
			t.Errorf("%s: %v", body, r)
		}
	}
	w.do("PATCH", path, `{"priority":1`).problem(400, "bad_message")
	w.do("PATCH", path, `priority=1`, "Content-Type", "application/x-www-form-urlencoded").problem(415, "unsupported")
	w.do("PATCH", "/v1/queues/small", `{"capacity":1}`).want(200)
	w.do("POST", "/v1/jobs", `{"kind":"nobody","queue":"small"}`).want(202)
	w.do("PATCH", path, `{"queue":"small"}`).has("RateLimit-Policy", `"default";q=1;w=1`).problem(503, "queue_full")
	w.do("POST", path+"/delete", "").problem(409, "conflict")
	w.do("DELETE", path, "").want(200)
	w.do("PATCH", path, `{"priority":1}`).problem(409, "conflict")
	w.do("POST", path+"/run", "").problem(409, "conflict")
	w.do("POST", path+"/delete", "").want(204)
	for _, call := range []string{"GET " + path, "PATCH " + path, "POST " + path + "/delete", "POST " + path + "/run", "POST " + path + "/retry", "POST " + path + "/cancel"} {
		method, at, _ := strings.Cut(call, " ")
		w.do(method, at, map[string]string{"PATCH": `{}`}[method]).want(http.StatusGone)
	}
}

// TestPagesOfDeletedJobs: what belongs to a job that is gone is still shown.
func TestPagesOfDeletedJobs(t *testing.T) {
	w := start(t)
	parent := w.submit(`{"kind":"nobody","callbacks":[{"url":"https://example.com/hook"}]}`)
	after := w.submit(`{"kind":"nobody","after":["` + parent + `"]}`)
	w.do("DELETE", "/v1/jobs/"+parent, "").want(200)
	w.await(after, "cancelled")
	retry := w.do("POST", "/v1/jobs/"+parent+"/retry", "").want(202).text("id")
	page, err := w.store.List(t.Context(), jobs.Filter{Tenant: "default", Kind: jobs.KindWebhook})
	if err != nil || len(page.Jobs) == 0 {
		t.Fatalf("%d deliveries, %v", len(page.Jobs), err)
	}
	batch := w.do("POST", "/batch?async=true", `{"requests":[{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["item"]}}]}`).want(202).text("id")
	w.await(batch, "succeeded")
	item := w.do("GET", "/v1/jobs?tag=item", "").json()["jobs"].([]any)[0].(map[string]any)["id"].(string)
	for _, id := range []string{parent, batch} {
		w.do("POST", "/v1/jobs/"+id+"/delete", "").want(204)
	}
	for _, path := range []string{"/jobs", "/jobs/" + after, "/jobs/" + retry, "/jobs/" + item, "/jobs/" + page.Jobs[0].ID.String(), "/callbacks", "/batches", "/", "/queues/default"} {
		w.do("GET", path, "", "Accept", "text/html").want(200)
	}
	for _, path := range []string{"/jobs/" + parent, "/batches/" + batch, "/jobs/" + parent + "/edit", "/jobs/" + parent + "/change"} {
		w.do("GET", path, "", "Accept", "text/html").want(410)
	}
	w.do("POST", "/v1/jobs/"+after+"/retry", "").want(200) // its retry came along
	w.do("POST", "/v1/jobs/"+retry+"/cancel", "").want(200)
}

// TestUniqueOverHTTP.
func TestUniqueOverHTTP(t *testing.T) {
	w := start(t)
	first := w.do("POST", "/v1/jobs", `{"kind":"nobody","input":{"a":1,"b":2},"unique":{}}`).want(202).has("Jobhub-Existing", "").text("id")
	r := w.do("POST", "/v1/jobs", `{"kind":"nobody","input":{"b":2,"a":1},"unique":{}}`, "Idempotency-Key", "k").want(200).has("Jobhub-Existing", "true")
	if r.text("id") != first || r.json()["unique"].(map[string]any)["while"] != "unfinished" {
		t.Errorf("the same job: %s", r.body)
	}
	if r := w.do("POST", "/v1/jobs", `{"kind":"nobody","input":{"a":1,"b":2},"unique":{"conflict":"refuse"}}`).problem(409, "conflict"); !strings.Contains(fmt.Sprint(r), first) {
		t.Errorf("refused: %v", r)
	}
	list := w.batch(`{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","input":7,"unique":{}}},{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","input":7,"unique":{}}}`)
	if got := statuses(list); got != "202 200" && got != "200 202" {
		t.Errorf("in a batch: %s", got)
	}
	replaced := w.do("POST", "/v1/jobs", `{"kind":"nobody","input":{"a":1,"b":2},"unique":{"conflict":"replace"}}`).want(202).text("id")
	if job := w.do("GET", "/v1/jobs/"+first, "").json(); job["state"] != "cancelled" || replaced == first {
		t.Errorf("replaced: %v", job)
	}
	// With Prefer the answer is that of the job that is there.
	done := w.do("POST", "/v1/jobs", `{"kind":"echo","input":5,"unique":{"while":"kept"}}`, "Prefer", "wait=20").want(200).has("AsyncResult", "200", "Jobhub-Existing", "")
	again := w.do("POST", "/v1/jobs", `{"kind":"echo","input":5,"unique":{"while":"kept"}}`, "Prefer", "wait=20").want(200).has("AsyncResult", "200", "Jobhub-Existing", "true")
	if done.body != again.body {
		t.Errorf("%s, then %s", done.body, again.body)
	}
}

// TestBulkDeleteAndRunOverHTTP: delete and run, and what a dry run says of them.
func TestBulkDeleteAndRunOverHTTP(t *testing.T) {
	w := start(t)
	for range 3 {
		w.submit(`{"kind":"nobody","delay":"1h","tags":["t"]}`)
	}
	do := func(action string, count string) {
		t.Helper()
		if r := w.do("POST", "/v1/jobs:bulk", `{"action":"`+action+`","filter":{"tag":"t"},"dry_run":true}`).want(200); strings.TrimSpace(r.body) != `{"count":`+count+`}` {
			t.Errorf("%s: %s", action, r.body)
		}
		id := w.do("POST", "/v1/jobs:bulk", `{"action":"`+action+`","filter":{"tag":"t"}}`).want(202).text("id")
		if job := w.await(id, "succeeded"); fmt.Sprint(job["result"].(map[string]any)["done"]) != count {
			t.Errorf("%s: %v", action, job["result"])
		}
	}
	do("run", "3")
	do("delete", "0")
	do("cancel", "3")
	do("delete", "3")
	if list := w.do("GET", "/v1/jobs?tag=t", "").json()["jobs"].([]any); len(list) != 0 {
		t.Errorf("%d are left", len(list))
	}
	w.do("POST", "/v1/jobs:bulk", `{"action":"run","filter":{"state":"failed"}}`).problem(422, "bad_message")
}

// TestOverlapOverHTTP: it is part of the document, and refused where it says nothing known.
func TestOverlapOverHTTP(t *testing.T) {
	w := start(t)
	if s := w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"k"}}`).want(201).json(); s["overlap"] != "allow" || s["skipped_at"] != nil {
		t.Errorf("by default: %v", s)
	}
	if s := w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"k"},"overlap":"skip"}`).want(200).json(); s["overlap"] != "skip" {
		t.Errorf("%v", s)
	}
	if r := w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"k"},"overlap":"wait"}`).problem(422, "bad_message"); !strings.Contains(fmt.Sprint(r), "/overlap") {
		t.Errorf("%v", r)
	}
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	w.do("POST", "/schedules/s", "cron=@hourly", form...).want(303)
	if s := w.do("GET", "/v1/schedules/s", "").json(); s["overlap"] != "skip" || s["cron"] != "@hourly" {
		t.Errorf("a form without it: %v", s)
	}
	w.do("POST", "/schedules/s", "cron=@hourly&overlap=queue", form...).want(303)
	if r := w.do("GET", "/schedules/s", "").want(200); !strings.Contains(r.body, "queue: the next job waits") {
		t.Error("the page does not say it")
	}
	if r := w.do("POST", "/schedules/s", "cron=@hourly&overlap=never", form...).want(422); !strings.Contains(r.body, "must be allow, skip, queue or replace") {
		t.Error("the form does not say what is wrong")
	}
}

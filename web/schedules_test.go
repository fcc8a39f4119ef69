package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	w := start(t)
	body := `{"cron":"0 3 * * MON","time_zone":"Europe/Berlin","job":{"kind":"nobody","input":{"n":1.10}}}`
	made := w.do("PUT", "/v1/schedules/nightly", body).want(201).has("Location", "/v1/schedules/nightly").json()
	next, err := time.Parse(time.RFC3339, made["next_at"].(string))
	if err != nil || !next.After(time.Now()) || next.In(time.UTC).Weekday() != time.Monday || next.Second() != 0 {
		t.Errorf("next_at %v", made["next_at"])
	}
	for member, want := range map[string]string{"name": "nightly", "cron": "0 3 * * MON", "time_zone": "Europe/Berlin", "paused": "false", "last_at": "<nil>", "last_job": "", "last_error": "<nil>",
		"job": "map[input:map[n:1.10] kind:nobody]", "links": "map[jobs:/v1/jobs?tag=schedule:nightly self:/v1/schedules/nightly]"} {
		if got := fmt.Sprint(made[member]); got != want {
			t.Errorf("%s: %s, want %s", member, got, want)
		}
	}
	if got := w.do("GET", "/v1/schedules/nightly", "").want(200).json(); fmt.Sprint(got) != fmt.Sprint(made) {
		t.Errorf("GET answers %v, PUT answered %v", got, made)
	}
	w.do("PUT", "/v1/schedules/nightly", body).want(200).has("Location", "")
	paused := w.do("PUT", "/v1/schedules/nightly", `{"cron":"@daily","job":{"kind":"nobody"},"paused":true}`).want(200).json()
	if paused["next_at"] != nil || paused["time_zone"] != "UTC" || paused["paused"] != true {
		t.Errorf("paused: %v", paused)
	}
	w.do("PUT", "/v1/schedules/also", `{"cron":"@hourly","job":{"kind":"nobody"}}`).want(201)
	list := w.do("GET", "/v1/schedules", "").want(200).json()["schedules"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["name"] != "also" || fmt.Sprint(list[1]) != fmt.Sprint(paused) {
		t.Errorf("list %v", list)
	}
	w.do("DELETE", "/v1/schedules/also", "").want(204)
	w.do("DELETE", "/v1/schedules/also", "").problem(404, "not_found")
	w.do("GET", "/v1/schedules/also", "").problem(404, "not_found")
}

// TestScheduleRoundTrip: PUT takes what GET gave, and what GET hides stays as it is stored.
func TestScheduleRoundTrip(t *testing.T) {
	w := start(t)
	stored := func() string {
		list, err := w.store.Documents(t.Context(), "default", "schedule")
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		return string(list[0].Data)
	}
	callbacks := `"callbacks":[{"url":"https://a.example/hook?token=t0ps3cret","events":["job.failed"],"secret":"` + hookSecret + `"},{"url":"https://b.example/hook"}]`
	for name, job := range map[string]string{
		"a worker's kind": `{"kind":"nobody","input":{"n":1.10},` + callbacks + `}`,
		"requests":        `{"kind":"http","input":{"url":"https://c.example/","headers":{"Authorization":"Bearer t0ps3cret"}},` + callbacks + `}`,
	} {
		w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":`+job+`}`).want(201)
		before := stored()
		got := w.do("GET", "/v1/schedules/s", "").want(200)
		if strings.Contains(got.body, hookSecret) || strings.Contains(got.body, "t0ps3cret") {
			t.Errorf("%s: GET shows %s", name, got.body)
		}
		again := w.do("PUT", "/v1/schedules/s", got.body).want(200)
		if again.body != got.body {
			t.Errorf("%s: PUT says %s, GET said %s", name, again.body, got.body)
		}
		after := stored()
		for _, secret := range []string{hookSecret, "t0ps3cret"} {
			if strings.Count(after, secret) != strings.Count(before, secret) || !strings.Contains(after, secret) {
				t.Errorf("%s: %s became %s", name, before, after)
			}
		}
		w.do("PUT", "/v1/schedules/s", strings.Replace(got.body, "https://a.example/", "https://evil.example/", 1)).problem(422, "bad_message")
		w.do("PUT", "/v1/schedules/s", strings.Replace(got.body, `"name":"s"`, `"name":"other"`, 1)).problem(422, "bad_message")
		w.do("DELETE", "/v1/schedules/s", "").want(204)
	}
}

func TestSchedulesThatAreWrong(t *testing.T) {
	w := start(t)
	for body, pointer := range map[string]string{
		`{"job":{"kind":"k"}}`:                                                 "/cron",
		`{"cron":"* * * * * *","job":{"kind":"k"}}`:                            "/cron",
		`{"cron":"0 0 31 2 *","job":{"kind":"k"}}`:                             "/cron",
		`{"cron":5,"job":{"kind":"k"}}`:                                        "/cron",
		`{"cron":"@daily","time_zone":"Nowhere","job":{"kind":"k"}}`:           "/time_zone",
		`{"cron":"@daily"}`:                                                    "/job",
		`{"cron":"@daily","job":null}`:                                         "/job/kind",
		`{"cron":"@daily","job":[]}`:                                           "/job",
		`{"cron":"@daily","job":{}}`:                                           "/job/kind",
		`{"cron":"@daily","job":{"kind":"k","priority":1000}}`:                 "/job/priority",
		`{"cron":"@daily","job":{"kind":"k","unknown":1}}`:                     "/job/unknown",
		`{"cron":"@daily","job":{"kind":"k","run_at":"2030-01-01T00:00:00Z"}}`: "/job/run_at",
		`{"cron":"@daily","job":{"kind":"k"},"other":1}`:                       "/other",
		`{"cron":"@daily","job":{"kind":"k"},"paused":"no"}`:                   "/paused",
	} {
		p := w.do("PUT", "/v1/schedules/s", body).problem(422, "bad_message")
		if got := p["errors"].([]any)[0].(map[string]any)["pointer"]; got != pointer {
			t.Errorf("%s: %v, want %s", body, got, pointer)
		}
	}
	for body, status := range map[string]int{`{"cron":"@daily","cron":"@daily"}`: 400, `{"cron":"@daily"`: 400, `{"cron":"@daily","job":{"kind":"k","kind":"l"}}`: 400, `{}{}`: 400} {
		w.do("PUT", "/v1/schedules/s", body).want(status)
	}
	w.do("PUT", "/v1/schedules/s", `{"cron":"@daily","job":{"kind":"k"}}`, "Content-Type", "text/plain").problem(415, "unsupported")
	w.do("PUT", "/v1/schedules/s", "").problem(422, "bad_message")
	for _, name := range []string{"S", "a%2Fb", "%00", "a%20b"} {
		w.do("PUT", "/v1/schedules/"+name, `{"cron":"@daily","job":{"kind":"k"}}`).problem(404, "not_found")
	}
	if list := w.do("GET", "/v1/schedules", "").want(200).json()["schedules"].([]any); len(list) > 0 {
		t.Errorf("stored: %v", list)
	}
	w.nothingStored()
}

func TestBulkOverHTTP(t *testing.T) {
	w := start(t)
	for i := range 7 {
		w.submit(fmt.Sprintf(`{"kind":"nobody","tags":["t%d"],"input":{"name":"n%d"}}`, i%2, i))
	}
	for body, want := range map[string]string{
		`{"action":"cancel","filter":{},"dry_run":true}`:                                           "7",
		`{"action":"cancel","filter":{"tag":"t0","state":"queued,running"},"dry_run":true}`:        "4",
		`{"action":"cancel","filter":{"q":"N3","kind":"nobody","queue":"default"},"dry_run":true}`: "1",
		`{"action":"cancel","filter":{"parent":"` + unknownID + `"},"dry_run":true}`:               "0",
		`{"action":"retry","filter":{},"dry_run":true}`:                                            "0",
	} {
		if got := w.do("POST", "/v1/jobs:bulk", body).want(200).text("count"); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	r := w.do("POST", "/v1/jobs:bulk", `{"action":"cancel","filter":{"tag":"t1"}}`, "Idempotency-Key", "k").want(202)
	id := r.text("id")
	r.has("Location", "/v1/jobs/"+id+"/response", "Operation-Location", "/v1/jobs/"+id, "Retry-After", "1")
	w.await(id, "succeeded")
	if got := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).json(); fmt.Sprint(got) != "map[count:3 done:3 skipped:0]" {
		t.Errorf("result %v", got)
	}
	w.do("POST", "/v1/jobs:bulk", `{"action":"cancel","filter":{"tag":"t1"}}`, "Idempotency-Key", "k").want(202).has("Idempotency-Replayed", "true")
	w.do("POST", "/v1/jobs:bulk", `{"action":"cancel","filter":{}}`, "Idempotency-Key", "k").problem(422, "conflict")
	done := w.do("POST", "/v1/jobs:bulk", `{"action":"retry","filter":{"state":"cancelled"}}`, "Prefer", "wait=20").want(200).has("AsyncResult", "200")
	if done.json()["done"] != json.Number("3") {
		t.Errorf("retried: %s", done.body)
	}
	head := w.store.Head()
	for body, status := range map[string]int{
		``:                                  422,
		`{}`:                                422,
		`{"action":"cancel"}`:               422,
		`{"action":"cancel","filter":null}`: 422,
		`{"action":"paint","filter":{}}`:    422,
		`{"filter":{}}`:                     422,
		`{"action":"cancel","filter":{"state":"nowhere"}}`:   422,
		`{"action":"cancel","filter":{"state":"succeeded"}}`: 422,
		`{"action":"retry","filter":{"state":"queued"}}`:     422,
		`{"action":"cancel","filter":{"parent":"x"}}`:        422,
		`{"action":"cancel","filter":{"limit":5}}`:           422,
		`{"action":"cancel","filter":{},"other":1}`:          422,
		`{"action":"cancel","filter":{}`:                     400,
	} {
		for _, dry := range []string{"", `"dry_run":true,`} {
			if len(body) > 2 {
				body = `{` + dry + body[1:]
			}
			w.do("POST", "/v1/jobs:bulk", body).problem(status, "bad_message")
		}
	}
	w.do("POST", "/v1/jobs", `{"kind":"bulk","input":{"action":"cancel","filter":{}}}`).problem(422, "unsupported")
	w.do("POST", "/v1/jobs/"+id+"/retry", "").problem(422, "unsupported")
	if now := w.store.Head(); now != head {
		t.Errorf("refused requests left events: %v, then %v", head, now)
	}
}

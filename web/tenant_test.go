package web_test

import (
	"fmt"
	"strings"
	"testing"

	"jobhub/web/auth"
)

// Another tenant's things answer exactly like unknown ones.
func TestTenantsDoNotSeeEachOther(t *testing.T) {
	w := start(t)
	a, b := w.key(auth.Admin, "a"), w.key(auth.Admin, "b")
	w.bearer = a
	id := w.submit(`{"kind":"nobody","queue":"q","tags":["t"],"input":"canary"}`, "Idempotency-Key", "one")
	done := w.submit(`{"kind":"nobody","queue":"q"}`)
	w.do("DELETE", "/v1/jobs/"+done, "").want(200)
	w.do("PATCH", "/v1/queues/limited", `{"capacity":1}`).want(200)
	k := w.worker(1, "leased")
	w.submit(`{"kind":"leased"}`)
	lease, _ := k.lease()
	unknownLease := unknownID + "." + strings.SplitN(lease, ".", 2)[1]
	for _, pattern := range routes(t) {
		if !strings.Contains(pattern, "{id}") && !strings.Contains(pattern, "{token}") && !strings.Contains(pattern, "GET /v1/queues/{name}") {
			continue
		}
		var bodies []string
		real, unknown := []string{"{id}", id, "{token}", lease, "{name}", "limited"}, []string{"{id}", unknownID, "{token}", unknownLease, "{name}", "nothing"}
		if strings.Contains(pattern, "/workers/") {
			real[1], unknown[1] = k.id, "wk_nothing"
		}
		if strings.Contains(pattern, "/retry") {
			real[1] = done
		}
		for _, names := range [][]string{real, unknown} {
			method, path, _ := strings.Cut(strings.NewReplacer(names...).Replace(pattern), " ")
			body := ""
			switch {
			case strings.HasSuffix(path, "/events"):
				body = `{"n":1,"type":"progress","percent":1}`
			case strings.HasSuffix(path, "/snooze"):
				body = `{"delay":"1h"}`
			}
			r := w.with(b, method, path, body)
			if r.status != 404 && r.status != 409 {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
			}
			r.header.Del("Date")
			text := fmt.Sprint(r.status, r.header, r.body)
			text = strings.NewReplacer(names[3], "", names[1], "", names[5], "").Replace(text)
			if strings.HasPrefix(path, "/jobs/") { // a page says when it was made
				text = fmt.Sprint(r.status, strings.Contains(text, "canary"))
			}
			bodies = append(bodies, text)
		}
		if stripLength(bodies[0]) != stripLength(bodies[1]) {
			t.Errorf("%s tells a foreign thing from none:\n%s\n%s", pattern, bodies[0], bodies[1])
		}
	}
	w.bearer = b
	for _, path := range []string{"/v1/jobs", "/v1/jobs?queue=q", "/v1/jobs?tag=t", "/v1/jobs?kind=nobody", "/v1/queues", "/v1/workers", "/"} {
		if r := w.do("GET", path, "").want(200); strings.Contains(r.body, id) || strings.Contains(r.body, "canary") || strings.Contains(r.body, "nobody") || strings.Contains(r.body, "limited") || strings.Contains(r.body, k.id) {
			t.Errorf("%s shows things of another tenant: %s", path, r.body)
		}
	}
	w.do("POST", "/v1/jobs", `{"kind":"nobody","after":["`+id+`"]}`).problem(w.with(a, "POST", "/v1/jobs", `{"kind":"nobody","after":["`+unknownID+`"]}`).status, "bad_message")
	// Their keys, queues and workers are their own.
	own := w.do("POST", "/v1/jobs", `{"kind":"nobody","queue":"q","tags":["t"],"input":"canary"}`, "Idempotency-Key", "one").want(202).has("Idempotency-Replayed", "").json()
	if own["id"] == id || own["tenant"] != "b" {
		t.Errorf("a key of another tenant is taken for one's own: %v", own)
	}
	for range 2 {
		w.submit(`{"kind":"nobody","queue":"limited"}`)
	}
	other := w.worker(1, "nobody", "leased")
	if _, job := other.lease(); job["id"] == id || job["queue"] != "q" || job["id"] != own["id"] {
		t.Errorf("b's worker got %v", job)
	}
	if state := w.with(a, "GET", "/v1/jobs/"+id, "").text("state"); state != "queued" {
		t.Errorf("a's job is %s", state)
	}
	w.with(a, "POST", "/v1/leases/"+lease+"/complete", `{"result":1}`).want(200)
	if page := w.do("GET", "/", ""); !strings.Contains(page.body, fmt.Sprint(own["id"])) || strings.Contains(page.body, id) {
		t.Error("b's overview does not show what b has")
	}
}

func stripLength(text string) string {
	before, rest, _ := strings.Cut(text, "Content-Length:[")
	_, after, _ := strings.Cut(rest, "]")
	return before + after
}

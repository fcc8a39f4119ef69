package web_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

const unknownID = "0197f0a2-5c1e-7000-8000-000000a44f09"

// routeCase is what a route answers. In the request ID stands for a queued job, DONE for a
// finished one, LATER for a scheduled one, BATCH for a finished batch with a request that failed, KEY for a key, WORKER for a worker and TOKEN for a lease of it.
type routeCase struct {
	route, request string
	body           string
	status         int
	contentType    string
}

// prepare makes what a request is about, and returns it.
func (w *world) prepare(c routeCase) (method, path, body string) {
	w.t.Helper()
	id := w.submit(`{"kind":"nobody"}`)
	request := strings.Replace(c.request, "ID", id, 1)
	if strings.Contains(request, "DONE") {
		w.do("DELETE", "/v1/jobs/"+id, "").want(200)
		request = strings.Replace(request, "DONE", id, 1)
	}
	if before, after, ok := strings.Cut(request, "LATER"); ok {
		request = before + w.submit(`{"kind":"nobody","delay":"1h"}`) + after
	}
	if strings.Contains(request, "BATCH") {
		batch := w.do("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/v1/jobs/`+unknownID+`"}]}`).want(202).text("id")
		w.await(batch, "succeeded")
		request = strings.Replace(request, "BATCH", batch, 1)
	}
	if strings.Contains(request, "MADE") {
		w.do("PUT", "/v1/schedules/made", `{"cron":"@daily","job":{"kind":"k"}}`)
		request = strings.Replace(request, "MADE", "made", 1)
	}
	request = w.prepareAPI(request, id)
	if strings.Contains(request, "KEY") {
		key, _, err := w.keys.Create(auth.Key{Role: auth.Viewer}, time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		request = strings.Replace(request, "KEY", key.ID, 1)
	}
	request = strings.Replace(request, "NEW", id, 1)
	if strings.Contains(request, "WORKER") || strings.Contains(request, "TOKEN") {
		k := w.worker(1, "leased")
		w.submit(`{"kind":"leased"}`)
		token, _ := k.lease()
		request = strings.NewReplacer("WORKER", k.id, "TOKEN", token).Replace(request)
	}
	method, path, _ = strings.Cut(request, " ")
	if strings.Contains(c.body, "CALLBACK") {
		w.disable("https://a.example/hook")
	}
	return method, path, strings.NewReplacer("ID", id, "NEW", id, "CALLBACK", exampleCallback).Replace(c.body)
}

// prepareAPI makes what a request names of the catalogue: an API, and a request for access to it.
func (w *world) prepareAPI(request, name string) string {
	if !strings.Contains(request, "PUBLISHED") && !strings.Contains(request, "PENDING") && !strings.Contains(request, "GRANTED") {
		return request
	}
	w.do("PUT", "/v1/apis/"+name, `{}`).want(201)
	w.do("PUT", "/v1/apis/"+name+"/versions/v1", `{"openapi":`+ordersDocument("")+`}`).want(201)
	w.do("POST", "/v1/apis/"+name+"/versions/v1/publish", "").want(200)
	request = strings.Replace(request, "PUBLISHED", name, 1)
	if strings.Contains(request, "/access/") {
		access := w.do("POST", "/v1/access", `{"api":"`+name+`","version":"v1"}`).want(201).text("id")
		if strings.Contains(request, "GRANTED") {
			w.do("POST", "/v1/access/"+access+"/approve", "").want(200)
		}
		request = strings.NewReplacer("PENDING", access, "GRANTED", access).Replace(request)
	}
	return request
}

// formHeaders are those of what the pages send.
func formHeaders(path string) []string {
	for _, page := range []string{"/jobs/", "/schedules", "/callbacks", "/catalog", "/access", "/keys"} {
		if strings.HasPrefix(path, page) {
			return []string{"Content-Type", "application/x-www-form-urlencoded"}
		}
	}
	return nil
}

// routeCases has cases for every route.
var routeCases = []routeCase{
	{"POST /v1/jobs", "POST /v1/jobs", `{"kind":"nobody"}`, 202, "application/json"},
	{"POST /v1/jobs", "POST /v1/jobs", `{}`, 422, "application/problem+json"},
	{"GET /v1/jobs", "GET /v1/jobs", "", 200, "application/json"},
	{"GET /v1/jobs", "GET /v1/jobs?limit=0", "", 400, "application/problem+json"},
	{"GET /v1/jobs/{id}", "GET /v1/jobs/ID", "", 200, "application/json"},
	{"GET /v1/jobs/{id}", "HEAD /v1/jobs/ID", "", 200, "application/json"},
	{"GET /v1/jobs/{id}", "GET /v1/jobs/" + unknownID, "", 404, "application/problem+json"},
	{"GET /v1/jobs/{id}/response", "GET /v1/jobs/ID/response", "", 202, "application/json"},
	{"GET /v1/jobs/{id}/response", "GET /v1/jobs/" + unknownID + "/response", "", 404, "application/problem+json"},
	{"POST /v1/jobs/{id}/cancel", "POST /v1/jobs/ID/cancel", "", 200, "application/json"},
	{"POST /v1/jobs/{id}/cancel", "POST /v1/jobs/" + unknownID + "/cancel", "", 404, "application/problem+json"},
	{"DELETE /v1/jobs/{id}", "DELETE /v1/jobs/ID", "", 200, "application/json"},
	{"DELETE /v1/jobs/{id}", "DELETE /v1/jobs/" + unknownID, "", 404, "application/problem+json"},
	{"POST /v1/jobs/{id}/retry", "POST /v1/jobs/DONE/retry", "", 202, "application/json"},
	{"POST /v1/jobs/{id}/retry", "POST /v1/jobs/ID/retry", "", 409, "application/problem+json"},
	{"POST /v1/jobs/{id}/retry", "POST /v1/jobs/" + unknownID + "/retry", "", 404, "application/problem+json"},
	{"PATCH /v1/jobs/{id}", "PATCH /v1/jobs/ID", `{"priority":1}`, 200, "application/json"},
	{"PATCH /v1/jobs/{id}", "PATCH /v1/jobs/ID", `{"kind":"k"}`, 422, "application/problem+json"},
	{"PATCH /v1/jobs/{id}", "PATCH /v1/jobs/DONE", `{"priority":1}`, 409, "application/problem+json"},
	{"PATCH /v1/jobs/{id}", "PATCH /v1/jobs/" + unknownID, `{}`, 404, "application/problem+json"},
	{"POST /v1/jobs/{id}/run", "POST /v1/jobs/LATER/run", "", 200, "application/json"},
	{"POST /v1/jobs/{id}/run", "POST /v1/jobs/DONE/run", "", 409, "application/problem+json"},
	{"POST /v1/jobs/{id}/delete", "POST /v1/jobs/DONE/delete", "", 204, ""},
	{"POST /v1/jobs/{id}/delete", "POST /v1/jobs/ID/delete", "", 409, "application/problem+json"},
	{"POST /v1/jobs:bulk", "POST /v1/jobs:bulk", `{"action":"cancel","filter":{}}`, 202, "application/json"},
	{"POST /v1/jobs:bulk", "POST /v1/jobs:bulk", `{"action":"cancel","filter":{},"dry_run":true}`, 200, "application/json"},
	{"POST /v1/jobs:bulk", "POST /v1/jobs:bulk", `{"action":"cancel"}`, 422, "application/problem+json"},
	{"POST /v1/batch", "POST /v1/batch", `{"requests":[]}`, 200, "application/json"},
	{"POST /v1/batch", "POST /v1/batch?async=true", `{"requests":[]}`, 202, "application/json"},
	{"POST /v1/batch", "POST /v1/batch", `{}`, 422, "application/problem+json"},
	{"POST /batch", "POST /batch", `{"requests":[]}`, 200, "application/json"},
	{"PUT /v1/schedules/{name}", "PUT /v1/schedules/NEW", `{"cron":"@daily","job":{"kind":"k"}}`, 201, "application/json"},
	{"PUT /v1/schedules/{name}", "PUT /v1/schedules/MADE", `{"cron":"@daily","job":{"kind":"k"}}`, 200, "application/json"},
	{"PUT /v1/schedules/{name}", "PUT /v1/schedules/s", `{"cron":"","job":{"kind":"k"}}`, 422, "application/problem+json"},
	{"PUT /v1/schedules/{name}", "PUT /v1/schedules/S", `{"cron":"@daily","job":{"kind":"k"}}`, 404, "application/problem+json"},
	{"GET /v1/schedules", "GET /v1/schedules", "", 200, "application/json"},
	{"GET /v1/schedules/{name}", "GET /v1/schedules/MADE", "", 200, "application/json"},
	{"GET /v1/schedules/{name}", "GET /v1/schedules/t", "", 404, "application/problem+json"},
	{"DELETE /v1/schedules/{name}", "DELETE /v1/schedules/MADE", "", 204, ""},
	{"DELETE /v1/schedules/{name}", "DELETE /v1/schedules/t", "", 404, "application/problem+json"},
	{"GET /v1/queues", "GET /v1/queues", "", 200, "application/json"},
	{"GET /v1/queues/{name}", "GET /v1/queues/default", "", 200, "application/json"},
	{"GET /v1/queues/{name}", "GET /v1/queues/nothing", "", 404, "application/problem+json"},
	{"PATCH /v1/queues/{name}", "PATCH /v1/queues/q", `{"concurrency":1}`, 200, "application/json"},
	{"PATCH /v1/queues/{name}", "PATCH /v1/queues/q", `{"concurrency":0}`, 422, "application/problem+json"},
	{"PATCH /v1/queues/{name}", "PATCH /v1/queues/Q", `{}`, 404, "application/problem+json"},
	{"POST /v1/queues/{name}/pause", "POST /v1/queues/q/pause", `{"reason":"tired"}`, 200, "application/json"},
	{"POST /v1/queues/{name}/pause", "POST /v1/queues/Q/pause", "", 404, "application/problem+json"},
	{"POST /v1/queues/{name}/resume", "POST /v1/queues/q/resume", "", 200, "application/json"},
	{"POST /v1/queues/{name}/resume", "POST /v1/queues/Q/resume", "", 404, "application/problem+json"},
	{"POST /v1/workers", "POST /v1/workers", `{"kinds":["k"]}`, 200, "application/json"},
	{"POST /v1/workers", "POST /v1/workers", "", 422, "application/problem+json"},
	{"GET /v1/workers", "GET /v1/workers", "", 200, "application/json"},
	{"DELETE /v1/workers/{id}", "DELETE /v1/workers/WORKER", "", 204, ""},
	{"DELETE /v1/workers/{id}", "DELETE /v1/workers/wk_x", "", 404, "application/problem+json"},
	{"POST /v1/workers/{id}/lease", "POST /v1/workers/WORKER/lease", `{"wait":"0s"}`, 200, "application/json"},
	{"POST /v1/workers/{id}/lease", "POST /v1/workers/wk_x/lease", "", 404, "application/problem+json"},
	{"POST /v1/workers/{id}/beat", "POST /v1/workers/WORKER/beat", "", 200, "application/json"},
	{"POST /v1/workers/{id}/beat", "POST /v1/workers/wk_x/beat", "", 404, "application/problem+json"},
	{"POST /v1/workers/{id}/quiet", "POST /v1/workers/WORKER/quiet", "", 200, "application/json"},
	{"POST /v1/workers/{id}/quiet", "POST /v1/workers/wk_x/quiet", "", 404, "application/problem+json"},
	{"POST /v1/workers/{id}/terminate", "POST /v1/workers/WORKER/terminate", "", 200, "application/json"},
	{"POST /v1/workers/{id}/terminate", "POST /v1/workers/wk_x/terminate", "", 404, "application/problem+json"},
	{"POST /v1/leases/{token}/events", "POST /v1/leases/TOKEN/events", `{"n":1,"type":"progress","percent":1}`, 200, "application/json"},
	{"POST /v1/leases/{token}/events", "POST /v1/leases/TOKEN/events", "", 400, "application/problem+json"},
	{"POST /v1/leases/{token}/complete", "POST /v1/leases/TOKEN/complete", `{"result":1}`, 200, "application/json"},
	{"POST /v1/leases/{token}/complete", "POST /v1/leases/x/complete", "", 409, "application/problem+json"},
	{"POST /v1/leases/{token}/fail", "POST /v1/leases/TOKEN/fail", "", 200, "application/json"},
	{"POST /v1/leases/{token}/fail", "POST /v1/leases/x/fail", "", 409, "application/problem+json"},
	{"POST /v1/leases/{token}/snooze", "POST /v1/leases/TOKEN/snooze", `{"delay":"1h"}`, 200, "application/json"},
	{"POST /v1/leases/{token}/snooze", "POST /v1/leases/TOKEN/snooze", "", 422, "application/problem+json"},
	{"POST /v1/leases/{token}/release", "POST /v1/leases/TOKEN/release", "", 200, "application/json"},
	{"POST /v1/leases/{token}/release", "POST /v1/leases/x/release", "", 409, "application/problem+json"},
	{"POST /v1/keys", "POST /v1/keys", `{"role":"viewer"}`, 201, "application/json"},
	{"POST /v1/keys", "POST /v1/keys", `{"role":"king"}`, 422, "application/problem+json"},
	{"GET /v1/explain", "GET /v1/explain?url=/v1/jobs", "", 200, "application/json"},
	{"GET /v1/explain", "GET /v1/explain?url=jobs", "", 422, "application/problem+json"},
	{"POST /v1/explain", "POST /v1/explain", `{"url":"/v1/jobs"}`, 200, "application/json"},
	{"GET /v1/usage", "GET /v1/usage?by=route", "", 200, "application/json"},
	{"GET /v1/usage", "GET /v1/usage?by=color", "", 400, "application/problem+json"},
	{"GET /v1/keys", "GET /v1/keys", "", 200, "application/json"},
	{"GET /v1/keys", "GET /v1/keys?state=gone", "", 400, "application/problem+json"},
	{"GET /v1/keys/{id}", "GET /v1/keys/KEY", "", 200, "application/json"},
	{"GET /v1/keys/{id}", "GET /v1/keys/key_x", "", 404, "application/problem+json"},
	{"PATCH /v1/keys/{id}", "PATCH /v1/keys/KEY", `{"team":"shop"}`, 200, "application/json"},
	{"PATCH /v1/keys/{id}", "PATCH /v1/keys/KEY", `{"team":"A"}`, 422, "application/problem+json"},
	{"PATCH /v1/keys/{id}", "PATCH /v1/keys/key_x", `{}`, 404, "application/problem+json"},
	{"DELETE /v1/keys/{id}", "DELETE /v1/keys/KEY", "", 204, ""},
	{"DELETE /v1/keys/{id}", "DELETE /v1/keys/key_x", "", 404, "application/problem+json"},
	{"POST /v1/tokens", "POST /v1/tokens", `{"jobs":["ID"]}`, 200, "application/json"},
	{"POST /v1/tokens", "POST /v1/tokens", `{"jobs":["x"]}`, 422, "application/problem+json"},
	{"GET /v1/ws", "GET /v1/ws", "", 426, "application/problem+json"},
	{"GET /v1/events", "GET /v1/events?bogus=1", "", 400, "application/problem+json"},
	{"GET /metrics", "GET /metrics", "", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
	{"GET /healthz", "GET /healthz", "", 200, "application/json"},
	{"GET /readyz", "GET /readyz", "", 200, "application/json"},
	{"GET /openapi.json", "GET /openapi.json", "", 200, "application/json"},
	{"GET /asyncapi.json", "GET /asyncapi.json", "", 200, "application/json"},
	{"GET /docs", "GET /docs", "", 200, "text/html; charset=utf-8"},
	{"GET /docs/{page}", "GET /docs/protocol", "", 200, "text/html; charset=utf-8"},
	{"GET /docs/{page}", "GET /docs/nothing", "", 404, "text/html; charset=utf-8"},
	{"GET /{$}", "GET /", "", 200, "text/html; charset=utf-8"},
	{"GET /jobs", "GET /jobs?state=queued&q=x", "", 200, "text/html; charset=utf-8"},
	{"GET /jobs", "GET /jobs?since=x", "", 400, "text/html; charset=utf-8"},
	{"GET /jobs/export.csv", "GET /jobs/export.csv", "", 200, "text/csv; charset=utf-8; header=present"},
	{"GET /jobs/export.csv", "GET /jobs/export.csv?cursor=x", "", 400, "text/html; charset=utf-8"},
	{"GET /jobs/export.ndjson", "GET /jobs/export.ndjson", "", 200, "application/x-ndjson"},
	{"POST /jobs/bulk", "POST /jobs/bulk", "do=cancel+selected&id=ID", 303, ""},
	{"POST /jobs/bulk", "POST /jobs/bulk", "do=paint+matching", 400, "text/html; charset=utf-8"},
	{"GET /jobs/{id}/output", "GET /jobs/DONE/output", "", 200, "text/plain; charset=utf-8"},
	{"GET /jobs/{id}/input", "GET /jobs/DONE/input", "", 200, "application/json"},
	{"GET /jobs/{id}/result", "GET /jobs/DONE/result", "", 200, "application/json"},
	{"GET /jobs/{id}/edit", "GET /jobs/DONE/edit", "", 200, "text/html; charset=utf-8"},
	{"GET /jobs/{id}/edit", "GET /jobs/ID/edit", "", 409, "text/html; charset=utf-8"},
	{"GET /jobs/{id}", "GET /jobs/ID", "", 200, "text/html; charset=utf-8"},
	{"GET /jobs/{id}", "GET /jobs/" + unknownID, "", 404, "text/html; charset=utf-8"},
	{"GET /jobs/{id}", "GET /jobs/x", "", 404, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/cancel", "POST /jobs/ID/cancel", "", 303, ""},
	{"POST /jobs/{id}/cancel", "POST /jobs/x/cancel", "", 404, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/retry", "POST /jobs/DONE/retry", "", 303, ""},
	{"POST /jobs/{id}/retry", "POST /jobs/ID/retry", "", 409, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/run", "POST /jobs/LATER/run", "", 303, ""},
	{"POST /jobs/{id}/run", "POST /jobs/DONE/run", "", 409, "text/html; charset=utf-8"},
	{"GET /jobs/{id}/change", "GET /jobs/ID/change", "", 200, "text/html; charset=utf-8"},
	{"GET /jobs/{id}/change", "GET /jobs/DONE/change", "", 409, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/change", "POST /jobs/ID/change", "priority=3&queue=other", 303, ""},
	{"POST /jobs/{id}/change", "POST /jobs/ID/change", "priority=high", 422, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/delete", "POST /jobs/DONE/delete", "ask=1", 200, "text/html; charset=utf-8"},
	{"POST /jobs/{id}/delete", "POST /jobs/DONE/delete", "", 303, ""},
	{"POST /jobs/{id}/delete", "POST /jobs/ID/delete", "", 409, "text/html; charset=utf-8"},
	{"GET /{$}", "GET /?view=wall", "", 200, "text/html; charset=utf-8"},
	{"GET /batches", "GET /batches?state=queued&kind=batch", "", 200, "text/html; charset=utf-8"},
	{"GET /batches", "GET /batches?state=x", "", 400, "text/html; charset=utf-8"},
	{"GET /batches", "GET /batches?kind=http", "", 400, "text/html; charset=utf-8"},
	{"GET /batches", "GET /batches?queue=q", "", 400, "text/html; charset=utf-8"},
	{"GET /batches", "GET /batches?cursor=1.2", "", 400, "text/html; charset=utf-8"},
	{"GET /batches/{id}", "GET /batches/BATCH?item=1&show=failed&from=0", "", 200, "text/html; charset=utf-8"},
	{"GET /batches/{id}", "GET /batches/BATCH?item=0", "", 400, "text/html; charset=utf-8"},
	{"GET /batches/{id}", "GET /batches/BATCH?show=x", "", 400, "text/html; charset=utf-8"},
	{"GET /batches/{id}", "GET /batches/ID", "", 404, "text/html; charset=utf-8"}, // of another kind
	{"GET /batches/{id}", "GET /batches/" + unknownID, "", 404, "text/html; charset=utf-8"},
	{"POST /batches/{id}/cancel", "POST /batches/BATCH/cancel", "", 303, ""},
	{"POST /batches/{id}/cancel", "POST /batches/ID/cancel", "", 404, "text/html; charset=utf-8"},
	{"POST /batches/{id}/retry", "POST /batches/BATCH/retry", "", 303, ""},
	{"POST /batches/{id}/retry", "POST /batches/" + unknownID + "/retry", "", 404, "text/html; charset=utf-8"},
	{"GET /routes", "GET /routes", "", 200, "text/html; charset=utf-8"},
	{"GET /queues", "GET /queues", "", 200, "text/html; charset=utf-8"},
	{"GET /queues/{name}", "GET /queues/default", "", 200, "text/html; charset=utf-8"},
	{"GET /queues/{name}", "GET /queues/nothing", "", 404, "text/html; charset=utf-8"},
	{"POST /queues/{name}", "POST /queues/default", "", 303, ""},
	{"POST /queues/{name}", "POST /queues/nothing", "", 404, "text/html; charset=utf-8"},
	{"POST /queues/{name}/pause", "POST /queues/default/pause", "", 303, ""},
	{"POST /queues/{name}/pause", "POST /queues/nothing/pause", "", 404, "text/html; charset=utf-8"},
	{"POST /queues/{name}/resume", "POST /queues/default/resume", "", 303, ""},
	{"POST /queues/{name}/resume", "POST /queues/nothing/resume", "", 404, "text/html; charset=utf-8"},
	{"GET /schedules", "GET /schedules", "", 200, "text/html; charset=utf-8"},
	{"GET /schedules", "GET /schedules?after=A", "", 400, "text/html; charset=utf-8"},
	{"POST /schedules", "POST /schedules", "name=NEW&cron=@daily&kind=k", 303, ""},
	{"POST /schedules", "POST /schedules", "name=S&cron=soon", 422, "text/html; charset=utf-8"},
	{"GET /schedules/{name}", "GET /schedules/MADE", "", 200, "text/html; charset=utf-8"},
	{"GET /schedules/{name}", "GET /schedules/nothing", "", 404, "text/html; charset=utf-8"},
	{"POST /schedules/{name}", "POST /schedules/MADE", "cron=@hourly", 303, ""},
	{"POST /schedules/{name}", "POST /schedules/MADE", "cron=soon", 422, "text/html; charset=utf-8"},
	{"POST /schedules/{name}", "POST /schedules/nothing", "cron=@hourly", 404, "text/html; charset=utf-8"},
	{"POST /schedules/{name}/run", "POST /schedules/MADE/run", "", 303, ""},
	{"POST /schedules/{name}/run", "POST /schedules/nothing/run", "", 404, "text/html; charset=utf-8"},
	{"POST /schedules/{name}/pause", "POST /schedules/MADE/pause", "", 303, ""},
	{"POST /schedules/{name}/pause", "POST /schedules/nothing/pause", "", 404, "text/html; charset=utf-8"},
	{"POST /schedules/{name}/resume", "POST /schedules/MADE/resume", "", 303, ""},
	{"POST /schedules/{name}/resume", "POST /schedules/nothing/resume", "", 404, "text/html; charset=utf-8"},
	{"POST /schedules/{name}/delete", "POST /schedules/MADE/delete", "", 303, ""},
	{"POST /schedules/{name}/delete", "POST /schedules/nothing/delete", "", 404, "text/html; charset=utf-8"},
	{"GET /callbacks", "GET /callbacks?state=failed,retrying", "", 200, "text/html; charset=utf-8"},
	{"GET /callbacks", "GET /callbacks?state=nowhere", "", 400, "text/html; charset=utf-8"},
	{"POST /callbacks/enable", "POST /callbacks/enable", "queue=disabled&callback=CALLBACK", 303, ""},
	{"POST /callbacks/enable", "POST /callbacks/enable", "queue=disabled&callback=x", 404, "text/html; charset=utf-8"},
	{"GET /catalog", "GET /catalog?q=x&state=published", "", 200, "text/html; charset=utf-8"},
	{"GET /catalog", "GET /catalog?state=x", "", 400, "text/html; charset=utf-8"},
	{"GET /catalog", "GET /catalog?tag=a&tag=b", "", 400, "text/html; charset=utf-8"},
	{"GET /catalog/{api}", "GET /catalog/PUBLISHED", "", 303, ""},
	{"GET /catalog/{api}", "GET /catalog/nothing", "", 404, "text/html; charset=utf-8"},
	{"GET /catalog/{api}/{version}", "GET /catalog/PUBLISHED/v1?from=1", "", 200, "text/html; charset=utf-8"},
	{"GET /catalog/{api}/{version}", "GET /catalog/PUBLISHED/v1?from=x", "", 400, "text/html; charset=utf-8"},
	{"GET /catalog/{api}/{version}", "GET /catalog/PUBLISHED/v2", "", 404, "text/html; charset=utf-8"},
	{"POST /catalog/{api}/{version}/access", "POST /catalog/PUBLISHED/v1/access", "", 303, ""},
	{"POST /catalog/{api}/{version}/access", "POST /catalog/PUBLISHED/v1/access", "plan=nothing", 422, "text/html; charset=utf-8"},
	{"POST /catalog/{api}/{version}/access", "POST /catalog/nothing/v1/access", "", 404, "text/html; charset=utf-8"},
	{"GET /access", "GET /access?state=pending", "", 200, "text/html; charset=utf-8"},
	{"GET /access", "GET /access?state=x", "", 400, "text/html; charset=utf-8"},
	{"POST /access/{id}/approve", "POST /access/PENDING/approve", "", 303, ""},
	{"POST /access/{id}/approve", "POST /access/acc_x/approve", "", 404, "text/html; charset=utf-8"},
	{"POST /access/{id}/reject", "POST /access/PENDING/reject", "page=version", 303, ""},
	{"POST /access/{id}/reject", "POST /access/GRANTED/reject", "", 409, "text/html; charset=utf-8"},
	{"POST /access/{id}/suspend", "POST /access/GRANTED/suspend", "", 303, ""},
	{"POST /access/{id}/suspend", "POST /access/PENDING/suspend", "", 409, "text/html; charset=utf-8"},
	{"GET /workers", "GET /workers", "", 200, "text/html; charset=utf-8"},
	{"POST /workers/{id}/quiet", "POST /workers/WORKER/quiet", "", 303, ""},
	{"POST /workers/{id}/quiet", "POST /workers/wk_x/quiet", "", 404, "text/html; charset=utf-8"},
	{"POST /workers/{id}/terminate", "POST /workers/WORKER/terminate", "", 303, ""},
	{"POST /workers/{id}/terminate", "POST /workers/wk_x/terminate", "", 404, "text/html; charset=utf-8"},
	{"GET /hub", "GET /hub", "", 200, "text/html; charset=utf-8"},
	{"GET /login", "GET /login", "", 303, ""},
	{"POST /login", "POST /login", "", 303, ""},
	{"POST /logout", "POST /logout", "", 303, ""},
	{"GET /static/", "GET /static/jobhub.css", "", 200, "text/css; charset=utf-8"},
	{"GET /static/", "GET /static/nothing.css", "", 404, "application/problem+json"},
}

// routes reads the tables of routes, so that none can be without a case here.
func routes(t *testing.T) (patterns []string) {
	t.Helper()
	return routesIn(t, "api/routes.go", "batch/routes.go", "live/routes.go", "pages/routes.go", "docs/routes.go", "explain.go", "account.go")
}

// routesIn reads the tables of routes in some files.
func routesIn(t *testing.T, files ...string) (patterns []string) {
	t.Helper()
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			if key, ok := pair.Key.(*ast.BasicLit); ok {
				pattern, err := strconv.Unquote(key.Value)
				if err != nil {
					t.Fatal(err)
				}
				patterns = append(patterns, pattern)
			}
			return true
		})
	}
	return patterns
}

func TestRoutes(t *testing.T) {
	open, keyed := start(t), start(t)
	keyed.bearer = keyed.key(auth.Admin, "default")
	patterns := routes(t)
	if len(patterns) < 31 {
		t.Fatalf("only %d routes were found", len(patterns))
	}
	for _, pattern := range patterns {
		good := false
		for _, c := range routeCases {
			good = good || c.route == pattern && (c.status < 400 || c.route == "GET /v1/ws" || c.route == "GET /v1/events") // which have no end; other tests see them
		}
		if !good {
			t.Errorf("%s has no case", pattern)
		}
	}
	for _, c := range routeCases {
		t.Run(c.request, func(t *testing.T) {
			if !slices.Contains(patterns, c.route) {
				t.Errorf("there is no route %s any more", c.route)
			}
			w := open
			if strings.Contains(c.route, "/v1/keys") { // the first key closes the hub
				w = keyed
			}
			method, path, body := w.prepare(c)
			r := w.do(method, path, body, formHeaders(path)...)
			r.t = t
			referrer := "no-referrer"
			if strings.HasPrefix(c.contentType, "text/html") {
				referrer = "same-origin" // their forms have to say where they come from
			}
			r.want(c.status).has("Content-Type", c.contentType, "X-Content-Type-Options", "nosniff", "Referrer-Policy", referrer, "Set-Cookie", "")
			if !strings.HasPrefix(path, "/static/") && !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("Content-Security-Policy: %q", r.header.Get("Content-Security-Policy"))
			}
			if strings.HasPrefix(path, "/v1/") && c.status != http.StatusNoContent {
				r.has("Cache-Control", "no-store")
			}
			if r.status >= 400 && strings.HasPrefix(path, "/v1/") {
				p := r.json()
				if p["instance"] != strings.Split(path, "?")[0] {
					t.Errorf("instance %v", p["instance"])
				}
			}
		})
	}
}

func TestPathsThatLeadNowhere(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	for _, path := range []string{"/v1", "/v1/", "/v1/jobs/", "/v2/jobs", "/v1/jobs/" + id + "/", "/v1/jobs/" + id + "/nothing", "/v1/jobs/..;/queues", `/v1\jobs`,
		"/v1/jobs/x", "/v1/jobs/" + id[:35], "/v1/jobs/" + id + "0", "/v1/jobs/{" + id + "}", "/v1/jobs/" + strings.ReplaceAll(id, "-", ""), "/v1/jobs/urn:uuid:" + id,
		"/v1/jobs/%00", "/v1/jobs/" + id + "%00", "/v1/jobs/%2e%2e", "/v1/jobs/" + id + "%2Fresponse", "/v1/jobs/x/response", "/v1%2Fjobs", "/favicon.ico"} {
		w.do("GET", path, "").problem(http.StatusNotFound, "not_found")
	}
	w.do("POST", "/v1/jobs/x/cancel", "").problem(http.StatusNotFound, "not_found")
	w.do("DELETE", "/v1/jobs/x", "").problem(http.StatusNotFound, "not_found")
	for _, path := range []string{"/static/..%2f..%2fetc/passwd", "/static/%2e%2e/go.mod", "/static/embed.go", "/static/%00", "/static/vendor/", "/static/"} {
		if r := w.do("GET", path, ""); r.status != 404 && r.status != 301 && r.status != 307 || strings.Contains(r.body, "module") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestMethodsThatAPathDoesNotTake(t *testing.T) {
	w := start(t)
	for request, allow := range map[string]string{
		"PUT /v1/jobs":                          "GET, HEAD, POST",
		"PUT /v1/jobs/" + unknownID:             "GET, HEAD, PATCH, DELETE",
		"GET /v1/jobs/" + unknownID + "/cancel": "POST",
		"POST /healthz":                         "GET, HEAD",
		"OPTIONS /v1/queues":                    "GET, HEAD",
		"POST /v1/schedules/s":                  "GET, HEAD, PUT, DELETE",
		"GET /batch":                            "POST",
		"POST /":                                "GET, HEAD",
	} {
		method, path, _ := strings.Cut(request, " ")
		w.do(method, path, "").has("Allow", allow).problem(http.StatusMethodNotAllowed, "unsupported")
	}
}

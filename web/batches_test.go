package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

// later submits a batch as a job.
func (w *world) later(items string) string {
	w.t.Helper()
	return w.do("POST", "/batch?async=true", `{"requests":[`+items+`]}`).want(202).text("id")
}

// fan submits a fan-out to an upstream that the hub may call.
func (w *world) fan(policy string, targets ...string) string {
	w.t.Helper()
	var list []string
	for _, t := range targets {
		name, at, _ := strings.Cut(t, " ")
		list = append(list, fmt.Sprintf(`{"name":%q,"method":"GET","url":%q}`, name, at))
	}
	return w.submit(`{"kind":"fanout","input":{"policy":"` + policy + `","targets":[` + strings.Join(list, ",") + `]},"retry":{"max_attempts":1}}`)
}

// cells are the words of the grid of a page.
func cells(page string) (all []string) {
	for _, m := range regexp.MustCompile(`<a id="batch-\d+" class="\w+" href="\?item=\d+(?:#batch-item)?" title="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

func (w *world) grid(id, want string) {
	w.t.Helper()
	if got := strings.Join(cells(w.do("GET", "/batches/"+id, "").want(200).body), ", "); got != want {
		w.t.Errorf("the grid shows %s, want %s", got, want)
	}
}

const missing = `{"id":"missing","method":"GET","path":"/v1/jobs/` + unknownID + `"}`

// TestBatchesPage: batches and fan-outs in one list, newest first, with cursors and filters.
func TestBatchesPage(t *testing.T) {
	w := start(t)
	if page := w.do("GET", "/batches", "").want(200).body; !strings.Contains(page, "No batch and no fan-out yet") || !strings.Contains(page, "/batch?async=true") {
		t.Error("the empty page does not teach")
	}
	w.do("PUT", "/v1/schedules/other", `{"cron":"@daily","job":{"kind":"nobody"}}`)
	var ids []string
	for i := range 30 {
		if i%3 == 0 {
			ids = append(ids, w.fan("settled", "a http://localhost:1/", "b http://localhost:1/"))
		} else {
			ids = append(ids, w.later(missing+`,{"method":"GET","path":"/healthz"}`))
		}
		w.submit(`{"kind":"nobody"}`)
	}
	for i, id := range ids {
		if i%3 == 0 {
			w.do("DELETE", "/v1/jobs/"+id, "")
		} else {
			w.await(id, "succeeded")
		}
	}
	rows := regexp.MustCompile(`<tr id="batches-([0-9a-f-]{36})"`)
	read := func(path string) (got []string, next string) {
		page := w.do("GET", path, "").want(200).body
		for _, m := range rows.FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		if m := regexp.MustCompile(`href="([^"]*cursor=[^"]*)" rel="next"`).FindStringSubmatch(page); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		return got, next
	}
	first, next := read("/batches")
	second, last := read(next)
	if all := append(first, second...); len(first) != 25 || last != "" || len(all) != 30 {
		t.Fatalf("pages of %d and %d rows, and then %q", len(first), len(second), last)
	} else {
		for i, id := range all {
			if id != ids[29-i] {
				t.Fatalf("row %d is %s, want %s", i, id, ids[29-i])
			}
		}
	}
	if got, _ := read("/batches?kind=fanout"); len(got) != 10 || got[0] != ids[27] {
		t.Errorf("fan-outs: %v", got)
	}
	if got, _ := read("/batches?state=succeeded&kind=batch&state=failed"); len(got) != 20 {
		t.Errorf("batches that have ended: %d", len(got))
	}
	page := w.do("GET", "/batches?kind=batch", "").body
	if !strings.Contains(page, "2: 1 done, 1 failed") {
		t.Error("the list does not say how the requests went")
	}
	if page := w.do("GET", "/batches?state=waiting", "").body; !strings.Contains(page, "No match") {
		t.Error("a filter that lets nothing through says nothing of itself")
	}
	w.bearer = w.key(auth.Viewer, "other")
	if got, _ := read("/batches"); len(got) != 0 {
		t.Error("another tenant's batches are shown")
	}
}

// TestBatchPage: each request is a cell, with the state of the job that it submitted.
func TestBatchPage(t *testing.T) {
	w := start(t)
	slow := w.submit(`{"kind":"script","input":"slow"}`)
	id := w.later(missing + `,{"id":"after","method":"GET","path":"/healthz","depends_on":["missing"]},
		{"id":"member","method":"POST","path":"/v1/jobs","body":{"kind":"script","input":"member"}},
		{"id":"slow","method":"GET","path":"/v1/jobs/` + slow + `?version=1000&token=secret","headers":{"Prefer":"wait=60"}},
		{"method":"GET","path":"/healthz","depends_on":["slow"]}`)
	w.partial(id, "404 424 202 null null")
	member := w.script("member") // is at work
	w.grid(id, "missing failed 404, after cancelled 424, member running 202, slow running, 5 waiting")
	child := w.do("GET", "/v1/jobs?parent="+id, "").json()["jobs"].([]any)
	if len(child) != 1 {
		t.Fatalf("the batch has %d jobs, want 1", len(child))
	}
	childID := child[0].(map[string]any)["id"].(string)
	page := w.do("GET", "/batches/"+id, "").body
	for _, text := range []string{"/jobs/" + childID, "1 job", `action="/batches/` + id + `/cancel"`, "Failed dependency", "GET /v1/jobs/" + slow + "?…", `data-view="batch:` + id + `"`} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not show %s", text)
		}
	}
	if strings.Contains(page, "secret") || strings.Contains(page, "/retry\"") {
		t.Error("the page shows a query, or would retry what has not ended")
	}
	w.do("GET", "/batches/"+id+"?show=failed", "").want(200)
	if page := w.do("GET", "/batches/"+id+"?item=1", "").want(200).body; !strings.Contains(page, "depends_on") && !strings.Contains(page, "There is no such job") {
		t.Error("the request that was picked is not shown with its answer")
	}

	w.post("/batches/"+id+"/retry", nil).want(http.StatusConflict)
	member.fail("broken")
	w.script("slow").succeed(`1`)
	w.await(id, "succeeded")
	w.await(childID, "retrying")
	w.grid(id, "missing failed 404, after cancelled 424, member retrying 202, slow succeeded 200, 5 succeeded 200")
	w.do("DELETE", "/v1/jobs/"+childID, "")
	w.grid(id, "missing failed 404, after cancelled 424, member cancelled 202, slow succeeded 200, 5 succeeded 200")

	// What failed, or was not made, is done again by itself; what a job came to is not.
	to := w.post("/batches/"+id+"/retry", nil).want(303).header.Get("Location")
	again := strings.TrimPrefix(to, "/batches/")
	w.await(again, "succeeded")
	w.grid(again, "missing failed 404, after cancelled 424")
	job := w.do("GET", "/v1/jobs/"+again, "").json()
	if got := fmt.Sprint(job["input"]); job["retry_of"] != id || !strings.Contains(got, "depends_on:[missing]") {
		t.Errorf("repeats %v with %s", job["retry_of"], got)
	}
	w.do("GET", "/batches/"+childID, "").want(404)
}

// TestRetrySome: a request whose dependency has had its answer no longer waits for it.
func TestRetrySome(t *testing.T) {
	w := start(t)
	id := w.later(`{"id":"well","method":"GET","path":"/healthz"},{"id":"x","method":"GET","path":"/v1/jobs/` + unknownID + `","depends_on":["well"]},{"method":"GET","path":"/healthz","depends_on":["x","well"]}`)
	w.await(id, "succeeded")
	to := w.post("/batches/"+id+"/retry", nil).want(303).header.Get("Location")
	job := w.do("GET", "/v1"+strings.Replace(to, "batches", "jobs", 1), "").json()
	if got, want := fmt.Sprint(job["input"]), "map[requests:[map[depends_on:[] id:x method:GET path:/v1/jobs/"+unknownID+"] map[depends_on:[x] method:GET path:/healthz]]]"; got != want {
		t.Errorf("input %s\n want %s", got, want)
	}
	good := w.later(`{"method":"GET","path":"/healthz"}`)
	w.await(good, "succeeded")
	if r := w.post("/batches/"+good+"/retry", nil).want(409); !strings.Contains(r.body, "Nothing of it failed") {
		t.Errorf("a retry of a batch without failures is answered with %s", r.body)
	}
}

// TestFanoutPage: targets as cells, and only those retried that failed.
func TestFanoutPage(t *testing.T) {
	w := start(t)
	id := w.fan("settled", "north http://localhost:1/", "south http://localhost:1/x?key=secret")
	w.await(id, "succeeded") // both are refused: the addresses are private
	w.grid(id, "north failed, south failed")
	page := w.do("GET", "/batches/"+id, "").body
	for _, text := range []string{"settled", "GET localhost:1/x?…", "Retry 2 targets", "2 failed"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not show %s", text)
		}
	}
	if strings.Contains(page, "secret") {
		t.Error("the page shows a secret of a URL")
	}
	to := w.post("/batches/"+id+"/retry", nil).want(303).header.Get("Location")
	again := strings.TrimPrefix(to, "/batches/")
	w.await(again, "succeeded")
	w.grid(again, "north failed, south failed")

	w.bearer = w.key(auth.Viewer, "default")
	if r := w.post("/batches/"+id+"/retry", nil); r.status != http.StatusForbidden {
		t.Errorf("a viewer's retry is answered with %d", r.status)
	}
	w.bearer = w.key(auth.Admin, "other")
	w.do("GET", "/batches/"+id, "").want(404)
	w.post("/batches/"+id+"/cancel", nil).want(404)
}

func TestCancelBatch(t *testing.T) {
	w := start(t)
	slow := w.submit(`{"kind":"nobody"}`)
	id := w.later(`{"method":"GET","path":"/healthz"},{"method":"GET","path":"/v1/jobs/` + slow + `?version=1000","headers":{"Prefer":"wait=60"}}`)
	w.partial(id, "200 null")
	if r := w.post("/batches/"+id+"/cancel", url.Values{"ask": {"1"}}).want(200); !strings.Contains(r.body, "Cancel this batch?") {
		t.Errorf("it does not ask: %s", r.body)
	}
	w.post("/batches/"+id+"/cancel", nil).want(303).has("Location", "/batches/"+id)
	w.await(id, "cancelled")
	w.grid(id, "1 succeeded 200, 2 cancelled")
}

// TestBatchLive: cells of the live view flip one by one, also with what becomes of jobs.
func TestBatchLive(t *testing.T) {
	w := start(t)
	var items []string
	for i := range 1000 {
		kind := "nobody"
		if i == 700 {
			kind = "script"
		}
		items = append(items, fmt.Sprintf(`{"method":"POST","path":"/v1/jobs","body":{"kind":%q,"input":"it"}}`, kind))
	}
	id := w.later(strings.Join(items, ","))
	w.await(id, "succeeded")
	if page := w.do("GET", "/batches/"+id, "").want(200).body; len(page) > 100_000 || len(cells(page)) != 1000 {
		t.Errorf("a page of %d bytes with %d cells", len(page), len(cells(page)))
	}
	script := w.script("it")
	w.await(w.do("GET", "/v1/jobs?kind=script", "").want(200).json()["jobs"].([]any)[0].(map[string]any)["id"].(string), "running")
	c := w.connect("")
	c.send(`{"type":"subscribe","id":"b","view":"batch:%s"}`, id)
	if html := c.until("patch")["html"].(string); len(cells(html)) != 1000 || !strings.Contains(html, `title="701 running 202"`) {
		t.Fatalf("at first there are %d cells", len(cells(html)))
	}
	script.succeed(`1`)
	deadline := time.Now().Add(patience)
	for {
		html := c.until("patch")["html"].(string)
		got := cells(html)
		if len(got) > 1 {
			t.Fatalf("%d cells are sent for one that changed", len(got))
		}
		if len(got) == 1 && got[0] == "701 succeeded" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cell never flips")
		}
	}
	c.send(`{"type":"unsubscribe","id":"b"}`)
	c.send(`{"type":"subscribe","id":"x","view":"batch:%s?show=nothing"}`, id)
	if m := c.until("error"); m["code"] != "bad_message" {
		t.Errorf("a place that is none is answered with %v", m)
	}
	c.send(`{"type":"subscribe","id":"z","view":"batches:%%zz"}`)
	if m := c.until("error"); m["code"] != "not_found" {
		t.Errorf("a query that can't be read is answered with %v", m)
	}
	c.send(`{"type":"subscribe","id":"y","view":"batches:kind=http"}`)
	if m := c.until("error"); m["code"] != "bad_message" {
		t.Errorf("a kind that is none of a batch is answered with %v", m)
	}
}

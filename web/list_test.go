package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

func (r reply) ids() (ids []string) {
	r.t.Helper()
	for _, job := range r.want(200).json()["jobs"].([]any) {
		ids = append(ids, job.(map[string]any)["id"].(string))
	}
	return ids
}

func TestListFilters(t *testing.T) {
	w := start(t)
	names := map[string]string{} // of jobs, by id
	add := func(name, body string) string {
		id := w.submit(body)
		names[id] = name
		return id
	}
	add("a", `{"kind":"nobody","queue":"q1","tags":["red"]}`)
	add("b", `{"kind":"other","queue":"q1","tags":["red","blue"]}`)
	add("c", `{"kind":"nobody","queue":"q2","delay":"1h"}`)
	w.await(add("d", `{"kind":"echo","queue":"q2","tags":["blue"]}`), "succeeded")
	w.do("DELETE", "/v1/jobs/"+add("e", `{"kind":"nobody","queue":"q2"}`), "").want(200)
	w.await(add("f", `{"kind":"script","input":"a"}`), "running")
	for query, want := range map[string]string{
		"":                                  "fedcba",
		"state=queued":                      "ba",
		"state=queued,running":              "fba",
		"state=queued&state=running":        "fba",
		"state=queued,queued":               "ba",
		"state=succeeded,cancelled":         "ed",
		"state=retrying":                    "",
		"queue=q1":                          "ba",
		"queue=nothing":                     "",
		"kind=nobody":                       "eca",
		"tag=red":                           "ba",
		"tag=blue&queue=q2":                 "d",
		"tag=blue&state=queued":             "b",
		"kind=nobody&queue=q2&state=queued": "",
		"kind=nobody&queue=q2&state=cancelled,scheduled":   "ec",
		"parent=" + unknownID:                              "",
		"state=&queue=&kind=&limit=&cursor=":               "fedcba",
		"tag=" + url.QueryEscape("'; DROP TABLE jobs; --"): "",
	} {
		got := ""
		for _, id := range w.do("GET", "/v1/jobs?"+query, "").ids() {
			got += names[id]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	page := w.do("GET", "/v1/jobs", "").has("Link", "").json()
	if _, more := page["next_cursor"]; more || page["epoch"] != w.hub.Epoch() || page["seq"] != json.Number(fmt.Sprint(w.store.Head().Seq)) {
		t.Errorf("%v %v %v", page["next_cursor"], page["epoch"], page["seq"])
	}
}

func TestMalformedLists(t *testing.T) {
	w := start(t)
	for query, pointer := range map[string]string{"bogus=1": "/bogus", "bogus=": "/bogus", "State=queued": "/State", "state=done": "/state", "state=queued,": "/state", "state=&state=queued": "/state",
		"limit=0": "/limit", "limit=-1": "/limit", "limit=501": "/limit", "limit=ten": "/limit", "limit=99999999999999999999": "/limit", "limit=1e2": "/limit", "cursor=!": "/cursor", "cursor=0": "/cursor",
		"cursor=zzzzzzzzzzzzzzzzzzzzz": "/cursor", "cursor=-1": "/cursor", "cursor=zzz": "/cursor", "cursor=garbage": "/cursor", "parent=x": "/parent", "queue=a&queue=b": "/queue", "state=%zz": "", "a;b": ""} {
		p := w.do("GET", "/v1/jobs?"+query, "").problem(http.StatusBadRequest, "bad_message")
		if pointer != "" && !strings.Contains(fmt.Sprint(p["errors"]), "pointer:"+pointer+"]") {
			t.Errorf("%s: errors %v do not name %s", query, p["errors"], pointer)
		}
	}
}

func TestListLeavesLargePayloadsOut(t *testing.T) {
	w := start(t)
	small, large := `"`+strings.Repeat("s", 1000)+`"`, `"`+strings.Repeat("l", 2000)+`"`
	w.await(w.submit(`{"kind":"echo","input":`+small+`}`), "succeeded")
	id := w.submit(`{"kind":"echo","input":` + large + `}`)
	w.await(id, "succeeded")
	for i, job := range w.do("GET", "/v1/jobs", "").json()["jobs"].([]any) {
		job := job.(map[string]any)
		if (job["input"] == nil) != (i == 0) || (job["result"] == nil) != (i == 0) {
			t.Errorf("job %d has input %.20v and result %.20v", i, job["input"], job["result"])
		}
	}
	if w.do("GET", "/v1/jobs/"+id, "").text("result") != strings.Trim(large, `"`) {
		t.Error("the document does not have the large result")
	}
}

// TestPaging walks the pages to the end while jobs are being added: all that were
// there at the start come, once, newest first.
func TestPaging(t *testing.T) {
	w := start(t)
	var before []string
	for i := range 45 {
		before = append(before, w.submit(fmt.Sprintf(`{"kind":"nobody","queue":"q%d","tags":["t"]}`, i%3)))
	}
	slices.Reverse(before)
	for _, query := range []string{"limit=7", "limit=7&state=queued", "limit=7&kind=nobody", "limit=7&tag=t", "limit=5&state=queued,running", "limit=45", "limit=44", "limit=500"} {
		over := make(chan struct{})
		var adding sync.WaitGroup
		adding.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					w.submit(`{"kind":"nobody","queue":"q1","tags":["t"]}`)
				}
			}
		})
		var got []string
		for next := "/v1/jobs?" + query; ; {
			r := w.do("GET", next, "")
			ids := r.ids()
			got = append(got, ids...)
			cursor, more := r.json()["next_cursor"]
			link := r.header.Get("Link")
			if !more {
				if link != "" {
					t.Errorf("%s: the last page has a Link %s", query, link)
				}
				break
			}
			target, rel, _ := strings.Cut(link, ">")
			if next = strings.TrimPrefix(target, "<"); rel != `; rel="next"` || !strings.Contains(next, "cursor="+fmt.Sprint(cursor)) || !strings.Contains(next, strings.Split(query, "&")[0]) {
				t.Fatalf("%s: Link %s for cursor %v", query, link, cursor)
			}
			if len(ids) == 0 || len(got) > 1e5 {
				t.Fatalf("%s: a page of %d that is not the last, after %d", query, len(ids), len(got))
			}
		}
		close(over)
		adding.Wait()
		sorted := slices.SortedFunc(slices.Values(got), func(a, b string) int { return strings.Compare(b, a) })
		if len(slices.Compact(slices.Clone(sorted))) != len(got) {
			t.Errorf("%s: %d jobs, some twice", query, len(got))
		}
		if i := slices.Index(got, before[0]); i < 0 || !slices.Equal(got[i:], before) {
			t.Errorf("%s: of the %d jobs that were there at the start not all came in order", query, len(before))
		}
	}
}

func TestDefaultPage(t *testing.T) {
	w := start(t)
	for range 51 {
		w.submit(`{"kind":"nobody"}`)
	}
	if n := len(w.do("GET", "/v1/jobs", "").ids()); n != 50 {
		t.Errorf("%d jobs on a page", n)
	}
}

func TestCancel(t *testing.T) {
	w := start(t)
	for _, request := range []string{"POST /v1/jobs/ID/cancel", "DELETE /v1/jobs/ID"} {
		method, path, _ := strings.Cut(request, " ")
		cancel := func(id string) map[string]any {
			return w.do(method, strings.Replace(path, "ID", id, 1), "").want(200).json()
		}
		for _, body := range []string{`{"kind":"nobody"}`, `{"kind":"nobody","delay":"1h"}`} {
			id := w.submit(body)
			first := cancel(id)
			if first["state"] != "cancelled" || first["reason"] != "user" || first["finished_at"] == nil || first["version"] != json.Number("2") {
				t.Errorf("%s of a waiting job: %v", request, first)
			}
			if again := cancel(id); fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("%s again: %v, first %v", request, again, first)
			}
		}
		id := w.submit(`{"kind":"script","input":"` + method + `"}`)
		w.await(id, "running")
		if told := cancel(id); told["cancel_requested"] != true {
			t.Errorf("%s of a running job: %v", request, told)
		}
		if done := w.await(id, "cancelled"); done["reason"] != "user" || done["version"] != json.Number("4") {
			t.Errorf("it ended as %v", done)
		}
		id = w.submit(`{"kind":"echo"}`)
		w.await(id, "succeeded")
		if done := cancel(id); done["state"] != "succeeded" || done["cancel_requested"] != false {
			t.Errorf("%s of a finished job: %v", request, done)
		}
	}
}

func TestQueues(t *testing.T) {
	w := start(t)
	if queues := w.do("GET", "/v1/queues", "").want(200).json()["queues"].([]any); len(queues) != 0 {
		t.Errorf("a new hub has queues %v", queues)
	}
	w.submit(`{"kind":"nobody","queue":"b"}`)
	w.submit(`{"kind":"nobody","queue":"b"}`)
	w.submit(`{"kind":"nobody","queue":"b","delay":"1h"}`)
	w.await(w.submit(`{"kind":"echo","queue":"a"}`), "succeeded")
	w.await(w.submit(`{"kind":"script","input":"a","queue":"a"}`), "running")
	page := w.do("GET", "/v1/queues", "").want(200).json()
	queues := page["queues"].([]any)
	if len(queues) != 2 || page["epoch"] != w.hub.Epoch() || page["seq"] != json.Number(fmt.Sprint(w.store.Head().Seq)) {
		t.Fatalf("%v", page)
	}
	for i, want := range []struct {
		name   string
		states map[string]string
		oldest bool
	}{{"a", map[string]string{"succeeded": "1", "running": "1"}, false}, {"b", map[string]string{"queued": "2", "scheduled": "1"}, true}} {
		q := queues[i].(map[string]any)
		states := q["states"].(map[string]any)
		for _, state := range []string{"scheduled", "queued", "running", "retrying", "waiting", "succeeded", "failed", "cancelled"} {
			n := want.states[state]
			if n == "" {
				n = "0"
			}
			if states[state] != json.Number(n) {
				t.Errorf("queue %s has %v %s, want %s", want.name, states[state], state, n)
			}
		}
		if q["name"] != want.name || q["paused"] != false || (q["oldest_ms"] != nil) != want.oldest || len(states) != 8 {
			t.Errorf("%v", q)
		}
		for _, member := range []string{"in", "out", "failed"} {
			if _, ok := q["rates"].(map[string]any)[member].(json.Number); !ok {
				t.Errorf("rates %v", q["rates"])
			}
		}
		for _, member := range []string{"concurrency", "rate", "capacity", "per_key"} {
			if _, ok := q["limits"].(map[string]any)[member]; !ok {
				t.Errorf("limits %v", q["limits"])
			}
		}
	}
}

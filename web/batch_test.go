package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/web"
)

// responses are those of a batch.
func (r reply) responses() (list []map[string]any) {
	r.t.Helper()
	all, _ := r.json()["responses"].([]any)
	for _, one := range all {
		m, _ := one.(map[string]any)
		list = append(list, m)
	}
	return list
}

func (w *world) batch(requests string, headers ...string) []map[string]any {
	w.t.Helper()
	return w.do("POST", "/batch", `{"requests":[`+requests+`]}`, headers...).want(http.StatusOK).has("Content-Type", "application/json").responses()
}

func statuses(list []map[string]any) string {
	var words []string
	for _, m := range list {
		words = append(words, fmt.Sprint(m["status"]))
	}
	return strings.Join(words, " ")
}

// TestBatchAsTheSeedsHaveIt sends the examples of 004 unchanged.
func TestBatchAsTheSeedsHaveIt(t *testing.T) {
	w := start(t)
	for body, want := range map[string]string{
		`{
  "requests": [
    {"method": "GET", "path": "/api/item1"},
    {"method": "POST", "path": "/api/item2", "body": {"data": "value"}}
  ]
}`: "404 404",
		`{
  "requests": [
    {"method": "GET", "path": "/users/1"},
    {"method": "GET", "path": "/users/2"}
  ]
}`: "404 404",
		`{
  "requests": [
    {"method": "POST", "path": "/orders", "body": {"item": "book"}},
    {"method": "DELETE", "path": "/orders/5"}
  ]
}`: "404 404",
		`{"requests": [{"method": "GET", "path": "/items/1"}, {"method": "POST", "path": "/items", "body": {"name": "NewItem"}}]}`: "404 404",
		`{"requests":[]}`: "",
	} {
		for _, path := range []string{"/batch", "/v1/batch"} {
			r := w.do("POST", path, body).want(http.StatusOK)
			list := r.responses()
			if got := statuses(list); got != want {
				t.Errorf("%s: %s, want %s", body, got, want)
			}
			for i, m := range list {
				if m["index"] != json.Number(fmt.Sprint(i)) || m["id"] != nil || m["body"].(map[string]any)["code"] != "not_found" {
					t.Errorf("response %d: %v", i, m)
				}
			}
		}
	}
}

func TestBatchOfManyThings(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody","input":{"big":12345678901234567890.10}}`)
	list := w.batch(`{"id":"job","method":"GET","path":"/v1/jobs/` + id + `"},
		{"method":"get","url":"/v1/jobs?limit=1&queue=default"},
		{"id":"new","method":"POST","path":"/v1/jobs","body":{"kind":"echo","input":{"n":1.10}},"headers":{"Prefer":"wait=10"}},
		{"id":"text","method":"POST","path":"/v1/jobs","headers":{"content-type":"application/json"},"body":"{\"kind\":\"nobody\"}"},
		{"id":"plain","method":"POST","path":"/v1/jobs","body":"{\"kind\":\"nobody\"}"},
		{"id":"bytes","method":"POST","path":"/v1/jobs","headers":{"Content-Type":"application/json","Connection":"close","Content-Length":"1"},"body":{"base64":"eyJraW5kIjoibm9ib2R5In0="}},
		{"id":"wrong","method":"POST","path":"/v1/jobs","body":{"kind":"UPPER"}},
		{"method":"GET","path":"/static/copy.js"},
		{"method":"DELETE","path":"/v1/jobs/` + id + `"}`)
	if got := statuses(list); got != "200 200 200 202 415 202 422 200 200" {
		t.Fatalf("statuses %s", got)
	}
	for i, want := range []any{"job", nil, "new", "text", "plain", "bytes", "wrong", nil, nil} {
		if list[i]["id"] != want || list[i]["index"] != json.Number(fmt.Sprint(i)) {
			t.Errorf("response %d: id %v, index %v", i, list[i]["id"], list[i]["index"])
		}
	}
	if doc := list[0]["body"].(map[string]any); fmt.Sprint(doc["id"], doc["input"]) != id+"map[big:12345678901234567890.10]" {
		t.Errorf("body of the first: %v", doc)
	}
	if h := list[3]["headers"].(map[string]any); !strings.HasPrefix(h["location"].(string), "/v1/jobs/") || h["content-type"] != "application/json" || h["vary"] != "Prefer" || h["content-length"] != nil || h["content-security-policy"] != nil {
		t.Errorf("headers %v", h)
	}
	if h := list[2]["headers"].(map[string]any); fmt.Sprint(list[2]["body"]) != "map[n:1.10]" || h["asyncresult"] != "200" {
		t.Errorf("a submit that was waited for: %v", list[2])
	}
	if _, isText := list[7]["body"].(string); !isText {
		t.Errorf("a text: %v", list[7]["body"])
	}
}

func TestBatchItemsThatAreWrong(t *testing.T) {
	w := start(t)
	for item, code := range map[string]string{
		`"method":"GET","path":"http://127.0.0.1/v1/jobs"`:                           "bad_message",
		`"method":"GET","url":"https://example.com/"`:                                "bad_message",
		`"method":"GET","path":"//example.com/v1/jobs"`:                              "bad_message",
		`"method":"GET","path":"v1/jobs"`:                                            "bad_message",
		`"method":"GET","path":""`:                                                   "bad_message",
		`"method":"GET"`:                                                             "bad_message",
		`"method":"GET","path":"/v1/jobs\r\nX: y"`:                                   "bad_message",
		`"method":"GET","path":"/v1/jobs a"`:                                         "bad_message",
		`"method":"GET","path":"/v1\\jobs"`:                                          "bad_message",
		`"method":"GET","path":"/v1/%zz"`:                                            "bad_message",
		`"method":"GET","path":"/v1/jobs","url":"/v1/jobs"`:                          "bad_message",
		`"path":"/v1/jobs"`:                                                          "bad_message",
		`"method":"GE T","path":"/v1/jobs"`:                                          "bad_message",
		`"method":"CONNECT","path":"/v1/jobs"`:                                       "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"a b":"c"}`:                     "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"a":"c\nd"}`:                    "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"authorization":"Bearer jh_x"}`: "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"Host":"evil.test"}`:            "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"Cookie":"a=b"}`:                "bad_message",
		`"method":"GET","path":"/v1/jobs","headers":{"X-Forwarded-For":"10.0.0.1"}`:  "bad_message",
		`"method":"POST","path":"/v1/jobs","body":{"base64":"!"}`:                    "bad_message",
		`"method":"GET","path":"/v1/ws"`:                                             "unsupported",
		`"method":"GET","path":"/v1/ws?all=1","headers":{"Upgrade":"websocket"}`:     "unsupported",
		`"method":"GET","path":"/v1/events?all=1"`:                                   "unsupported",
	} {
		list := w.batch(`{"id":"x",` + item + `},{"method":"GET","path":"/healthz"}`)
		if got := statuses(list); got != "400 200" {
			t.Errorf("%s: %s", item, got)
			continue
		}
		p := list[0]["body"].(map[string]any)
		if p["code"] != code || list[0]["headers"].(map[string]any)["content-type"] != "application/problem+json" {
			t.Errorf("%s: %v", item, list[0])
		}
	}
	w.nothingStored()
}

func TestBatchesThatAreWrong(t *testing.T) {
	w := start(t)
	get := `{"method":"GET","path":"/healthz"}`
	post := `{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody"}}`
	for body, want := range map[string]int{
		``:                              400,
		`{"requests":[` + post + `]`:    400,
		`{"requests":[` + post + `]}{}`: 400,
		`{"requests":[],"requests":[]}`: 400,
		`[]`:                            422,
		`{}`:                            422,
		`{"requests":null}`:             422,
		`{"requests":{}}`:               422,
		`{"requests":["x"]}`:            422,
		`{"requests":[` + post + `,{"method":"GET","path":"/","other":1}]}`: 422,
		`{"requests":[` + post + `,{"id":7,"method":"GET","path":"/"}]}`:    422,
		`{"Requests":[]}`: 422,
		`{"requests":[` + post + `,{"id":"a","method":"GET","path":"/"},{"id":"a","method":"GET","path":"/"}]}`:                                                                                               400,
		`{"requests":[` + post + `,{"id":"","method":"GET","path":"/"}]}`:                                                                                                                                     400,
		`{"requests":[` + post + `,{"method":"GET","path":"/","depends_on":["a"]}]}`:                                                                                                                          400,
		`{"requests":[` + post + `,{"id":"a","method":"GET","path":"/","depends_on":["a"]}]}`:                                                                                                                 400,
		`{"requests":[` + post + `,{"id":"a","method":"GET","path":"/","depends_on":["c"]},{"id":"b","method":"GET","path":"/","depends_on":["a"]},{"id":"c","method":"GET","path":"/","depends_on":["b"]}]}`: 400,
		`{"requests":[` + post + `],"atomicity_group":"g"}`:                                                                                                                                                   400,
		`{"requests":[` + post + `,{"method":"GET","path":"/","atomicity_group":"g"}]}`:                                                                                                                       400,
		`{"requests":[` + post + `,{"method":"POST","path":"/batch","body":{"requests":[]}}]}`:                                                                                                                400,
		`{"requests":[` + post + `,{"method":"POST","path":"/v1/batch?async=true","body":{"requests":[]}}]}`:                                                                                                  400,
		`{"requests":[` + post + `,{"method":"POST","url":"/v1//%62atch/","body":{"requests":[]}}]}`:                                                                                                          400,
		`{"requests":[` + post + strings.Repeat(","+get, 1000) + `]}`:                                                                                                                                         413,
		`{"requests":[` + post + `,{"method":"POST","path":"/x","body":"` + strings.Repeat("x", 8<<20) + `"}]}`:                                                                                               413,
	} {
		for _, query := range []string{"", "?async=true"} {
			r := w.do("POST", "/batch"+query, body, "Content-Type", "application/json")
			if r.status != want || r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.200s: %d %.300s", body, r.status, r.body)
			}
		}
	}
	p := w.do("POST", "/batch", `{"requests":[`+post+`,{"method":"GET","path":"/","other":1}]}`).problem(422, "bad_message")
	if at := p["errors"].([]any)[0].(map[string]any)["pointer"]; at != "/requests/1/other" {
		t.Errorf("an unknown member is at %v", at)
	}
	w.do("POST", "/batch", `{"requests":[`+strings.Repeat("{},", 999_999)+`{}]}`).problem(413, "too_large")
	w.do("POST", "/batch", `{"requests":[]}`, "Content-Type", "text/plain").problem(415, "unsupported")
	w.do("POST", "/batch?async=maybe", `{"requests":[`+post+`]}`).problem(400, "bad_message")
	w.nothingStored()
	if list := w.batch(post + strings.Repeat(","+get, 999)); len(list) != 1000 {
		t.Errorf("a batch of 1000: %d responses", len(list))
	}
}

func TestBatchDependencies(t *testing.T) {
	w := start(t)
	list := w.batch(`{"id":"last","method":"POST","path":"/v1/jobs","body":{"kind":"echo"},"depends_on":["first","second"]},
		{"id":"second","method":"POST","path":"/v1/jobs","body":{"kind":"echo"},"depends_on":["first"]},
		{"id":"first","method":"POST","path":"/v1/jobs","body":{"kind":"echo"}},
		{"id":"bad","method":"GET","path":"/nothing"},
		{"id":"child","method":"POST","path":"/v1/jobs","body":{"kind":"never"},"depends_on":["first","bad"]},
		{"id":"grandchild","method":"POST","path":"/v1/jobs","body":{"kind":"never"},"depends_on":["child"]},
		{"id":"free","method":"GET","path":"/healthz"}`)
	if got := statuses(list); got != "202 202 202 404 424 424 200" {
		t.Fatalf("statuses %s", got)
	}
	seq := func(i int) json.Number { return list[i]["body"].(map[string]any)["seq"].(json.Number) }
	first, _ := seq(2).Int64()
	second, _ := seq(1).Int64()
	last, _ := seq(0).Int64()
	if !(first < second && second < last) {
		t.Errorf("events %d, %d, %d: not in the order of their dependencies", first, second, last)
	}
	if p := list[4]["body"].(map[string]any); p["title"] != "Failed dependency" || p["code"] != "conflict" {
		t.Errorf("of a failed dependency: %v", p)
	}
	page, err := w.store.List(t.Context(), jobs.Filter{Kind: "never"})
	if err != nil || len(page.Jobs) > 0 {
		t.Errorf("dependents of what failed were run: %v, %v", page.Jobs, err)
	}
}

// TestBatchCommitsTogether: the jobs of a batch are one commit, also among others. All
// events of a commit bear the same time, and the log has a row for each.
func TestBatchCommitsTogether(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	item := `{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","queue":"batched"}}`
	bad := `{"method":"POST","path":"/v1/jobs","body":{"kind":""}}`
	get := `{"method":"GET","path":"/v1/queues"}`
	for _, n := range []int{2, 50, 996} {
		before := commits(t, dir)
		list := w.batch(bad + "," + get + "," + strings.Repeat(item+",", n) + item + "," + get)
		if got := statuses(list); strings.Count(got, "202") != n+1 {
			t.Fatalf("statuses %s", got)
		}
		if got := commits(t, dir) - before; got != 1 {
			t.Errorf("%d jobs in a batch: %d commits, want 1", n+1, got)
		}
	}
	large := strings.Repeat(`{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","input":"`+strings.Repeat("x", 1900<<10)+`"}},`, 4)
	before := commits(t, dir)
	if got := statuses(w.batch(large + item)); got != "202 202 202 202 202" {
		t.Fatalf("large ones: %s", got)
	}
	if got := commits(t, dir) - before; got != 1 {
		t.Errorf("a batch of nearly 8 MiB: %d commits, want 1", got)
	}
	// The same with company that commits all the time.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			w.submit(`{"kind":"nobody"}`)
		}
	}()
	for range 10 {
		list := w.batch(strings.Repeat(item+",", 99) + item)
		var seqs []int64
		for _, m := range list {
			n, _ := m["body"].(map[string]any)["seq"].(json.Number).Int64()
			seqs = append(seqs, n)
		}
		slices.Sort(seqs)
		row := rowOf(t, dir, seqs[0])
		if last := rowOf(t, dir, seqs[len(seqs)-1]); row != last {
			t.Errorf("the jobs of a batch are in the commits %d to %d", row, last)
		}
	}
	<-done
}

func TestBatchFullQueue(t *testing.T) {
	w := start(t)
	w.do("PATCH", "/v1/queues/small", `{"capacity":3}`).want(200)
	item := `{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","queue":"small"}}`
	list := w.batch(strings.Repeat(item+",", 9) + item)
	if got := statuses(list); strings.Count(got, "202") != 3 || strings.Count(got, "503") != 7 {
		t.Fatalf("statuses %s", got)
	}
	for _, m := range list {
		if m["status"] == json.Number("503") && (m["headers"].(map[string]any)["retry-after"] == nil || m["body"].(map[string]any)["code"] != "queue_full") {
			t.Errorf("refused with %v", m)
		}
	}
}

// TestBatchIdempotency: a repeated batch finds the jobs of the first.
func TestBatchIdempotency(t *testing.T) {
	w := start(t)
	body := `{"requests":[{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody"}},{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody"}},
		{"method":"POST","path":"/v1/jobs","headers":{"Idempotency-Key":"own"},"body":{"kind":"nobody"}}]}`
	ids := func(r reply) string {
		var all []string
		for _, m := range r.want(200).responses() {
			all = append(all, fmt.Sprint(m["body"].(map[string]any)["id"]))
		}
		return strings.Join(all, " ")
	}
	first := w.do("POST", "/batch", body, "Idempotency-Key", "k")
	again := w.do("POST", "/batch", body, "Idempotency-Key", `"k"`)
	if ids(first) != ids(again) || again.responses()[0]["headers"].(map[string]any)["idempotency-replayed"] != "true" {
		t.Errorf("repeated: %s and %s", ids(first), ids(again))
	}
	words := strings.Fields(ids(first))
	if len(words) != 3 || words[0] == words[1] {
		t.Errorf("ids %v", words)
	}
	changed := w.do("POST", "/batch", strings.Replace(body, "nobody", "another", 1), "Idempotency-Key", "k")
	if got := statuses(changed.responses()); got != "422 202 202" {
		t.Errorf("with one other body: %s", got)
	}
	if other := ids(w.do("POST", "/batch", body)); strings.Fields(other)[0] == words[0] || strings.Fields(other)[2] != words[2] {
		t.Errorf("without the key: %s, and before %s", other, ids(first))
	}
}

func TestBatchCallers(t *testing.T) {
	w := startIn(t, t.TempDir(), func(p *parts) { p.web = web.Config{Store: p.web.Store, Hosts: []string{"hub.example.com"}} })
	item := `{"requests":[{"method":"GET","path":"/healthz"}]}`
	w.do("POST", "/batch", item, "Host", "hub.example.com", "Origin", "http://hub.example.com").want(200)
	if got := statuses(w.do("POST", "/batch", item, "Host", "hub.example.com").want(200).responses()); got != "200" {
		t.Errorf("by the name of the hub: %s", got)
	}
	w.do("POST", "/batch", item, "Host", "evil.test").problem(421, "forbidden")
	w.do("POST", "/batch", item, "Origin", "https://evil.test").problem(403, "forbidden")
}

func TestBatchLargeAnswers(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody","input":"` + strings.Repeat("x", 2<<20-100) + `"}`)
	var items []string
	for range 20 {
		items = append(items, `{"method":"GET","path":"/v1/jobs/`+id+`"}`)
	}
	list := w.batch(strings.Join(items, ","))
	got := statuses(list)
	if good := strings.Count(got, "200"); good < 10 || good > 16 || good+strings.Count(got, "502") != 20 {
		t.Fatalf("statuses %s", got)
	}
	for _, m := range list {
		if m["status"] == json.Number("502") && m["body"].(map[string]any)["code"] != "too_large" {
			t.Errorf("refused with %v", m)
		}
	}
}

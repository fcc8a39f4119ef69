package web_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jobhub/web/auth"
)

var rowID = regexp.MustCompile(`<tr id="jobs-\d+" class="\w+"><td><input type="checkbox" name="id" value="([0-9a-f-]{36})"`)

// rows are the jobs that a page shows, in order.
func (r reply) rows() (ids []string) {
	for _, m := range rowID.FindAllStringSubmatch(r.want(200).body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// The page of jobs shows what the list of the API does for the same parameters, and its
// links lead through all of it.
func TestTableShowsTheList(t *testing.T) {
	w := start(t)
	for i := range 7 {
		w.submit(fmt.Sprintf(`{"kind":"nobody","queue":"q%d","tags":["t%d"],"input":{"n":%d}}`, i%2, i%3, i))
	}
	w.do("DELETE", "/v1/jobs/"+w.submit(`{"kind":"other","queue":"q1"}`), "").want(200)
	for _, query := range []string{"", "state=queued", "state=queued&state=cancelled", "state=queued,running&queue=q1", "kind=other", "tag=t1&queue=&kind=", "parent=" + unknownID, "limit=3"} {
		if got, want := w.do("GET", "/jobs?"+query, "").rows(), w.do("GET", "/v1/jobs?"+query, "").ids(); !slices.Equal(got, want) {
			t.Errorf("%s: the page shows %v, the API %v", query, got, want)
		}
	}
	next := regexp.MustCompile(`href="(/jobs\?[^"]*)" rel="next"`)
	var all []string
	for path := "/jobs?limit=3&queue="; path != ""; {
		page := w.do("GET", path, "")
		all = append(all, page.rows()...)
		path = ""
		if m := next.FindStringSubmatch(page.body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if want := w.do("GET", "/v1/jobs", "").ids(); !slices.Equal(all, want) {
		t.Errorf("the pages show %v, the API %v", all, want)
	}
	page := w.do("GET", "/jobs?queue=q1", "").want(200).body
	for _, part := range []string{`id="jobs-count-queued">3<`, `id="jobs-count-cancelled">1<`, `id="jobs-count-failed">0<`, `4 jobs, newest first`} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	if page := w.do("GET", "/jobs?kind=nobody", "").want(200).body; !strings.Contains(page, `id="jobs-count-queued"></small>`) {
		t.Error("a number that is not known is shown")
	}
}

func TestTableSearches(t *testing.T) {
	w := start(t)
	a := w.submit(`{"kind":"nobody","input":{"customer":"Müller & Söhne"},"tags":["Rot"]}`)
	b := w.submit(`{"kind":"nobody.else","input":{"customer":"Meier"}}`)
	w.submit(`{"kind":"other"}`)
	for text, want := range map[string][]string{"söhne": {a}, "NOBODY": {b, a}, "rot": {a}, a: {a}, "nothing": nil, " else ": {b}} {
		if got := w.do("GET", "/jobs?q="+url.QueryEscape(text), "").rows(); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", text, got, want)
		}
	}
	if got := w.do("GET", "/jobs?q=nobody&limit=1", ""); !slices.Equal(got.rows(), []string{b}) || !strings.Contains(got.body, `rel="next"`) {
		t.Error("a page of a search has no next")
	}
}

func TestTableOfNamedJobs(t *testing.T) {
	w := start(t)
	a, b := w.submit(`{"kind":"nobody"}`), w.submit(`{"kind":"nobody"}`)
	w.submit(`{"kind":"nobody"}`)
	if got := w.do("GET", "/jobs?id="+b+","+unknownID+","+a, "").rows(); !slices.Equal(got, []string{b, a}) {
		t.Errorf("got %v", got)
	}
	w.do("GET", "/jobs?id="+b+",x", "").want(400)
	w.bulk(url.Values{"do": {"cancel matching"}, "back": {"id=" + a}}).want(400)
	w.await(b, "queued")
}

func TestTableByAge(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	if got := w.do("GET", "/jobs?since=24h", "").rows(); !slices.Equal(got, []string{id}) {
		t.Errorf("of the last day: %v", got)
	}
	if got := w.do("GET", "/jobs?since=1ns", "").rows(); len(got) > 0 {
		t.Errorf("of the last nanosecond: %v", got)
	}
}

// What can't be read is said above the form, which keeps what was typed.
func TestTableMalformed(t *testing.T) {
	w := start(t)
	for _, query := range []string{"since=x", "since=-1h", "q=" + strings.Repeat("x", 257), "parent=x", "state=painted", "cursor=1", "limit=0", "bogus=1", "queue=a&queue=b", "bulk=x"} {
		page := w.do("GET", "/jobs?tag=kept&"+query, "").want(400).has("Content-Type", "text/html; charset=utf-8").body
		if !strings.Contains(page, `role="alert"`) || !strings.Contains(page, `value="kept"`) || strings.Contains(page, "data-module") && strings.Contains(page, `data-view="jobs`) {
			t.Errorf("%s: %s", query, page)
		}
	}
}

// The live view of a table sends the rows that change, and goes on with those that no
// longer belong to it.
func TestTableIsLive(t *testing.T) {
	w := start(t)
	c := w.dial("")
	first := w.submit(`{"kind":"script","input":"a","queue":"live"}`)
	w.await(first, "running")
	c.send(`{"type":"subscribe","id":"v","view":"jobs:queue=live&state=running"}`)
	html := func(m map[string]any) string { return m["html"].(string) }
	if text := html(c.until("patch")); !strings.Contains(text, `value="`+first) || !strings.Contains(text, `id="jobs-count-running">1<`) {
		t.Fatalf("the first patch is %s", text)
	}
	wait := func(parts ...string) string {
		t.Helper()
		for {
			text := html(c.until("patch"))
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) }) {
				return text
			}
		}
	}
	w.script("a").progress(42)
	if text := wait(`value="`+first, `value="42"`); strings.Count(text, "<tr") != 1 {
		t.Errorf("a change of one row sends %s", text)
	}
	second := w.submit(`{"kind":"script","input":"b","queue":"live"}`)
	wait(`value="`+second, "running")
	w.submit(`{"kind":"script","input":"c","queue":"elsewhere"}`)
	w.script("a").succeed("1")
	wait(`value="`+first, `class="succeeded"`)
	w.script("b").progress(7)
	if text := wait(`value="`+second, `value="7"`); strings.Contains(text, first) {
		t.Errorf("a row that did not change is sent: %s", text)
	}
	c.send(`{"type":"unsubscribe","id":"v"}`)
	c.until("reply")
	for _, view := range []string{"jobs:state=painted", "jobs:bogus=1", "jobs:%", "jobs:since=1"} {
		c.send(`{"type":"subscribe","id":"v2","view":"%s"}`, view)
		if m := c.until("error"); m["code"] != "bad_message" && m["code"] != "not_found" {
			t.Errorf("view %q got %v", view, m)
		}
	}
}

// Each line of output goes over the wire once.
func TestOutputIsSentOnce(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"script","input":"a"}`)
	w.await(id, "running")
	c := w.dial("")
	c.send(`{"type":"subscribe","id":"v","view":"job:%s"}`, id)
	c.until("patch")
	seen := map[string]int{}
	line := regexp.MustCompile(`<span>(line \d+)</span>`)
	for i := range 60 {
		text := fmt.Sprintf("line %d", i)
		w.script("a").output(text + "\n")
		for seen[text] == 0 {
			for _, m := range line.FindAllStringSubmatch(c.until("patch")["html"].(string), -1) {
				seen[m[1]]++
			}
		}
	}
	for text, n := range seen {
		if n != 1 {
			t.Errorf("%q was sent %d times", text, n)
		}
	}
}

func (w *world) bulk(form url.Values) reply {
	w.t.Helper()
	return w.form("/jobs/bulk", form.Encode(), "")
}

// Without script, the buttons ask first, say how many it would be, and then do it.
func TestBulkForm(t *testing.T) {
	w := start(t)
	var ids []string
	for range 3 {
		ids = append(ids, w.submit(`{"kind":"nobody","queue":"a"}`))
	}
	other := w.submit(`{"kind":"nobody","queue":"b"}`)
	w.do("DELETE", "/v1/jobs/"+ids[0], "").want(200)

	picked := url.Values{"do": {"cancel selected"}, "id": ids, "back": {"queue=a"}, "ask": {"1"}}
	page := w.bulk(picked).want(200).body
	for _, part := range []string{"Cancel 2 jobs?", "1 is left out", `value="` + ids[1] + `"`, `href="/jobs?queue=a"`} {
		if !strings.Contains(page, part) {
			t.Errorf("the question lacks %s: %s", part, page)
		}
	}
	if strings.Contains(page, ids[0]) || strings.Contains(page, `name="ask"`) {
		t.Error("the question would ask again, or for what can't be done")
	}
	w.await(ids[1], "queued")
	picked.Del("ask")
	w.bulk(picked).want(http.StatusSeeOther).has("Location", "/jobs?did=cancel&done=3&queue=a&skipped=0")
	w.await(ids[2], "cancelled")
	w.await(other, "queued")
	if page := w.do("GET", "/jobs?did=cancel&done=2&queue=a&skipped=1", "").want(200).body; !strings.Contains(page, "2 jobs cancelled, or stopping; 1 skipped") {
		t.Error("the page does not say what was done")
	}

	matching := url.Values{"do": {"retry matching"}, "back": {"queue=a&cursor=1.1"}, "ask": {"1"}}
	if page := w.bulk(matching).want(200).body; !strings.Contains(page, "Retry 3 jobs?") {
		t.Errorf("the dry run: %s", page)
	}
	if n := len(w.do("GET", "/v1/jobs?queue=a", "").ids()); n != 3 {
		t.Errorf("the dry run left %d jobs", n)
	}
	matching.Del("ask")
	to := w.bulk(matching).want(http.StatusSeeOther).header.Get("Location")
	bulk, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, "/jobs?bulk=") {
		t.Fatalf("it leads to %s", to)
	}
	w.await(bulk.Query().Get("bulk"), "succeeded")
	if n := len(w.do("GET", "/v1/jobs?queue=a&state=queued", "").ids()); n != 3 {
		t.Errorf("%d of 3 jobs were retried", n)
	}
	for _, bad := range []url.Values{
		{"do": {"cancel"}}, {"do": {"paint selected"}}, {"do": {"cancel matching"}, "back": {"bogus=1"}}, {"do": {"cancel matching"}, "back": {"%"}},
		{"do": {"cancel matching"}, "back": {"since=24h"}}, {"do": {"cancel selected"}, "id": slices.Repeat([]string{other}, 501)},
	} {
		w.bulk(bad).want(400)
	}
	w.await(other, "queued")
	for do, want := range map[string]string{"cancel selected": "Select some jobs first", "retry matching": "All matching jobs are unfinished or have a retry"} {
		if page := w.bulk(url.Values{"do": {do}, "ask": {"1"}, "back": {"queue=b"}}).want(200).body; !strings.Contains(page, want) || strings.Contains(page, "<button class=\"button strong\"") {
			t.Errorf("%s of nothing: %s", do, page)
		}
	}
}

// What is refused for another reason than the job's state is not passed over in silence.
func TestBulkFormStopsAndSaysWhy(t *testing.T) {
	w := start(t)
	picked := url.Values{"do": {"retry selected"}}
	for range 3 {
		id := w.submit(`{"kind":"nobody","queue":"small"}`)
		w.do("DELETE", "/v1/jobs/"+id, "").want(200)
		picked.Add("id", id)
	}
	w.limits("small", `{"capacity":1}`)
	w.bulk(picked).want(http.StatusServiceUnavailable).shows("Queue full", "Done with 1 job, then: The queue holds")
	if page := w.do("GET", "/v1/jobs?queue=small&state=queued", "").json(); len(page["jobs"].([]any)) != 1 {
		t.Errorf("now %v are queued", page["jobs"])
	}
}

func TestBulkFormNeedsTheRight(t *testing.T) {
	w := start(t)
	operator, viewer := w.key(auth.Operator, "default"), w.key(auth.Viewer, "default")
	w.bearer = operator
	id := w.submit(`{"kind":"nobody"}`)
	cookie := w.logIn(viewer)
	page := w.with("", "GET", "/jobs", "", "Cookie", cookie).want(200).body
	if !strings.Contains(page, "Read only") || strings.Count(page, `<button class="quiet" name="do"`) != 2 || regexp.MustCompile(`name="do" value="[a-z ]*"(>| data-picked)`).MatchString(page) {
		t.Error("who may only watch is offered more")
	}
	for _, do := range []string{"cancel selected", "retry matching"} {
		w.form("/jobs/bulk", url.Values{"do": {do}, "id": {id}}.Encode(), cookie).want(403)
	}
	w.form("/jobs/bulk", url.Values{"do": {"cancel selected"}, "id": {id}}.Encode(), w.logIn(operator), "Origin", "https://evil.example").want(403)
	w.await(id, "queued")
	stranger := w.logIn(w.key(auth.Operator, "acme"))
	w.form("/jobs/bulk", url.Values{"do": {"cancel selected"}, "id": {id}}.Encode(), stranger).want(303)
	w.form("/jobs/bulk", url.Values{"do": {"cancel matching"}}.Encode(), stranger).want(303)
	w.await(id, "queued")
	if body := w.with("", "GET", "/jobs/export.ndjson?queue=default", "", "Cookie", stranger).want(200).body; body != "\n" && strings.TrimSpace(body) != "" {
		t.Errorf("another tenant exports %s", body)
	}
}

// An export has all jobs that match, over many pages, as the list shows them.
func TestExport(t *testing.T) {
	w := start(t)
	const n = 1203
	for i := range n {
		w.submit(fmt.Sprintf(`{"kind":"nobody","queue":"many","input":{"n":%d}}`, i))
	}
	w.submit(`{"kind":"nobody","queue":"other"}`)
	r := w.do("GET", "/jobs/export.ndjson?queue=many&cursor=", "").want(200).has("Content-Disposition", `attachment; filename="jobs.ndjson"`, "Cache-Control", "no-store")
	lines := strings.Split(strings.TrimSpace(r.body), "\n")
	if len(lines) != n {
		t.Fatalf("%d lines of %d", len(lines), n)
	}
	for i, line := range lines {
		var j struct {
			Input struct{ N int }
			Queue string
			Links map[string]string
		}
		if err := json.Unmarshal([]byte(line), &j); err != nil || j.Input.N != n-1-i || j.Queue != "many" || j.Links["self"] == "" {
			t.Fatalf("line %d: %s, %v", i, line, err)
		}
	}
	table, err := csv.NewReader(strings.NewReader(w.do("GET", "/jobs/export.csv?queue=many&state=queued", "").want(200).body)).ReadAll()
	if err != nil || len(table) != n+1 || table[0][0] != "id" || table[n][2] != "many" {
		t.Fatalf("%d rows, %v", len(table), err)
	}
	if empty := w.do("GET", "/jobs/export.csv?queue=nothing", "").want(200).body; !strings.HasPrefix(empty, "id,kind,") || strings.Count(empty, "\n") != 1 {
		t.Errorf("no jobs: %q", empty)
	}
}

// No cell begins like a formula (OWASP, CSV injection).
func TestExportedCellsAreNoFormulas(t *testing.T) {
	w := start(t)
	for _, tag := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "＝1", `=cmd|'/c calc'!A1`, `"=1`, "plain"} {
		body, _ := json.Marshal(map[string]any{"kind": "script", "input": tag, "tags": []string{tag}, "priority": -5, "retry": map[string]int{"max_attempts": 1}})
		id := w.submit(string(body))
		w.script(tag).fail(tag + ",\n" + `"x"`)
		w.await(id, "failed")
	}
	text := w.do("GET", "/jobs/export.csv", "").want(200).body
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(table) != 9 {
		t.Fatalf("%d rows, %v: %s", len(table), err, text)
	}
	for _, row := range table[1:] {
		for i, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") && table[0][i] != "priority" || strings.HasPrefix(cell, "＝") {
				t.Errorf("%s: %q", table[0][i], cell)
			}
		}
	}
}

// The input is shown as it is, to the last digit, and what is wrong with another one is
// said above what was typed.
func TestRetryWithEditedInput(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"echo","input":{"n":12345678901234567890,"f":1.10}}`)
	w.await(id, "succeeded")
	page := w.do("GET", "/jobs/"+id+"/edit", "").want(200).body
	if !strings.Contains(page, "{\n  &#34;n&#34;: 12345678901234567890,\n  &#34;f&#34;: 1.10\n}</textarea>") {
		t.Errorf("the form holds %s", page)
	}
	for input, want := range map[string]string{"": "", "{": "not one JSON document", `{"a":1,"a":2}`: "duplicate", "1 2": "not one JSON document", `<script>`: "&lt;script&gt;"} {
		r := w.form("/jobs/"+id+"/retry", url.Values{"input": {input}}.Encode(), "")
		if r.status < 400 || r.status >= 500 || !strings.Contains(r.body, `role="alert"`) || !strings.Contains(r.body, want) || strings.Contains(r.body, "<script>a") {
			t.Errorf("%q: %d %s", input, r.status, r.body)
		}
	}
	to := w.form("/jobs/"+id+"/retry", url.Values{"input": {" {\r\n \"n\": 98765432109876543210 }"}}.Encode(), "").want(303).header.Get("Location")
	again := w.do("GET", "/v1"+to, "").want(200)
	if !strings.Contains(again.body, `"input":{"n":98765432109876543210}`) || again.text("retry_of") != id {
		t.Errorf("the new job is %s", again.body)
	}
	picked := w.submit(`{"kind":"picky","input":"yes"}`)
	w.await(picked, "succeeded")
	if r := w.form("/jobs/"+picked+"/retry", url.Values{"input": {`"no"`}}.Encode(), ""); r.status != 422 || !strings.Contains(r.body, "This handler takes yes only.") || !strings.Contains(r.body, "&#34;no&#34;</textarea>") {
		t.Errorf("what the handler refuses: %d %s", r.status, r.body)
	}
	if n := len(w.do("GET", "/v1/jobs?kind=echo", "").ids()); n != 2 {
		t.Errorf("there are %d jobs, want the old one and the new one", n)
	}
}

func TestCancelAsks(t *testing.T) {
	w := start(t)
	id := w.submit(`{"kind":"nobody"}`)
	if page := w.form("/jobs/"+id+"/cancel", "ask=1", "").want(200).body; !strings.Contains(page, "Cancel this job?") || strings.Contains(page, `name="ask"`) {
		t.Errorf("the question is %s", page)
	}
	w.await(id, "queued")
	w.form("/jobs/"+id+"/cancel", "", "").want(303)
	w.await(id, "cancelled")
	if page := w.form("/jobs/"+id+"/cancel", "ask=1", "").want(200).body; !strings.Contains(page, "Nothing to cancel") {
		t.Errorf("of a cancelled job: %s", page)
	}
}

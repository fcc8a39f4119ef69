package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// worker is an outside worker, played call by call.
type worker struct {
	*world
	id string
}

func (w *world) worker(slots int, kinds ...string) *worker {
	w.t.Helper()
	list, err := json.Marshal(kinds)
	if err != nil {
		w.t.Fatal(err)
	}
	return &worker{w, w.do("POST", "/v1/workers", fmt.Sprintf(`{"kinds":%s,"slots":%d}`, list, slots)).want(200).text("worker_id")}
}

func (k *worker) poll(most int, wait string) reply {
	k.t.Helper()
	return k.do("POST", "/v1/workers/"+k.id+"/lease", fmt.Sprintf(`{"max":%d,"wait":%q}`, most, wait))
}

func (k *worker) beat(wait string, tokens ...string) reply {
	k.t.Helper()
	list, err := json.Marshal(append([]string{}, tokens...))
	if err != nil {
		k.t.Fatal(err)
	}
	return k.do("POST", "/v1/workers/"+k.id+"/beat", fmt.Sprintf(`{"leases":%s,"wait":%q}`, list, wait))
}

// lease takes the one job that is there.
func (k *worker) lease() (token string, job map[string]any) {
	k.t.Helper()
	r := k.poll(1, "0s").want(200)
	list := r.leased()
	if len(list) != 1 {
		k.t.Fatalf("want one job, got %s", r.body)
	}
	return list[0]["lease"].(string), list[0]
}

// leased are the jobs in the answer to a poll.
func (r reply) leased() (list []map[string]any) {
	r.t.Helper()
	for _, job := range r.json()["jobs"].([]any) {
		list = append(list, job.(map[string]any))
	}
	return list
}

// state is what the answer says about a lease.
func (r reply) state(token string) any {
	r.t.Helper()
	return r.json()["leases"].(map[string]any)[token]
}

func (w *world) end(token, verb, body string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/leases/"+token+"/"+verb, body)
}

func (w *world) report(token string, lines ...string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/leases/"+token+"/events", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
}

// timeless runs a test in a bubble, where time passes only while everybody waits.
func timeless(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		defer w.close()
		f(t, w)
	})
}

// held starts a call and returns once it is held.
func held(call func() reply) <-chan reply {
	done := make(chan reply, 1)
	go func() { done <- call() }()
	synctest.Wait()
	return done
}

// ended is the answer of a call that was held and has to have ended by now.
func (w *world) ended(done <-chan reply) reply {
	w.t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		return r
	default:
		w.t.Fatal("the call is still held")
		return reply{}
	}
}

// pointsAt checks that a problem names a member.
func pointsAt(t *testing.T, problem map[string]any, pointer string) {
	t.Helper()
	if errs := fmt.Sprint(problem["errors"]); pointer != "" && !strings.Contains(errs, "pointer:"+pointer+"]") {
		t.Errorf("errors %s do not name %s", errs, pointer)
	}
}

func TestRegistrations(t *testing.T) {
	w := start(t)
	many := strings.Repeat(`"k",`, 999) + `"k"`
	for _, test := range []struct {
		name, body string
		status     int
		pointer    string
	}{
		{"nothing", ``, 422, "/kinds"},
		{"null", `null`, 422, "/kinds"},
		{"no kinds", `{"name":"a"}`, 422, "/kinds"},
		{"kinds empty", `{"kinds":[]}`, 422, "/kinds"},
		{"kinds as text", `{"kinds":"a"}`, 422, "/kinds"},
		{"kind empty", `{"kinds":["a",""]}`, 422, "/kinds/1"},
		{"kind upper case", `{"kinds":["A"]}`, 422, "/kinds/0"},
		{"kind too long", `{"kinds":["` + strings.Repeat("a", 65) + `"]}`, 422, "/kinds/0"},
		{"queue with a space", `{"kinds":["a"],"queues":["b c"]}`, 422, "/queues/0"},
		{"slots 0", `{"kinds":["a"],"slots":0}`, 422, "/slots"},
		{"slots -1", `{"kinds":["a"],"slots":-1}`, 422, "/slots"},
		{"slots too many", `{"kinds":["a"],"slots":10001}`, 422, "/slots"},
		{"slots broken", `{"kinds":["a"],"slots":1.5}`, 422, "/slots"},
		{"slots as text", `{"kinds":["a"],"slots":"1"}`, 422, "/slots"},
		{"name too long", `{"kinds":["a"],"name":"` + strings.Repeat("n", 129) + `"}`, 422, "/name"},
		{"unknown member", `{"kinds":["a"],"colour":"red"}`, 422, "/colour"},
		{"case variant", `{"Kinds":["a"]}`, 422, "/Kinds"},
		{"member twice", `{"kinds":["a"],"kinds":["b"]}`, 400, "/kinds"},
		{"cut off", `{"kinds":["a"`, 400, ""},
		{"trailing data", `{"kinds":["a"]}{}`, 400, ""},
		{"blank", ` `, 400, ""},

		{"least", `{"kinds":["a"]}`, 200, ""},
		{"most", `{"kinds":["` + strings.Repeat("a", 64) + `"],"queues":["q"],"slots":10000,"name":"` + strings.Repeat("n", 128) + `"}`, 200, ""},
		{"all queues", `{"kinds":["a"],"queues":[]}`, 200, ""},
		{"too many kinds", `{"kinds":[` + many + `,"k"]}`, 422, "/kinds"},
		{"too many queues", `{"kinds":["k"],"queues":[` + many + `,"k"]}`, 422, "/queues"},
		{"http", `{"kinds":["k","http"]}`, 422, "/kinds/1"},
		{"fanout", `{"kinds":["fanout"]}`, 422, "/kinds/0"},
		{"webhook", `{"kinds":["webhook"]}`, 422, "/kinds/0"},
		{"bulk", `{"kinds":["bulk"]}`, 422, "/kinds/0"},
		{"batch", `{"kinds":["batch"]}`, 422, "/kinds/0"},
		{"many kinds", `{"kinds":[` + many + `]}`, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.do("POST", "/v1/workers", test.body)
			if r.t = t; test.status != 200 {
				pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
				return
			}
			if m := r.want(200).json(); !strings.HasPrefix(m["worker_id"].(string), "wk_") || m["lease"] != "30s" || m["beat"] != "10s" || m["poll"] != "25s" {
				t.Errorf("registered: %v", m)
			}
		})
	}
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		w.do("POST", "/v1/workers", `{"kinds":["a"]}`, "Content-Type", media).problem(http.StatusUnsupportedMediaType, "unsupported")
	}
	if list := w.do("GET", "/v1/workers", "").json()["workers"].([]any); len(list) != 4 {
		t.Errorf("%d workers are known, want those four that were let in", len(list))
	}
}

func TestWorkerLife(t *testing.T) {
	w := start(t)
	k := w.worker(1, "print")
	if r := k.poll(1, "0s").want(200); r.body != `{"jobs":[],"leases":{},"directive":"none"}`+"\n" {
		t.Errorf("without a job: %s", r.body)
	}
	id := w.submit(`{"kind":"print","queue":"paper","input":{"pages":12345678901234567890},"tags":["a"],"timeout":"90s","retry":{"max_attempts":3}}`)
	token, job := k.lease()
	for member, want := range map[string]any{"id": id, "kind": "print", "queue": "paper", "attempt": json.Number("1"), "max_attempts": json.Number("3"), "timeout": "1m30s", "checkpoint": nil} {
		if job[member] != want {
			t.Errorf("%s: %v, want %v", member, job[member], want)
		}
	}
	if fmt.Sprint(job["input"], job["tags"]) != "map[pages:12345678901234567890] [a]" {
		t.Errorf("input and tags: %v %v", job["input"], job["tags"])
	}
	if doc := w.do("GET", "/v1/jobs/"+id, ""); doc.text("state") != "running" || strings.Contains(doc.body, strings.TrimPrefix(token, id+".")) {
		t.Errorf("leased: %s", doc.body)
	}
	if r := k.poll(1, "0s").want(200); len(r.leased()) != 0 || r.state(token) != "ok" {
		t.Errorf("with its slot taken: %s", r.body)
	}
	if r := k.beat("0s", token).want(200); r.body != `{"leases":{"`+token+`":"ok"},"directive":"none"}`+"\n" {
		t.Errorf("beat: %s", r.body)
	}
	if r := k.beat("0s", token, id+".wNOTHING", "x").want(200); r.state(token) != "ok" || r.state(id+".wNOTHING") != "lost" || r.state("x") != "lost" {
		t.Errorf("beat for what it has not: %s", r.body)
	}
	r := w.end(token, "complete", `{"result":{"sheets":1.0}}`).want(200)
	if m := r.json(); m["id"] != id || m["state"] != "succeeded" || fmt.Sprint(m["result"]) != "map[sheets:1.0]" || m["links"] == nil {
		t.Errorf("completed: %s", r.body)
	}
	if r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).has("AsyncResult", "200"); r.body != `{"sheets":1.0}`+"\n" {
		t.Errorf("the polling URL says %s", r.body)
	}
	if r := k.beat("0s", token).want(200); r.state(token) != "lost" {
		t.Errorf("beat after the end: %s", r.body)
	}
	w.submit(`{"kind":"print"}`)
	token, _ = k.lease()
	if r := w.end(token, "complete", "").want(200); r.json()["result"] != nil || r.text("state") != "succeeded" {
		t.Errorf("completed without a result: %s", r.body)
	}
}

func TestMalformedPolls(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	for _, test := range []struct {
		call, body string
		status     int
		pointer    string
	}{
		{"lease", `{"max":0,"wait":"0s"}`, 422, "/max"},
		{"lease", `{"max":10001,"wait":"0s"}`, 422, "/max"},
		{"lease", `{"max":"1","wait":"0s"}`, 422, "/max"},
		{"lease", `{"wait":0}`, 422, "/wait"},
		{"lease", `{"wait":"soon"}`, 422, "/wait"},
		{"lease", `{"wait":"-1s"}`, 422, "/wait"},
		{"lease", `{"wait":""}`, 422, "/wait"},
		{"lease", `{"min":1}`, 422, "/min"},
		{"lease", `{"wait":"0s"`, 400, ""},
		{"beat", `{"wait":"5"}`, 422, "/wait"},
		{"beat", `{"wait":"-1ns"}`, 422, "/wait"},
		{"beat", `{"leases":"x"}`, 422, "/leases"},
		{"beat", `{"leases":[1]}`, 422, "/leases/0"},
		{"beat", `{"lease":[]}`, 422, "/lease"},
		{"beat", `[]`, 422, ""},
	} {
		t.Run(test.call+" "+test.body, func(t *testing.T) {
			r := w.do("POST", "/v1/workers/"+k.id+"/"+test.call, test.body)
			r.t = t
			pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
		})
	}
	for _, call := range []string{"lease", "beat"} {
		w.do("POST", "/v1/workers/"+k.id+"/"+call, `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
		w.do("POST", "/v1/workers/wk_unknown/"+call, `{"wait":"0s"}`).problem(http.StatusNotFound, "not_found")
	}
	for _, call := range []string{"quiet", "terminate"} {
		w.do("POST", "/v1/workers/wk_unknown/"+call, "").problem(http.StatusNotFound, "not_found")
	}
	w.do("DELETE", "/v1/workers/wk_unknown", "").problem(http.StatusNotFound, "not_found")
}

func TestPollIsWokenByASubmission(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "a", "b")
		done := held(func() reply { return k.poll(5, "25s") })
		w.submit(`{"kind":"c"}`) // is not for it
		synctest.Wait()
		if len(done) > 0 {
			t.Fatalf("a job of another kind ended the poll: %s", (<-done).body)
		}
		from := time.Now()
		id := w.submit(`{"kind":"b"}`)
		list := w.ended(done).want(200).leased()
		if len(list) != 1 || list[0]["id"] != id {
			t.Fatalf("woken with %v", list)
		}
		if passed := time.Since(from); passed != 0 {
			t.Errorf("woken after %s", passed)
		}
		w.end(list[0]["lease"].(string), "complete", "").want(200)
		for wait, most := range map[string]time.Duration{"0s": 0, "7s": 7 * time.Second, "10h": time.Minute} { // a minute is the longest
			from = time.Now()
			if r := k.poll(1, wait).want(200); len(r.leased()) != 0 || time.Since(from) != most {
				t.Errorf("wait %s ended after %s: %s", wait, time.Since(from), r.body)
			}
		}
	})
}

func TestNeverMoreThanSlots(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "k")
		for range 5 {
			w.submit(`{"kind":"k"}`)
		}
		list := k.poll(10, "0s").want(200).leased()
		if len(list) != 2 {
			t.Fatalf("%d jobs for two slots", len(list))
		}
		done := held(func() reply { return k.poll(10, "25s") })
		if len(done) > 0 {
			t.Fatalf("with no free slot: %s", (<-done).body)
		}
		w.end(list[0]["lease"].(string), "complete", "").want(200) // sets a slot free, and the poll goes on
		if list := w.ended(done).want(200).leased(); len(list) != 1 {
			t.Errorf("%d jobs for one slot", len(list))
		}
		one := w.worker(5, "k")
		if list := one.poll(1, "0s").want(200).leased(); len(list) != 1 {
			t.Errorf("asked for one, got %d", len(list))
		}
	})
}

func TestReports(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	c := w.dial("?job=" + id)
	c.until("live")
	r := w.report(token, `{"n":1,"type":"progress","percent":40.5,"message":"page 4","data":{"p":1.0}}`, "", `  {"n":2,"type":"output","text":"héllo\n"}  `).want(200)
	if r.body != `{"accepted_to":2,"leases":{"`+token+`":"ok"}}`+"\n" {
		t.Errorf("reported: %s", r.body)
	}
	if data := c.until("job.progress")["data"]; fmt.Sprint(data) != "map[data:map[p:1.0] message:page 4 percent:40.5 start:1]" {
		t.Errorf("progress: %v", data)
	}
	wantOutput := func(want string) {
		t.Helper()
		if data := c.until("job.output")["data"]; fmt.Sprint(data) != want {
			t.Errorf("output: %v, want %s", data, want)
		}
	}
	wantOutput("map[attempt:1 off:0 start:1 stream:stdout text:héllo\n]")
	head := w.store.Head().Seq
	if r := w.report(token, `{"n":1,"type":"progress","percent":10}`, `{"n":2,"type":"output","text":"again"}`).want(200); r.text("accepted_to") != "2" || w.store.Head().Seq != head {
		t.Errorf("repeated reports: %s", r.body)
	}
	if r := w.report(token, `{"n":2,"type":"output","text":"again"}`, `{"n":3,"type":"log","text":"a line"}`).want(200); r.text("accepted_to") != "3" {
		t.Errorf("repeated and new reports: %s", r.body)
	}
	wantOutput("map[attempt:1 off:7 start:1 stream:log text:a line]")
	w.report(token, `{"n":9,"type":"output","stream":"err","base64":"/wA="}`+"\r\n").want(200) // numbers may be left out
	wantOutput("map[attempt:1 base64:/wA= off:13 start:1 stream:err]")
	if r := w.report(token, `{"n":10,"type":"checkpoint","data":{ "page": 4 }}`).want(200); r.text("accepted_to") != "10" {
		t.Errorf("a checkpoint: %s", r.body)
	}
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["version"] != json.Number("2") || fmt.Sprint(doc["progress"]) != "map[data:map[p:1.0] message:page 4 percent:40.5]" {
		t.Errorf("after all: %v", doc)
	}
	w.end(token, "release", "").want(200)
	again, job := k.lease()
	if fmt.Sprint(job["checkpoint"]) != "map[page:4]" || job["attempt"] != json.Number("1") {
		t.Errorf("the next attempt gets %v", job)
	}
	if r := w.report(again, `{"n":1,"type":"output","text":"anew"}`).want(200); r.text("accepted_to") != "1" { // numbers and offsets are those of the attempt
		t.Errorf("the next attempt: %s", r.body)
	}
	wantOutput("map[attempt:1 off:0 start:2 stream:stdout text:anew]")
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["attempt"] != json.Number("1") || doc["start"] != json.Number("2") {
		t.Errorf("the next start: %v", doc)
	}
	if text := w.do("GET", "/jobs/"+id+"/output", "").want(200).body; text != "héllo\na line\xff\x00\n[start 2]\nanew" {
		t.Errorf("the output as a file is %q", text)
	}
	w.do("GET", "/jobs/"+id, "").want(200).shows(`data-turn="attempt 1, start 2"`)
	w.report(token, `{"n":11,"type":"output","text":"late"}`).problem(http.StatusConflict, "lease_lost")
	w.submit(`{"kind":"k"}`)
	w.do("DELETE", "/v1/jobs/"+id, "").want(200)
	if r := w.report(again, `{"n":2,"type":"progress"}`).want(200); r.state(again) != "cancel" {
		t.Errorf("after the cancel: %s", r.body)
	}
}

func TestReportsThatAreRefused(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	head := w.store.Head().Seq
	const good = `{"n":1,"type":"output","text":"x"}`
	for _, test := range []struct {
		name, body string
		status     int
		pointer    string
		line       string
	}{
		{"nothing", "", 400, "", ""},
		{"blank lines", " \n\r\n\t\n", 400, "", ""},
		{"not JSON", good + "\nhello", 400, "", "Line 2:"},
		{"cut off", good + "\n\n" + `{"n":2,"type":"outp`, 400, "", "Line 3:"},
		{"two on a line", good + good, 400, "", "Line 1:"},
		{"member twice", `{"n":1,"n":2,"type":"progress"}`, 400, "/n", "Line 1:"},
		{"an array", `[` + good + `]`, 422, "", "Line 1:"},
		{"not UTF-8", good + "\n{\"n\":2,\"type\":\"log\",\"text\":\"\xff\"}", 400, "/text", "Line 2:"},
		{"no number", `{"type":"progress","percent":1}`, 422, "/n", "Line 1:"},
		{"number 0", `{"n":0,"type":"progress"}`, 422, "/n", "Line 1:"},
		{"number -1", `{"n":-1,"type":"progress"}`, 422, "/n", "Line 1:"},
		{"number as text", `{"n":"1","type":"progress"}`, 422, "/n", "Line 1:"},
		{"no type", `{"n":1}`, 422, "/type", "Line 1:"},
		{"unknown type", good + "\n" + `{"n":2,"type":"result"}`, 422, "/type", "Line 2:"},
		{"unknown member", `{"n":1,"type":"progress","percents":1}`, 422, "/percents", "Line 1:"},
		{"percent 101", `{"n":1,"type":"progress","percent":101}`, 422, "/percent", "Line 1:"},
		{"percent below 0", `{"n":1,"type":"progress","percent":-0.1}`, 422, "/percent", "Line 1:"},
		{"percent as text", `{"n":1,"type":"progress","percent":"1"}`, 422, "/percent", "Line 1:"},
		{"output without text", `{"n":1,"type":"output"}`, 422, "/text", "Line 1:"},
		{"output twice", `{"n":1,"type":"output","text":"a","base64":"YQ=="}`, 422, "/text", "Line 1:"},
		{"base64 broken", `{"n":1,"type":"output","base64":"YQ="}`, 422, "/base64", "Line 1:"},
		{"stream too long", `{"n":1,"type":"output","text":"a","stream":"` + strings.Repeat("s", 65) + `"}`, 422, "/stream", "Line 1:"},
		{"checkpoint without data", `{"n":1,"type":"checkpoint"}`, 422, "/data", "Line 1:"},
		{"checkpoint too large", `{"n":1,"type":"checkpoint","data":"` + strings.Repeat("x", 64<<10) + `"}`, 422, "/data", "Line 1:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.report(token, test.body)
			r.t = t
			p := r.problem(test.status, "bad_message")
			pointsAt(t, p, test.pointer)
			if !strings.HasPrefix(p["detail"].(string), test.line) {
				t.Errorf("the detail %q does not begin with %q", p["detail"], test.line)
			}
		})
	}
	w.report(token, `{"n":1,"type":"output","text":"`+strings.Repeat("x", 4<<20)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_large")
	if now := w.store.Head().Seq; now != head {
		t.Errorf("refused calls left %d events", now-head)
	}
	if r := w.report(token, good).want(200); r.text("accepted_to") != "1" || w.store.Head().Seq != head+1 {
		t.Errorf("the good line that stood before bad ones, alone: %s", r.body)
	}
}

// TestEndsOfAnAttempt: what each verb makes of a job, and when it is there again.
func TestEndsOfAnAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		verb, body    string
		state, reason string
		after         time.Duration // until it is leased again; -1 for never
		attempt       int           // it is then
		checkpoint    string
		code          string // of the error
	}{
		"complete":             {"complete", `{"result":[1]}`, "succeeded", "", -1, 0, "", ""},
		"fail":                 {"fail", ``, "retrying", "", time.Second, 2, "<nil>", "worker_failed"},
		"fail, auto":           {"fail", `{"error":{"title":"Torn","detail":"The paper is torn.","code":"torn","page":7},"retry":"auto"}`, "retrying", "", time.Second, 2, "<nil>", "torn"},
		"fail, no error":       {"fail", `{"error":null,"retry":"auto"}`, "retrying", "", time.Second, 2, "<nil>", "worker_failed"},
		"fail, never":          {"fail", `{"error":{"title":"Torn"},"retry":"never"}`, "failed", "rejected", -1, 0, "", "worker_failed"},
		"fail, after":          {"fail", `{"error":{"title":"Torn"},"retry":"after 5s"}`, "retrying", "", 5 * time.Second, 2, "<nil>", "worker_failed"},
		"fail, after an hour":  {"fail", `{"retry":"after 1h"}`, "retrying", "", time.Hour, 2, "<nil>", "worker_failed"},
		"snooze":               {"snooze", `{"delay":"30s"}`, "scheduled", "", 30 * time.Second, 1, "<nil>", ""},
		"snooze for a moment":  {"snooze", `{"delay":"1ms"}`, "scheduled", "", time.Millisecond, 1, "<nil>", ""},
		"release":              {"release", ``, "queued", "", 0, 1, "<nil>", ""},
		"release, checkpoint":  {"release", `{"checkpoint":{"page": 4, "n":1.10}}`, "queued", "", 0, 1, "map[n:1.10 page:4]", ""},
		"release, a null mark": {"release", `{"checkpoint":null}`, "queued", "", 0, 1, "<nil>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k := w.worker(1, "k")
				id := w.submit(`{"kind":"k","retry":{"backoff":"fixed","initial":"1s"}}`)
				token, _ := k.lease()
				from := time.Now()
				r := w.end(token, test.verb, test.body).want(200)
				doc := w.do("GET", "/v1/jobs/"+id, "").json()
				if m := r.json(); m["state"] != test.state || m["reason"] != test.reason || doc["version"] != m["version"] {
					t.Errorf("%s, want %s %s; and now %v", r.body, test.state, test.reason, doc)
				}
				code := ""
				if problem, ok := doc["error"].(map[string]any); ok {
					code = problem["code"].(string)
				}
				if code != test.code {
					t.Errorf("the error is %v", doc["error"])
				}
				if again := w.end(token, test.verb, test.body).want(200); again.text("version") != r.text("version") {
					t.Errorf("the same verb again: %s", again.body)
				}
				for _, other := range []string{"complete", "fail", "snooze", "release"} {
					if other != test.verb {
						w.end(token, other, map[string]string{"snooze": `{"delay":"1s"}`}[other]).problem(http.StatusConflict, "conflict")
					}
				}
				w.report(token, `{"n":1,"type":"progress"}`).problem(http.StatusConflict, "lease_lost")
				if test.after < 0 {
					if list := k.poll(1, "1m").want(200).leased(); len(list) != 0 {
						t.Errorf("it runs again: %v", list)
					}
					return
				}
				var list []map[string]any
				for len(list) == 0 && time.Since(from) < 2*time.Hour {
					list = k.poll(1, "1m").want(200).leased()
				}
				least := test.after
				if test.after == time.Second { // by the backoff, which is up to 20 % less
					least = 800 * time.Millisecond
				}
				if passed := time.Since(from); passed < least || passed > test.after+5*time.Millisecond {
					t.Errorf("it was there again after %s, want %s", passed, test.after)
				}
				if list[0]["id"] != id || fmt.Sprint(list[0]["attempt"]) != fmt.Sprint(test.attempt) || fmt.Sprint(list[0]["checkpoint"]) != test.checkpoint {
					t.Errorf("again: %v", list[0])
				}
				w.end(token, test.verb, test.body).want(200) // a repetition that comes late does not touch the new attempt
				fresh := list[0]["lease"].(string)
				if m := w.end(fresh, "complete", `{"result":"fresh"}`).want(200).json(); m["state"] != "succeeded" || m["result"] != "fresh" {
					t.Errorf("the new attempt ends as %v", m)
				}
				for _, verb := range []string{"complete", "fail", "snooze", "release"} { // now there has been another end
					w.end(token, verb, map[string]string{"snooze": `{"delay":"1s"}`}[verb]).problem(http.StatusConflict, "lease_lost")
				}
			})
		})
	}
}

func TestMalformedEnds(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	for _, test := range []struct {
		verb, body string
		status     int
		pointer    string
	}{
		{"complete", `{"results":1}`, 422, "/results"},
		{"complete", `7`, 422, ""},
		{"complete", `{"result":}`, 400, ""},
		{"complete", `{"result":1}{"result":2}`, 400, ""},
		{"complete", `{"result":{"a":1,"a":2}}`, 400, "/result/a"},
		{"fail", `{"retry":"later"}`, 422, "/retry"},
		{"fail", `{"retry":"Never"}`, 422, "/retry"},
		{"fail", `{"retry":"after"}`, 422, "/retry"},
		{"fail", `{"retry":"after 5"}`, 422, "/retry"},
		{"fail", `{"retry":"after -5s"}`, 422, "/retry"},
		{"fail", `{"retry":"after  5s"}`, 422, "/retry"},
		{"fail", `{"retry":"after 9223372036854775807ns"}`, 422, "/retry"},
		{"fail", `{"retry":5}`, 422, "/retry"},
		{"fail", `{"error":"torn"}`, 422, "/error"},
		{"fail", `{"error":["torn"]}`, 422, "/error"},
		{"fail", `{"error":{"title":7}}`, 422, "/error"},
		{"fail", `{"problem":{}}`, 422, "/problem"},
		{"snooze", ``, 422, "/delay"},
		{"snooze", `{}`, 422, "/delay"},
		{"snooze", `{"delay":"-1s"}`, 422, "/delay"},
		{"snooze", `{"delay":30}`, 422, "/delay"},
		{"snooze", `{"delay":"87601h"}`, 422, "/delay"},
		{"snooze", `{"delay":"9223372036854775807ns"}`, 422, "/delay"},
		{"release", `{"checkpoint":"` + strings.Repeat("x", 64<<10) + `"}`, 422, "/checkpoint"},
		{"release", `{"delay":"1s"}`, 422, "/delay"},
	} {
		t.Run(test.verb+" "+test.body[:min(len(test.body), 40)], func(t *testing.T) {
			r := w.end(token, test.verb, test.body)
			r.t = t
			pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
		})
	}
	for _, verb := range []string{"complete", "fail", "snooze", "release"} {
		w.do("POST", "/v1/leases/"+token+"/"+verb, `{}`, "Content-Type", "text/plain").problem(http.StatusUnsupportedMediaType, "unsupported")
	}
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "running" || doc["version"] != json.Number("2") {
		t.Errorf("the job has changed: %v", doc)
	}
	w.end(token, "release", `{"checkpoint":"`+strings.Repeat("x", 64<<10-2)+`"}`).want(200)
}

func TestTokensOfNothing(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	inside := w.submit(`{"kind":"script","input":"a"}`)
	w.await(inside, "running")
	for _, token := range []string{"x", id, id + ".", id + ".w", id + ".wAAAAAAAAAAAAAAAAAAAAAAAAAA", id + ".h", inside + ".hAAAA", unknownID + ".wAAAA", token + "x", token[:len(token)-1],
		"%00", "..%2f..", strings.Repeat("x", 4000), "%7B" + id + "%7D.w"} {
		for _, verb := range []string{"complete", "fail", "release"} {
			w.end(token, verb, "").problem(http.StatusConflict, "lease_lost")
		}
		w.end(token, "snooze", `{"delay":"1s"}`).problem(http.StatusConflict, "lease_lost")
		w.report(token, `{"n":1,"type":"progress"}`).problem(http.StatusConflict, "lease_lost")
	}
	for _, id := range []string{id, inside} {
		if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "running" || doc["version"] != json.Number("2") {
			t.Errorf("a job has changed: %v", doc)
		}
	}
	w.script("a").succeed("1")
	w.await(inside, "succeeded")
}

// TestCancelIsToldAtOnce: to a call that is held, of either kind.
func TestCancelIsToldAtOnce(t *testing.T) {
	for _, call := range []string{"lease", "beat"} {
		t.Run(call, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k := w.worker(3, "k")
				id, other := w.submit(`{"kind":"k"}`), w.submit(`{"kind":"k"}`)
				list := k.poll(3, "0s").want(200).leased()
				token, second := list[0]["lease"].(string), list[1]["lease"].(string)
				done := held(func() reply {
					if call == "lease" {
						return k.poll(1, "25s")
					}
					return k.beat("25s", token, second)
				})
				if len(done) > 0 {
					t.Fatalf("not held: %s", (<-done).body)
				}
				from := time.Now()
				if doc := w.do("POST", "/v1/jobs/"+id+"/cancel", "").want(200).json(); doc["state"] != "running" || doc["cancel_requested"] != true {
					t.Errorf("cancelled: %v", doc)
				}
				if r := w.ended(done).want(200); r.state(token) != "cancel" || r.state(second) != "ok" || time.Since(from) != 0 {
					t.Errorf("after %s: %s", time.Since(from), r.body)
				}
				w.do("POST", "/v1/jobs/"+other+"/cancel", "").want(200)
				if r := k.beat("25s", token, second).want(200); r.state(second) != "cancel" { // it was not held then
					t.Errorf("the next beat: %s", r.body)
				}
				if m := w.end(token, "complete", `{"result":"all but done"}`).want(200).json(); m["state"] != "succeeded" { // in its grace
					t.Errorf("completed: %v", m)
				}
				doc := w.do("GET", "/v1/jobs/"+other, "", "Prefer", "wait=60").json() // until the grace is over
				if passed := time.Since(from); doc["state"] != "cancelled" || doc["reason"] != "user" || passed != 10*time.Second {
					t.Errorf("after %s: %v", passed, doc)
				}
				w.end(second, "complete", "").problem(http.StatusConflict, "lease_lost")
				if r := k.beat("0s", second).want(200); r.state(second) != "lost" {
					t.Errorf("beat: %s", r.body)
				}
			})
		})
	}
}

func TestQuietAndTerminate(t *testing.T) {
	for _, directive := range []string{"quiet", "terminate"} {
		t.Run(directive, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k, idle := w.worker(2, "k"), w.worker(1, "k")
				w.submit(`{"kind":"k"}`)
				token, _ := k.lease()
				polling := held(func() reply { return k.poll(1, "25s") })
				beating := held(func() reply { return k.beat("25s", token) })
				if r := w.do("POST", "/v1/workers/"+k.id+"/"+directive, "").want(200); r.text("directive") != directive {
					t.Errorf("%s", r.body)
				}
				if r := w.ended(beating).want(200); r.text("directive") != directive || r.state(token) != "ok" {
					t.Errorf("the beat ends with %s", r.body)
				}
				synctest.Wait()
				if len(polling) > 0 { // unless the beat has brought the news already
					if r := <-polling; r.text("directive") != directive || len(r.leased()) != 0 {
						t.Errorf("the poll ends with %s", r.body)
					}
				}
				id := w.submit(`{"kind":"k"}`)
				if r := k.poll(1, "3s").want(200); len(r.leased()) != 0 || r.text("directive") != directive {
					t.Errorf("a job for one that should take none: %s", r.body)
				}
				if _, job := idle.lease(); job["id"] != id {
					t.Errorf("another worker gets %v", job)
				}
				w.end(token, "complete", "").want(200) // what it has it may finish
			})
		})
	}
}

func TestDirectiveEndsAPollAtOnce(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		done := held(func() reply { return k.poll(1, "25s") })
		from := time.Now()
		w.do("POST", "/v1/workers/"+k.id+"/quiet", "").want(200)
		if r := w.ended(done).want(200); r.text("directive") != "quiet" || time.Since(from) != 0 {
			t.Errorf("after %s: %s", time.Since(from), r.body)
		}
		done = held(func() reply { return k.poll(1, "25s") })
		if len(done) > 0 {
			t.Fatalf("told twice: %s", (<-done).body)
		}
		w.do("POST", "/v1/workers/"+k.id+"/terminate", "").want(200)
		if r := w.ended(done).want(200); r.text("directive") != "terminate" {
			t.Errorf("%s", r.body)
		}
	})
}

func TestUnregister(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k, other := w.worker(2, "k"), w.worker(1, "k")
		id := w.submit(`{"kind":"k"}`)
		token, _ := k.lease()
		done := held(func() reply { return k.poll(1, "25s") })
		if r := w.do("DELETE", "/v1/workers/"+k.id, "").want(http.StatusNoContent); r.body != "" {
			t.Errorf("unregistered: %q", r.body)
		}
		w.ended(done).problem(http.StatusNotFound, "not_found")
		k.poll(1, "0s").problem(http.StatusNotFound, "not_found")
		k.beat("0s", token).problem(http.StatusNotFound, "not_found")
		w.do("DELETE", "/v1/workers/"+k.id, "").problem(http.StatusNotFound, "not_found")
		if list := w.do("GET", "/v1/workers", "").json()["workers"].([]any); len(list) != 1 {
			t.Errorf("known are %v", list)
		}
		from := time.Now()
		list := other.poll(1, "1m").want(200).leased() // what it had is given back when its lease is over
		if passed := time.Since(from); len(list) != 1 || list[0]["id"] != id || list[0]["attempt"] != json.Number("1") || passed < 29*time.Second || passed > 35*time.Second {
			t.Fatalf("after %s: %v", passed, list)
		}
		w.end(token, "complete", "").problem(http.StatusConflict, "lease_lost")
		if r := other.beat("0s", list[0]["lease"].(string)); r.state(list[0]["lease"].(string)) != "ok" {
			t.Errorf("%s", r.body)
		}
	})
}

// A worker that registers anew goes on with the leases that it has.
func TestLeasesMoveToANewRegistration(t *testing.T) {
	w := start(t)
	k := w.worker(2, "k")
	w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	w.do("DELETE", "/v1/workers/"+k.id, "").want(http.StatusNoContent)
	k = w.worker(1, "k")
	if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
		t.Errorf("%s", r.body)
	}
	w.submit(`{"kind":"k"}`)
	if r := k.poll(1, "0s").want(200); len(r.leased()) != 0 || r.state(token) != "ok" {
		t.Errorf("its slot is taken, but: %s", r.body)
	}
	w.end(token, "complete", "").want(200)
}

func TestLeasesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	w.report(token, `{"n":1,"type":"output","text":"before\n"}`, `{"n":2,"type":"checkpoint","data":1}`).want(200)
	w.close()

	w = startIn(t, dir, nil)
	k.world = w
	k.beat("0s", token).problem(http.StatusNotFound, "not_found")
	k = w.worker(1, "k")
	if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
		t.Errorf("%s", r.body)
	}
	if r := w.report(token, `{"n":2,"type":"checkpoint","data":2}`, `{"n":3,"type":"output","text":"after\n"}`).want(200); r.text("accepted_to") != "3" {
		t.Errorf("%s", r.body)
	}
	var output []string
	for _, e := range w.log() {
		if e.Type.String() == "job.output" {
			output = append(output, string(e.Data))
		}
	}
	if want := []string{`{"attempt":1,"start":1,"off":0,"stream":"stdout","text":"before\n"}`, `{"attempt":1,"start":1,"off":7,"stream":"stdout","text":"after\n"}`}; !slices.Equal(output, want) {
		t.Errorf("output: %q", output)
	}
	w.end(token, "complete", `{"result":1}`).want(200)
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "succeeded" || doc["attempt"] != json.Number("1") {
		t.Errorf("%v", doc)
	}
}

func TestListOfWorkers(t *testing.T) {
	w := start(t)
	if r := w.do("GET", "/v1/workers", "").want(200); r.body != `{"workers":[]}`+"\n" {
		t.Errorf("%s", r.body)
	}
	id := w.do("POST", "/v1/workers", `{"name":"<b>printer</b>","kinds":["a","b"],"queues":["q"],"slots":3}`).want(200).text("worker_id")
	k := &worker{w, id}
	job := w.submit(`{"kind":"a","queue":"q"}`)
	w.submit(`{"kind":"a"}`) // in a queue that it does not serve
	token, _ := k.lease()
	if list := k.poll(1, "0s").leased(); len(list) != 0 {
		t.Errorf("from another queue: %v", list)
	}
	r := w.do("GET", "/v1/workers", "").want(200)
	_, secret, _ := strings.Cut(token, ".")
	if secret == "" || strings.Contains(r.body, secret) {
		t.Errorf("the lease %s is told to everybody: %s", token, r.body)
	}
	shown := r.json()["workers"].([]any)[0].(map[string]any)
	if ms := number(t, shown, "seen_ms"); ms > uint64(patience.Milliseconds()) {
		t.Errorf("seen %d ms ago", ms)
	}
	delete(shown, "seen_ms")
	want := map[string]any{"worker_id": id, "name": "<b>printer</b>", "kinds": []any{"a", "b"}, "queues": []any{"q"}, "slots": json.Number("3"), "running": []any{job}, "directive": "none"}
	if fmt.Sprint(shown) != fmt.Sprint(want) || len(shown) != len(want) {
		t.Errorf("%v, want %v", slices.Sorted(maps.Keys(shown)), want)
	}
}

// TestPollOfAClientThatHangsUp: nothing is given to somebody who is not there any more.
func TestPollOfAClientThatHangsUp(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k, other := w.worker(1, "k"), w.worker(1, "k")
		ctx, hangUp := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			req, err := http.NewRequestWithContext(ctx, "POST", w.url+"/v1/workers/"+k.id+"/lease", strings.NewReader(`{"wait":"1m"}`))
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				_, err = w.client.Transport.RoundTrip(req)
			}
			failed <- err
		}()
		synctest.Wait()
		hangUp()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatalf("the poll ended with %v", err)
		}
		synctest.Wait()
		id := w.submit(`{"kind":"k"}`)
		synctest.Wait()
		if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "queued" || doc["version"] != json.Number("1") {
			t.Errorf("somebody took it: %v", doc)
		}
		if _, job := other.lease(); job["id"] != id || job["attempt"] != json.Number("1") {
			t.Errorf("leased: %v", job)
		}
	})
}

func TestDrainEndsPolls(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(2, "k")
		w.submit(`{"kind":"k"}`)
		token, _ := k.lease()
		idle := w.worker(1, "k")
		polls := []<-chan reply{held(func() reply { return k.poll(1, "1m") }), held(func() reply { return idle.poll(1, "1m") }), held(func() reply { return k.beat("1m", token) })}
		from := time.Now()
		w.Drain()
		for _, done := range polls {
			if r := w.ended(done).want(200); r.text("directive") != "none" || strings.Contains(r.body, `"lost"`) {
				t.Errorf("%s", r.body)
			}
		}
		if time.Since(from) != 0 {
			t.Errorf("after %s", time.Since(from))
		}
		w.do("POST", "/v1/jobs", `{"kind":"k"}`).has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal")
		k.poll(1, "1m").has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal") // no new work
		if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
			t.Errorf("beat: %s", r.body)
		}
		w.report(token, `{"n":1,"type":"progress","percent":99}`).want(200)
		w.end(token, "complete", "").want(200) // but what it has it can finish
		if time.Since(from) > time.Second {
			t.Errorf("these took %s", time.Since(from))
		}
	})
}

func TestLargeResults(t *testing.T) {
	w := start(t)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	const most = 16 << 20
	w.end(token, "complete", `{"result":"`+strings.Repeat("x", most-1)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_large")
	w.end(token, "complete", `{"result":"`+strings.Repeat("x", 2*most)+`"}`).problem(http.StatusRequestEntityTooLarge, "too_large")
	result := `"` + strings.Repeat("x", most-2) + `"`
	w.end(token, "complete", `{"result":`+result+`}`).want(200)
	if r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200); r.body != result+"\n" {
		t.Errorf("a result of %d bytes came back with %d", most, len(r.body))
	}
	for _, e := range w.log() {
		if e.Type.String() == "job.succeeded" && !e.Truncated {
			t.Errorf("its event has %d bytes of data", len(e.Data))
		}
	}
}

// TestManyWorkers: however many poll at once, each job is given to one of them, and
// only those that are released or fail come again.
func TestManyWorkers(t *testing.T) {
	w := start(t)
	const jobs, workers, slots = 200, 8, 4
	var mu sync.Mutex
	ends := map[string]int{} // completions by job
	var everything sync.WaitGroup
	for range jobs {
		everything.Add(1)
	}
	over := make(chan struct{})
	var polling sync.WaitGroup
	for range workers {
		k := w.worker(slots, "k")
		polling.Go(func() {
			for n := 0; ; {
				select {
				case <-over:
					return
				default:
				}
				list := k.poll(2*slots, "100ms").want(200).leased()
				if len(list) > slots {
					t.Errorf("%d jobs for %d slots", len(list), slots)
				}
				for _, job := range list {
					token, id := job["lease"].(string), job["id"].(string)
					switch n++; {
					case n%5 == 0:
						w.end(token, "release", "").want(200)
					case n%7 == 0:
						w.end(token, "fail", "").want(200)
					default:
						w.report(token, `{"n":1,"type":"progress","percent":50}`).want(200)
						w.end(token, "complete", `{"result":true}`).want(200)
						mu.Lock()
						ends[id]++
						mu.Unlock()
						everything.Done()
					}
				}
			}
		})
	}
	for range jobs {
		w.submit(`{"kind":"k","retry":{"initial":"1ms","max_attempts":1000}}`)
	}
	everything.Wait()
	close(over)
	polling.Wait()
	for id, n := range ends {
		if n != 1 {
			t.Errorf("job %s was completed %d times", id, n)
		}
	}
	states := w.do("GET", "/v1/queues/default", "").json()["states"].(map[string]any)
	if len(ends) != jobs || states["succeeded"] != json.Number("200") || states["running"] != json.Number("0") {
		t.Errorf("%d jobs were completed; %v", len(ends), states)
	}
}

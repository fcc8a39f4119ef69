package web_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
)

// TestWhatOlderVersionsStored: jobs whose values no check would let in today, as they are in
// the store after it was brought to the present format: what was not JSON is a text.
// Nothing that shows them breaks, and jobs that ended the hub are run.
func TestWhatOlderVersionsStored(t *testing.T) {
	f := startForeign(t)
	v := visit{f, t}
	answer := []byte(answered("application/json", `{"a":1,"a":2}`))
	f.answer.Store(&answer)
	store := func(state jobs.State, kind, input, result, data string) jobs.ID {
		id := uuid.Must(uuid.NewV7())
		j := jobs.Job{ID: id, Tenant: jobs.DefaultTenant, Kind: kind, Queue: "old", State: state, Input: jobs.AsJSON(jobs.Value(input)), MaxAttempts: 1,
			Timeout: time.Minute, Retention: time.Hour, CreatedAt: time.Now()}
		if result != "" {
			j.Result = jobs.AsJSON(jobs.Value(result))
		}
		e := jobs.Event{Type: jobs.JobSucceeded, Data: jobs.Value(data)}
		if !bytes.Equal(jobs.AsJSON(e.Data), e.Data) {
			e.Data, e.Truncated = nil, true
		}
		if state == jobs.Queued {
			e.Type = jobs.JobQueued
		}
		b := &jobs.Batch{Now: time.Now(), Changes: []*jobs.Change{{Job: j, Event: e}}}
		if err := f.store.Commit(t.Context(), b); err != nil || b.Changes[0].Err != nil {
			t.Fatal(err, b.Changes[0].Err)
		}
		return id
	}
	deep := nested("[", "]", 9_990)
	requests := `{"requests":[{"id":"a","method":"GET","path":"/u/a"},{"method":"GET","path":"/u/b","depends_on":["a"]}]}`
	targets := `{"targets":[{"name":"a","url":"` + f.upstream + `/"},{"name":"b","url":"` + f.upstream + `/"}]}`
	response := func(body string) string {
		return `{"index":0,"status":200,"headers":{"a":"` + "\xe9" + `"},"body":` + body + `}`
	}
	ended := map[string]jobs.ID{
		"bytes":        store(jobs.Succeeded, "batch", requests, `{"responses":[`+response("\"caf\xe9\"")+`,`+response(`{"a":1,"a":2}`)+`]}`, "{\"state\":\"succeeded\",\"result\":\"\xe9\"}"),
		"twice":        store(jobs.Succeeded, "batch", requests, `{"responses":[`+response(`{"title":"\ud800","title":2}`)+`,null]}`, `{"state":"succeeded","a":1,"a":2}`),
		"deep":         store(jobs.Succeeded, "batch", requests, `{"responses":[{"index":0,"status":500,"body":`+deep+`},`+deep+deep+`]}`, `{"state":"succeeded","result":`+deep+`}`),
		"too deep":     store(jobs.Succeeded, "fanout", targets, `{"targets":{"a":{"state":"succeeded","status":200,"body":`+deep+strings.Repeat("]", 30)+`}}}`, `{`),
		"deep fan-out": store(jobs.Succeeded, "fanout", targets, `{"targets":{"a":{"state":"succeeded","status":200,"body":`+deep+`},"b":7}}`, `{}`),
		"deep input":   store(jobs.Succeeded, "echo", deep, deep, `{"state":"succeeded"}`),
		"lines":        store(jobs.Succeeded, "echo", "[1,\r\n2]", "{\n\"a\":1}", "{\"state\":\n\"succeeded\"}"),
		"no JSON":      store(jobs.Succeeded, "echo", "\xff\xfe", "{\"a\"", "\xff"),
	}
	for name, id := range ended {
		t.Run(name, func(t *testing.T) {
			v := visit{f, t}
			v.shown(id)
			if job := v.ended(id); job.Kind != "echo" {
				v.page("/batches/" + id.String())
				v.page("/batches/" + id.String() + "?item=1")
				v.page("/batches/" + id.String() + "?item=2")
			}
			v.json("GET", "/v1/jobs/"+id.String()+"/response", "", 200)
			status, _, text := v.send("GET", "/jobs/"+id.String()+"/edit", "")
			if status != 200 {
				t.Errorf("the form: %d %s", status, text)
			}
			status, _, text = v.send("POST", "/v1/jobs/"+id.String()+"/retry", "")
			if status != 202 && status != 422 {
				t.Errorf("a retry: %d %s", status, text)
			}
		})
	}
	doc := v.json("GET", "/v1/jobs/"+ended["lines"].String(), "", 200)
	if !bytes.Contains(doc, []byte(`"input":[1,2],"result":{"a":1}`)) {
		t.Errorf("what is JSON stays JSON: %s", doc)
	}
	// Those that are still to run, among them what ended the hub.
	for _, id := range []jobs.ID{
		store(jobs.Queued, "http", `{"url":"`+f.upstream+`/"}`, "", `{"state":"queued"}`),
		store(jobs.Queued, "fanout", targets, `{"targets":{"a":{"state":"succeeded","status":200,"body":`+deep+`}}}`, `{"state":"queued"}`),
		store(jobs.Queued, "batch", requests, `{"responses":[`+response("\"caf\xe9\"")+`,null]}`, `{"state":"queued"}`),
		store(jobs.Queued, "batch", requests, `{"responses":[{"index":0,"status":200,"headers":{},"body":`+deep+`},null]}`, `{"state":"queued"}`),
		store(jobs.Queued, "echo", deep, "", `{"state":"queued"}`),
		store(jobs.Queued, "echo", "\xff", "", `{"state":"queued"}`),
	} {
		f.engine.Handle("echo", jobs.Handler{Run: echo}) // looks for jobs again
		if job := v.ended(id); job.Kind != "echo" && job.State != jobs.Succeeded {
			t.Errorf("%s: %s %+v", job.Kind, job.State, job.Error)
		}
		v.shown(id)
	}
	// A worker gets what it can read.
	k := f.worker(9, "outside")
	store(jobs.Queued, "outside", "\xff", "", `{"state":"queued"}`)
	v.json("POST", "/v1/workers/"+k.id+"/lease", `{"wait":"20s"}`, 200)
	v.everywhere()
}

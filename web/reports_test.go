package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

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

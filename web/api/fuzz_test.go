package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/web/rest"
)

// FuzzSpec: what is accepted as a submission keeps to the limits that it states.
func FuzzSpec(f *testing.F) {
	for _, seed := range []string{`{"kind":"a"}`, `{"kind":"a","queue":"q","input":{"n":1e309},"priority":-100,"tags":["x"],"delay":"1h","timeout":"1s","queue_timeout":"5s"}`,
		`{"kind":"a","run_at":"2026-01-02T15:04:05.999999999+07:00","retry":{"max_attempts":3,"backoff":"linear","initial":"1s","max":"1m"}}`,
		`{"kind":"a","tags":["\u202e"]}`, `{"kind":"a","priority":1e2}`, `{"kind":"a","delay":"9223372036s"}`, `{}`, `null`, `{"kind":"a"}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := jobs.DecodeSpec(data)
		if err != nil {
			if status := rest.ProblemOf(err).Status; status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
				t.Fatalf("%q is refused with %d", data, status)
			}
			return
		}
		const tenYears = 10 * 366 * 24 * time.Hour
		if !jobs.WellFormedName(s.Kind) || !jobs.WellFormedName(s.Queue) || s.Priority < -100 || s.Priority > 100 || s.Delay < 0 || s.Delay > tenYears || time.Until(s.RunAt) > tenYears ||
			s.Timeout < time.Millisecond || s.MaxAttempts < 1 || s.Backoff.Initial > s.Backoff.Max || !json.Valid(s.Input) || strings.ContainsRune(string(s.Input), '\n') {
			t.Fatalf("%q was taken as %+v", data, s)
		}
		for _, tag := range s.Tags {
			if tag == "" || len(tag) > 128 || !utf8.ValidString(tag) || strings.ContainsAny(tag, "\x00\r\n\x1b\u202e") {
				t.Fatalf("%q has the tag %q", data, tag)
			}
		}
	})
}

// FuzzPrefer: a wait lies between nothing and the most there is.
func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{"wait=10", "respond-async, wait=5", `wait="7"`, "wait", "wait=-1", "wait=99999999999999999999", "WAIT = 3 ; x=y", ",,;=", "return=minimal"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		wait, waiting, err := PreferredWait(&http.Request{Header: http.Header{"Prefer": {value}}})
		if wait < 0 || wait > maxWait || wait%time.Second != 0 || (err != nil || !waiting) && wait != 0 || err != nil && waiting {
			t.Fatalf("%q means %v, %v, %v", value, wait, waiting, err)
		}
		if waiting && !strings.Contains(strings.ToLower(value), "wait") {
			t.Fatalf("%q was taken for a wait", value)
		}
	})
}

// FuzzReports: no body makes the decoder panic; what it refuses is told with its line,
// and what it takes keeps to the limits.
func FuzzReports(f *testing.F) {
	for _, seed := range []string{`{"n":1,"type":"progress","percent":40,"message":"m","data":{"a":1.10}}`, `{"n":2,"type":"output","stream":"err","text":"x"}` + "\n" + `{"n":3,"type":"log","text":""}`,
		`{"n":4,"type":"checkpoint","data": [ 1 ] }` + "\r\n\n", `{"n":5,"type":"output","base64":"/w=="}`, `{"n":18446744073709551616}`, `{"n":1,"type":"progress","percent":1e309}`,
		`{"n":1,"type":"checkpoint","data":null}`, `{"n":1,"type":"output","base64":""}`, `null`, `[]`, "\xff", "", "\n", `{"n":1,"type":"log","text":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := decodeReports(body)
		if err != nil {
			p := rest.ProblemOf(err)
			if p.Status != http.StatusBadRequest && p.Status != http.StatusUnprocessableEntity || len(list) > 0 {
				t.Fatalf("%q is refused with %d and gives %d reports", body, p.Status, len(list))
			}
			if strings.TrimSpace(string(body)) != "" && !strings.HasPrefix(p.Detail, "Line ") && p.Title != "Empty request" {
				t.Fatalf("%q is refused with %q", body, p.Detail)
			}
			return
		}
		if len(list) == 0 || len(list) > strings.Count(string(body), "\n")+1 {
			t.Fatalf("%q gives %d reports", body, len(list))
		}
		for _, r := range list {
			kinds := 0
			for _, is := range []bool{r.Progress != nil, r.Checkpoint != nil, r.Stream != ""} {
				if is {
					kinds++
				}
			}
			if r.N == 0 || kinds != 1 || len(r.Stream) > 64 || r.Stream == "" && r.Output != nil {
				t.Fatalf("%q gives %+v", body, r)
			}
			if p := r.Progress; p != nil && (p.Percent != nil && !(*p.Percent >= 0 && *p.Percent <= 100) || p.Data != nil && !json.Valid(p.Data)) {
				t.Fatalf("%q gives the progress %+v", body, p)
			}
			if c := r.Checkpoint; c != nil && (!json.Valid(c) || len(c) > jobs.MaxCheckpoint || strings.ContainsRune(string(c), '\n')) {
				t.Fatalf("%q gives the checkpoint %s", body, c)
			}
		}
	})
}

// FuzzFailure: what a worker says of its failure is refused, or can be kept and shown.
func FuzzFailure(f *testing.F) {
	for _, seed := range []struct{ problem, retry string }{{`{"title":"t","detail":"d","code":"c","status":500,"type":"about:blank","page":7}`, "auto"}, {`null`, "never"}, {``, ""}, {`{}`, "after 5s"},
		{`{"errors":[{"pointer":"/a","detail":"b"}]}`, "after -1s"}, {`"torn"`, "after"}, {`{"title":"\ud800"}`, "after 9223372036854775807ns"}, {`{"status":1e9}`, "after 1e9h"}, {"{\"title\":\"\xff\"}", "After 5s"}} {
		f.Add([]byte(seed.problem), seed.retry)
	}
	f.Fuzz(func(t *testing.T, problem []byte, retry string) {
		if len(problem) == 0 {
			problem = nil
		}
		failure, err := decodeFailure(problem, retry)
		if err != nil {
			p := rest.ProblemOf(err)
			if p.Status != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Pointer != "/error" && p.Errors[0].Pointer != "/retry" {
				t.Fatalf("%q, %q are refused with %+v", problem, retry, p)
			}
			return
		}
		if failure.After < 0 || failure.After > maxDelay || failure.Never != (retry == "never") || failure.After != 0 && !strings.HasPrefix(retry, "after ") {
			t.Fatalf("%q means %+v", retry, failure)
		}
		p := failure.Problem
		if p == nil || p.Title == "" || p.Code == "" {
			t.Fatalf("%q became %+v", problem, p)
		}
		kept, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeFailure(kept, retry)
		if err != nil || !reflect.DeepEqual(again, failure) {
			t.Fatalf("%q became %s and then %+v, %v", problem, kept, again, err)
		}
	})
}

package jobs_test

import (
	"bytes"
	"math"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestTooDeep(t *testing.T) {
	for text, want := range map[string]bool{
		nested(64): false, nested(65): true, nested(10_000): true, `"` + nested(100) + `"`: false,
		"[" + strings.Repeat("[],", 1000) + "{}]": false, `{"a":"\"` + nested(65) + `","b":` + nested(63) + `}`: false,
		`["\\",` + nested(64) + `]`: true, strings.Repeat(`{"a":[`, 33): true, `"` + strings.Repeat("[", 100): false, "": false, `"\`: false,
	} {
		if got := jobs.TooDeep([]byte(text), 64); got != want {
			t.Errorf("%.80s: %v", text, got)
		}
	}
}

// FuzzCompactJSON: what passes is what every writer here takes, in one line, with the same
// meaning; what does not pass is refused by the writers, or too deep.
func FuzzCompactJSON(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":2}`, `"\ud800"`, `"\ud83d\ude00"`, "\"\xe9\"", "[\r\n1e999 , -0]", "\ufeff1", "{} {}", `{"\u0061":1,"a":2}`, nested(64), nested(65), `"` + nested(80) + `"`,
		`{"a":{"b":[null,true,"\u0000\/"]}}`, "", " ", "nul", "\"\x00\"", `["\"",[`, "\u20281"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		v, err := jobs.CompactJSON(data, jobs.MaxDepth)
		if !bytes.Equal(before, data) {
			t.Fatal("the bytes were changed")
		}
		wrapped, refused := json.Marshal(struct{ V jsontext.Value }{data})
		if err != nil {
			if refused == nil && !jobs.TooDeep(data, jobs.MaxDepth) {
				t.Fatalf("%q is written but did not pass: %v", data, err)
			}
		} else if refused != nil || !utf8.Valid(v) || bytes.ContainsAny(v, "\r\n") || string(wrapped) != `{"V":`+string(v)+`}` && !strings.ContainsRune(string(v), '\\') {
			t.Fatalf("%q passed as %q, and is written as %q, %v", data, v, wrapped, refused)
		}
		for _, shown := range []jobs.Value{jobs.AsJSON(data), jobs.BodyValue("application/json", data, 3), jobs.BodyValue("text/plain; x", data, 3), jobs.BodyValue("image/png", data, 3)} {
			if !shown.IsValid() || bytes.ContainsAny(shown, "\r\n") || jobs.TooDeep(shown, jobs.MaxDepth+8) {
				t.Fatalf("%q is shown as %q", data, shown)
			}
		}
		if jobs.TooDeep(data, 3) != deeper(data, 3) && err == nil {
			t.Fatalf("%q: the levels of it", data)
		}
	})
}

// deeper is a second opinion about levels.
func deeper(data []byte, most int) bool {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		if _, err := d.ReadToken(); err != nil {
			return false
		}
		if d.StackDepth() > most {
			return true
		}
	}
}

// TestNothingOfAJobBreaksItsDocument: whatever texts a job has, and with any value as AsJSON
// gives it, a document, an event and what is stored of a response are JSON.
func TestNothingOfAJobBreaksItsDocument(t *testing.T) {
	const bad = "\xff\"\\\n\x00\ud7ff"
	nan := math.NaN()
	problem := &jobs.Problem{Type: bad, Title: bad, Detail: bad, Status: -1, Code: bad, Errors: []jobs.MemberError{{Pointer: bad, Detail: bad}}}
	response := &jobs.Response{Status: 200, Header: http.Header{bad: {bad}, "X-A": {bad, "b"}, "x-a": {"c"}, "Content-Type": {bad + "/json"}}, Body: []byte(bad)}
	for _, result := range []string{bad, `{"a":1,"a":2}`, nested(10_000), "[\n]", ""} {
		value := jobs.AsJSON(jobs.Value(result))
		for _, r := range []*jobs.Response{nil, response} {
			j := jobs.Job{Tenant: bad, Kind: bad, Queue: bad, State: jobs.Failed, Reason: bad, Tags: []string{bad}, OrderingKey: bad, FairKey: bad, Input: value, Result: value, Response: r,
				Error: problem, Progress: &jobs.Progress{Percent: &nan, Message: bad, Data: value}, Callbacks: []jobs.Callback{{URL: bad, Events: []string{bad}}}}
			e := jobs.Event{Type: jobs.JobFailed, Queue: bad, Kind: bad, Tags: []string{bad}, Data: value}
			for _, text := range [][]byte{append(j.AppendMembers([]byte{'{'}, jobs.Position{Epoch: bad}), '}'), j.ChangedData(math.MaxUint32), e.AppendJSON(nil, bad), problem.AppendJSON(nil)} {
				if v := jsontext.Value(text); !v.IsValid() || bytes.ContainsAny(v, "\r\n") {
					t.Errorf("with %.20q: %.300q", result, text)
				}
			}
		}
	}
	kept, err := response.MarshalBinary()
	var back jobs.Response
	if err != nil || back.UnmarshalBinary(kept) != nil || back.Header["X-A"][0] != bad || len(back.Header) != 3 || string(back.Body) != bad {
		t.Errorf("%q, %v, %v", kept, err, back)
	}
}

func TestAppendHeader(t *testing.T) {
	got := string(jobs.AppendHeader(nil, jobs.FlatHeader(http.Header{"X-B": {"1", "2"}, "x-b": {"3"}, "A": {}, "C": {"caf\xe9"}})))
	if got != "{\"a\":\"\",\"c\":\"caf\ufffd\",\"x-b\":\"1, 2, 3\"}" {
		t.Error(got)
	}
}

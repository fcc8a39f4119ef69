package call

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestPolicy(t *testing.T) {
	for text, want := range map[string]string{ // verdicts by successes and failures of three targets
		"":         "00. 10. 01. 20. 11. 02. 30+ 21- 12- 03-",
		"all":      "00. 10. 01. 20. 11. 02. 30+ 21- 12- 03-",
		"any":      "00. 10+ 01. 20+ 11+ 02. 30+ 21+ 12+ 03-",
		"quorum:1": "00. 10+ 01. 20+ 11+ 02. 30+ 21+ 12+ 03-",
		"quorum:2": "00. 10. 01. 20+ 11. 02- 30+ 21+ 12- 03-",
		"quorum:3": "00. 10. 01- 20. 11- 02- 30+ 21- 12- 03-",
		"settled":  "00. 10. 01. 20. 11. 02. 30+ 21+ 12+ 03+",
	} {
		p, err := parsePolicy(text, 3)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for verdict := range strings.FieldsSeq(want) {
			over, ok := p.outcome(int(verdict[0]-'0'), int(verdict[1]-'0'), 3)
			got := "."
			if over {
				got = map[bool]string{true: "+", false: "-"}[ok]
			}
			if got != verdict[2:] {
				t.Errorf("%q with %s: %s", text, verdict, got)
			}
		}
	}
}

func TestFanoutInputs(t *testing.T) {
	target := func(more string) string { return `{"targets":[{"name":"a","url":"https://a.example"` + more + `}]}` }
	many := func(n int) string {
		var names []string
		for i := range n {
			names = append(names, `{"name":"t`+strings.Repeat("x", i%50)+string(rune('a'+i/50))+`","url":"https://a.example"}`)
		}
		return `{"targets":[` + strings.Join(names, ",") + `]}`
	}
	c := newCaller(Options{})
	for input, pointer := range map[string]string{
		target(""): "",
		target(`,"method":"put","headers":{"X-A":"1"},"body":{"b":2},"timeout":"1m30s"`): "",
		many(100):          "",
		`{}`:               "/input/targets",
		`[]`:               "/input",
		`{"targets":null}`: "/input/targets",
		`{"targets":[]}`:   "/input/targets",
		many(101):          "/input/targets",
		`{"targets":[{"url":"https://a.example"}]}`:                                                    "/input/targets/0/name",
		`{"targets":[{"name":"A","url":"https://a.example"}]}`:                                         "/input/targets/0/name",
		`{"targets":[{"name":"1a","url":"https://a.example"}]}`:                                        "/input/targets/0/name",
		`{"targets":[{"name":"a.","url":"https://a.example"}]}`:                                        "/input/targets/0/name",
		`{"targets":[{"name":"` + strings.Repeat("a", 65) + `","url":"https://a.example"}]}`:           "/input/targets/0/name",
		`{"targets":[{"name":"a","url":"https://a.example"},{"name":"a","url":"https://b.example"}]}`:  "/input/targets/1/name",
		`{"targets":[{"name":"a","url":"https://a.example"},{"name":"b"}]}`:                            "/input/targets/1/url",
		`{"targets":[{"name":"a","url":"https://a.example"},{"name":"b","url":"http://10.0.0.1/"}]}`:   "/input/targets/1/url",
		`{"targets":[{"name":"a","url":"https://a.example"},{"name":"b","url":"http://2130706433/"}]}`: "/input/targets/1/url",
		target(`,"method":"CONNECT"`):                                                                  "/input/targets/0/method",
		target(`,"headers":{"Host":"x"}`):                                                              "/input/targets/0/headers/Host",
		target(`,"body":{"base64":"?"}`):                                                               "/input/targets/0/body/base64",
		target(`,"timeout":"soon"`):                                                                    "/input/targets/0/timeout",
		target(`,"timeout":"0s"`):                                                                      "/input/targets/0/timeout",
		target(`,"timeout":"25h"`):                                                                     "/input/targets/0/timeout",
		target(`,"expect":[404]`):                                                                      "/input/targets/0/expect",
		target(`,"timeout":5`):                                                                         "/input/targets/0/timeout",
		target("")[:len(target(""))-1] + `,"x":1}`:                                                     "/input/x",
		target("")[:len(target(""))-1] + `,"policy":"most"}`:                                           "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:"}`:                                        "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:0"}`:                                       "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:-1"}`:                                      "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:01"}`:                                      "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:2"}`:                                       "/input/policy",
		target("")[:len(target(""))-1] + `,"policy":"quorum:99999999999999999999"}`:                    "/input/policy",
	} {
		_, err := decodeFan(jobs.Value(input), c.guard, jobs.Via{})
		p, refused := errors.AsType[*jobs.Problem](err)
		if refused != (pointer != "") || refused && (p.Status != 422 || p.Errors[0].Pointer != pointer) {
			t.Errorf("%s: %v, want a problem at %q", input, err, pointer)
		}
	}
}

// FuzzFan: checking never panics, refuses with a problem, and what is accepted can be
// sent, written as a result and read again.
func FuzzFan(f *testing.F) {
	f.Add(`{"targets":[{"name":"a","url":"https://a.example","headers":{"A":"b"},"body":"x","timeout":"1s"}],"policy":"quorum:1"}`, `{"targets":{"a":{"state":"failed","status":500,"attempts":2}}}`)
	guard := egress.New(egress.Options{})
	f.Fuzz(func(t *testing.T, input, known string) {
		fan, err := decodeFan(jobs.Value(input), guard, jobs.Via{})
		if err != nil {
			if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 {
				t.Fatalf("refused with %#v", err)
			}
			return
		}
		for _, target := range fan.targets {
			if _, err := target.in.request(t.Context(), 1, "key"); err != nil {
				t.Fatal(err)
			}
		}
		if fan.restore(jobs.Value(known)) != nil {
			return
		}
		var v any
		if err := json.Unmarshal(fan.result(), &v); err != nil {
			t.Fatalf("%s: %v", fan.result(), err)
		}
		fan.outcome()
	})
}

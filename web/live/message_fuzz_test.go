package live

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"jobhub/jobs"
)

// FuzzMessage: no message makes the decoder panic, and what it takes keeps its
// meaning when written out and read again.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{`{"type":"ping","t":1e400}`, `{"type":"subscribe","id":"s","job":"0197f0a2-5c1e-7000-8000-000000a44f09","since":{"epoch":"e","seq":18446744073709551615}}`,
		`{"type":"subscribe","id":"s","all":true,"snapshot":true,"progress":"none"}`, `{"type":"submit","id":"m","job":{"kind":"a","input":{"n":1.10}},"key":"k","watch":true}`,
		`{"type":"subscribe","id":"v","view":"overview"}`, `{"type":"hello","token":"t"}`, `{"id":"a","id":"b"}`, `null`, `[]`, `{"Type":"ping"}`, "\xff", `{"type":"get","job":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decodeMessage(line)
		if err != nil {
			if answer := appendError(nil, m.ID, err); !json.Valid(answer) || strings.ContainsRune(string(answer), '\n') {
				t.Fatalf("the error is answered with %q", answer)
			}
			return
		}
		if !utf8.Valid(line) || !json.Valid(line) {
			t.Fatalf("%q was taken", line)
		}
		if sub, err := m.subscription("default"); err == nil {
			filters := 0
			for _, set := range []bool{sub.Job != jobs.ID{}, sub.Queue != "", sub.Kind != "", sub.Tag != "", sub.All} {
				if set {
					filters++
				}
			}
			if filters != 1 && m.Job == nil { // the id of no job is of no use, but well-formed
				t.Fatalf("%q subscribes with %d filters", line, filters)
			}
		}
		told := map[string]any{"type": m.Type, "id": m.ID}
		for name, value := range map[string]any{"key": m.Key, "all": m.All, "watch": m.Watch, "snapshot": m.Snapshot, "progress": m.Progress} {
			if value != "" && value != false { // each is of one type of message only
				told[name] = value
			}
		}
		again, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		second, err := decodeMessage(again)
		if err != nil || second.Type != m.Type || second.ID != m.ID || second.Key != m.Key || second.All != m.All || second.Watch != m.Watch {
			t.Fatalf("%q became %+v and then %+v, %v", line, m, second, err)
		}
	})
}

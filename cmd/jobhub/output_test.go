package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/web/clip"
)

// reports writes down what is reported.
type reports struct{ list []string }

func (r *reports) Progress(percent float64, message string) {
	r.list = append(r.list, fmt.Sprintf("progress %g %s", percent, message))
}

func (r *reports) Checkpoint(v any) error {
	text, err := json.Marshal(v)
	r.list = append(r.list, "checkpoint "+string(text))
	return err
}

func (r *reports) Output(stream string, p []byte) {
	r.list = append(r.list, fmt.Sprintf("%s %q", stream, p))
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct{ text, reports, result string }{
		"nothing":                   {"", "", `{"exit":0}`},
		"text":                      {"a\n\nb", `stdout "a\n"|stdout "\n"|stdout "b"`, `{"exit":0}`},
		"a JSON value":              {"{\n \"a\":1.10}\n", `stdout "{\n"|stdout " \"a\":1.10}\n"`, "{\n \"a\":1.10}"},
		"two JSON values":           {"1\n2\n", `stdout "1\n"|stdout "2\n"`, `{"exit":0}`},
		"progress":                  {"::progress 40 some text\n::progress 7.5%\n::progress 100", "progress 40 some text|progress 7.5 |progress 100 ", `{"exit":0}`},
		"no progress":               {"::progress\n::progress x\n::progress 101\n ::progress 1", `stdout "::progress\n"|stdout "::progress x\n"|stdout "::progress 101\n"|progress 1 `, `{"exit":0}`},
		"checkpoint":                {"::checkpoint {\"a\": 1}\n::checkpoint {\n", `checkpoint {"a":1}|stdout "::checkpoint {\n"`, `{"exit":0}`},
		"result":                    {"[1]\n::result {\"a\":2}\n3", `stdout "[1]\n"|stdout "3"`, `{"a":2}`},
		"JSON and messages":         {"::progress 1\n[1]\n::progress 2\n", `progress 1 |stdout "[1]\n"|progress 2 `, `[1]`},
		"no result":                 {"::result {", "", "error"},
		"long line":                 {long + "y\n::progress 1", fmt.Sprintf(`stdout %q|stdout "y\n"|progress 1 `, long), `{"exit":0}`},
		"long and whole":            {long[1:] + "\nz", fmt.Sprintf(`stdout %q|stdout "z"`, long[1:]+"\n"), `{"exit":0}`},
		"long, then like a message": {long + "::progress 1\n", fmt.Sprintf(`stdout %q|stdout "::progress 1\n"`, long), `{"exit":0}`},
		"long result":               {`::result "` + long + long + "\"\n", "", `"` + long + long + `"`},
	} {
		for _, step := range []int{1, 7, 1 << 20} { // bytes a write
			r := &reports{}
			l := &outputLines{run: r, single: true}
			for rest := []byte(c.text); len(rest) > 0; {
				n := min(step, len(rest))
				if m, err := l.Write(rest[:n]); m != n || err != nil {
					t.Fatal(m, err)
				}
				rest = rest[n:]
			}
			l.end()
			result, err := l.outcome()
			got := fmt.Sprint(result)
			if err != nil {
				got = "error"
			}
			if list := strings.Join(r.list, "|"); list != c.reports || got != c.result {
				t.Errorf("%s, %d bytes a write:\ngot  %s → %s\nwant %s → %s", name, step, clip.Shorten(list, 300), clip.Shorten(got, 300), clip.Shorten(c.reports, 300), clip.Shorten(c.result, 300))
			}
		}
	}
}

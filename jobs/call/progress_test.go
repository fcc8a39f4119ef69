package call

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"jobhub/jobs"
)

// reports collects progress.
type reports []string

func (r *reports) Output(string, []byte) {}
func (r *reports) Report(p jobs.Progress) {
	*r = append(*r, fmt.Sprintf("%g %s", *p.Percent, p.Message))
}

func TestReports(t *testing.T) {
	stream := strings.Join([]string{
		`{"percent":10,"message":"page 1"}`,
		`event: x`, `data: {"percent":20.5}`, ``,
		`{"percent":"30"}`, `{"percent":-1}`, `{"percent":101}`, `{"other":1}`, `[1]`, `no JSON`,
		`{"percent":40,"more":"` + strings.Repeat("x", maxReport) + `"}`,
		`{"percent":100,"message":"done","extra":[1,2]}`, ``,
	}, "\n")
	want := []string{"10 page 1", "20.5 ", "100 done"}
	for name, other := range map[string]string{"CR": strings.ReplaceAll(stream, "\n", "\r"), "CRLF": strings.ReplaceAll(stream, "\n", "\r\n"), "BOM": "\ufeff" + stream,
		"BOM before data": "\ufeffdata:" + stream, "json-seq": "\x1e" + strings.ReplaceAll(stream, "\n", "\n\x1e"), "RS alone": strings.ReplaceAll(stream, "\n", "\x1e")} {
		var got reports
		r := reporter{out: &got}
		for piece := range slices.Chunk([]byte(other), 7) {
			r.write(piece)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for size := 1; size < 60; size++ { // however the pieces are cut
		var got reports
		r := reporter{out: &got}
		for piece := range slices.Chunk([]byte(stream), size) {
			r.write(piece)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d bytes: %q, want %q", size, got, want)
		}
	}
}

// Progress lets pieces be a sink.
func (p pieces) Report(jobs.Progress) {}

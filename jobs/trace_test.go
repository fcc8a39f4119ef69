package jobs_test

import (
	"strings"
	"testing"

	"jobhub/jobs"
)

// traceparents are texts that claim to be one, and whether they are.
var traceparents = map[string]bool{
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                             true,
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff":                             true,
	"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                             true,
	"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-then":             true,
	"fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-":                            true,
	"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what":                        false,
	"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-a b":                         false,
	"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + strings.Repeat("x", 300): false,
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more":                        false,
	"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                             false,
	"00-00000000000000000000000000000000-b7ad6b7169203331-01":                             false,
	"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":                             false,
	"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01":                             false,
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g":                             false,
	"0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                             false,
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1":                              false,
	"00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01":                             false,
	" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":                            false,
	"": false,
}

func TestValidTraceparent(t *testing.T) {
	for text, want := range traceparents {
		if jobs.ValidTraceparent(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

// A job belongs to the trace that the headers of its input name, if they name one.
func TestTraceOfTheInput(t *testing.T) {
	for text, valid := range traceparents {
		job := jobs.Job{Input: jobs.Value(`{"headers":{"TraceParent":"x","traceparent":"` + text + `"}}`), Via: jobs.Via{Trace: "of the submission"}}
		want := "of the submission"
		if valid {
			want = text
		}
		if got := job.Trace(); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

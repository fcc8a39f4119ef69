package call

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// maxReport is the longest line, in bytes, that is looked at for a report of progress.
const maxReport = 4 << 10

// separators end a line: LF, CR and both of events and JSON lines, RS of JSON text sequences.
const separators = "\n\r\x1e"

var byteOrderMark = []byte("\ufeff")

// reporter finds reports of progress in a streaming answer: a JSON line, or an event's
// data, that is an object with a number percent from 0 to 100, and perhaps a message.
// Whatever else is in it does not matter.
type reporter struct {
	out  outputRun
	line []byte // the beginning of a line that is not complete yet
	skip bool   // the line is too long to be a report
}

func (r *reporter) write(p []byte) {
	for {
		piece, rest, ended := p, []byte(nil), false
		if i := bytes.IndexAny(p, separators); i >= 0 {
			piece, rest, ended = p[:i], p[i+1:], true
		}
		if r.skip = r.skip || len(r.line)+len(piece) > maxReport; !r.skip {
			r.line = append(r.line, piece...)
		}
		if !ended {
			return
		}
		if !r.skip {
			r.report(r.line)
		}
		r.line, r.skip = r.line[:0], false
		p = rest
	}
}

func (r *reporter) report(line []byte) {
	line = bytes.TrimPrefix(line, byteOrderMark) // only the first line has one
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("data:")))
	if len(line) == 0 || line[0] != '{' {
		return
	}
	var said struct {
		Percent *float64 `json:"percent"`
		Message string   `json:"message"`
	}
	if json.Unmarshal(line, &said) == nil && said.Percent != nil && *said.Percent >= 0 && *said.Percent <= 100 {
		r.out.Report(jobs.Progress{Percent: said.Percent, Message: said.Message})
	}
}

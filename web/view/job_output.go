package view

import (
	"encoding/base64"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/clip"
)

const (
	tailLines  = 60      // lines with which a page begins
	blockLines = 100     // lines in one layout block
	olderLines = 500     // lines on a page of older output
	maxLines   = 400     // lines in the live view; more can't arrive in one rendering
	maxLine    = 4 << 10 // bytes
)

// line is one line of what a job wrote.
type line struct {
	Key     string // stable from render to render
	Attempt int
	Start   int
	Stream  string
	At      time.Time
	Text    string
	Parts   []stretch // the same in its colours; nil where it has none
	Raw     string    // the original, where Text is a shorter form
	Note    bool      // a remark of the hub, not output of the job
	N       int       // from 1, among all known lines
	Turn    bool      // the first line of another start
	open    bool      // its end has not been written yet
}

// recent is the end of the output, as the live view has it.
func (m JobModel) recent() []line {
	lines, _ := m.Way.slice(max(0, len(m.Way.lines)-maxLines), len(m.Way.lines))
	return lines
}

// output returns the lines of output on the page, by default the last ones, and the number of
// lines before them.
func (m JobModel) output() (lines []line, before int) {
	to := len(m.Way.lines)
	from := max(0, to-tailLines)
	if m.Upto > 0 {
		to = min(max(0, m.Upto-m.Way.before), to)
		from = max(0, to-olderLines)
	}
	return m.Way.slice(from, to)
}

func (w *Way) slice(from, to int) (lines []line, before int) {
	lines, before = slices.Clone(w.lines[from:to]), w.before+from
	for i := range lines {
		lines[i].N = before + i + 1
		lines[i].Turn = from+i > 0 && !w.lines[from+i-1].sameStart(&lines[i])
		if !lines[i].Note {
			lines[i].Text, lines[i].Parts = dressed(lines[i].Text)
			if short := report(lines[i].Text); short != "" {
				lines[i].Text, lines[i].Raw, lines[i].Parts = short, lines[i].Text, nil
			}
		}
	}
	return lines, before
}

// dressed returns a line without escape sequences, and the same in parts if it has colours.
func dressed(s string) (string, []stretch) {
	s, cut := clip.Text(s, maxLine)
	parts := ansi(s)
	if len(parts) == 0 {
		return "", nil
	}
	if cut {
		parts = append(parts, stretch{"", " … (cut)"})
	}
	var b strings.Builder
	colours := false
	for _, p := range parts {
		b.WriteString(p.Text)
		colours = colours || p.Class != ""
	}
	if !colours {
		parts = nil
	}
	return b.String(), parts
}

func (l line) class() string {
	var names []string
	for _, n := range []struct {
		on   bool
		name string
	}{{l.Note, "note"}, {l.Stream == "stderr", "err"}, {l.Turn, "turn"}} {
		if n.on {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, " ")
}

// block is a group of lines for the browser's layout, so that lines outside the screen cost
// nothing.
type block struct {
	N     int // from 0, among all blocks of a job's output
	Lines []line
}

func blocks(lines []line) (all []block) {
	for _, l := range lines {
		if n := (l.N - 1) / blockLines; len(all) == 0 || all[len(all)-1].N != n {
			all = append(all, block{N: n})
		}
		last := &all[len(all)-1]
		last.Lines = append(last.Lines, l)
	}
	return all
}

// sameStart reports whether two lines were written in one start of the job.
func (l *line) sameStart(next *line) bool { return l.Attempt == next.Attempt && l.Start == next.Start }

// startName says which start wrote a line.
func (l line) startName() string { return "attempt " + startText(l.Attempt, l.Start) }

// startText is the number of an attempt, and of its start where earlier starts were not
// counted as attempts.
func startText(attempt, start int) string {
	if start <= attempt { // all starts were counted, or it is not known
		return strconv.Itoa(attempt)
	}
	return strconv.Itoa(attempt) + ", start " + strconv.Itoa(start)
}

func appendOutput(lines []line, e *jobs.Event) []line {
	var data struct {
		Attempt int     `json:"attempt"`
		Start   int     `json:"start"`
		Stream  string  `json:"stream"`
		Text    *string `json:"text"`
		Base64  string  `json:"base64"`
	}
	key := strconv.FormatUint(e.Seq, 10)
	if e.Truncated || json.Unmarshal(e.Data, &data) != nil {
		var last line // the start is in the data that is not kept
		if n := len(lines); n > 0 {
			last = lines[n-1]
		}
		return append(lines, line{Key: key, Attempt: last.Attempt, Start: last.Start, At: e.At, Text: "more than 64 KiB at once, not kept here", Note: true})
	}
	l := line{Key: key, Attempt: data.Attempt, Start: data.Start, Stream: data.Stream, At: e.At}
	if data.Text == nil {
		l.Text, l.Note = size(base64.StdEncoding.DecodedLen(len(data.Base64)))+" that are not text", true
		return append(lines, l)
	}
	for i, part := range strings.SplitAfter(*data.Text, "\n") {
		if part == "" {
			break
		}
		text, ended := strings.CutSuffix(part, "\n")
		if n := len(lines); i == 0 && n > 0 && lines[n-1].open && lines[n-1].Stream == l.Stream && lines[n-1].sameStart(&l) {
			lines[n-1].Text += text
			lines[n-1].open = !ended
			continue
		}
		l.Key, l.Text, l.open = key+"-"+strconv.Itoa(i), text, !ended
		lines = append(lines, l)
	}
	return lines
}

// report makes a readable text of a line of JSON that only reports progress; it is empty for
// any other line.
func report(s string) string {
	if !strings.HasPrefix(s, "{") || !strings.Contains(s, `"percent"`) {
		return ""
	}
	var says struct {
		Percent *float64 `json:"percent"`
		Message string   `json:"message"`
	}
	if json.Unmarshal([]byte(s), &says, json.RejectUnknownMembers(true)) != nil || says.Percent == nil {
		return ""
	}
	return strings.TrimRight(number(math.Round(*says.Percent*10)/10)+" %  "+plain(says.Message), " ")
}

var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

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
	tailLines  = 60      // with which a page begins
	blockLines = 100     // that are laid out together
	olderLines = 500     // of a page further back
	maxLines   = 400     // that the live view has: as many can come at once
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
	Raw     string    // what it was, where Text says it shorter
	Note    bool      // said by the hub, not by the job
	N       int       // from 1, of all that is known
	Turn    bool      // another start than the line before
	open    bool      // its end has not been written yet
}

// recent is the end of what a job wrote as the live view has it.
func (m JobModel) recent() []line {
	lines, _ := m.Way.slice(max(0, len(m.Way.lines)-maxLines), len(m.Way.lines))
	return lines
}

// output is what a page shows of what a job wrote, the end unless it says otherwise, and
// how many lines stand before it.
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

// dressed is a line without escape sequences, and the same in parts if it has colours.
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

// block is lines that are laid out together, so that those far from the eye cost nothing.
type block struct {
	N     int // from 0, of all blocks that a job's output makes
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
	if start <= attempt { // all were counted, or it is not known
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
		var last line // whose start it was is in what is not kept
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

// report writes a line of JSON that says how far a job is, and nothing else, for the
// eye; it is empty for any other line.
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

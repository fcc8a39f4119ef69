package view

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"jobhub/jobs"
)

const (
	maxLines = 200
	maxLine  = 4 << 10 // bytes
)

// line is one line of what a job wrote.
type line struct {
	Key     string // stable from render to render
	Attempt int
	Stream  string
	At      time.Time
	Text    string
	Raw     string // what it was, where Text says it shorter
	Note    bool   // said by the hub, not by the job
	N       int    // from 1, of all that is known
	Turn    bool   // another attempt than the line before
	open    bool   // its end has not been written yet
}

// output is the end of what a job wrote, and how many lines stand before it.
func (m JobModel) output() (lines []line, before int) {
	from := max(0, len(m.Way.lines)-maxLines)
	lines, before = slices.Clone(m.Way.lines[from:]), m.Way.before+from
	for i := range lines {
		lines[i].N = before + i + 1
		lines[i].Turn = lines[i].Attempt > 1 && from+i > 0 && m.Way.lines[from+i-1].Attempt != lines[i].Attempt
		if !lines[i].Note {
			lines[i].Text = plain(lines[i].Text)
			if short := report(lines[i].Text); short != "" {
				lines[i].Text, lines[i].Raw = short, lines[i].Text
			}
		}
	}
	return lines, before
}

func appendOutput(lines []line, e *jobs.Event) []line {
	var data struct {
		Attempt int     `json:"attempt"`
		Stream  string  `json:"stream"`
		Text    *string `json:"text"`
		Base64  string  `json:"base64"`
	}
	key := strconv.FormatUint(e.Seq, 10)
	if e.Truncated || json.Unmarshal(e.Data, &data) != nil {
		return append(lines, line{Key: key, At: e.At, Text: "more than 64 KiB at once, not kept here", Note: true})
	}
	l := line{Key: key, Attempt: data.Attempt, Stream: data.Stream, At: e.At}
	if data.Text == nil {
		l.Text, l.Note = size(base64.StdEncoding.DecodedLen(len(data.Base64)))+" that are not text", true
		return append(lines, l)
	}
	for i, part := range strings.SplitAfter(*data.Text, "\n") {
		if part == "" {
			break
		}
		text, ended := strings.CutSuffix(part, "\n")
		if n := len(lines); i == 0 && n > 0 && lines[n-1].open && lines[n-1].Stream == l.Stream && lines[n-1].Attempt == l.Attempt {
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
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if d.Decode(&says) != nil || says.Percent == nil || strings.TrimSpace(s[d.InputOffset():]) != "" {
		return ""
	}
	return strings.TrimRight(number(math.Round(*says.Percent*10)/10)+" %  "+plain(says.Message), " ")
}

var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])`)

// plain is what a terminal would end up showing for a line: no colours, and only
// what follows the last carriage return.
func plain(s string) string {
	s = strings.TrimRight(escapes.ReplaceAllString(s, ""), "\r")
	s = s[strings.LastIndexByte(s, '\r')+1:]
	s, cut := clip(s, maxLine)
	if cut {
		s += " … (cut)"
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
			return r
		}
		return '\ufffd'
	}, s)
}

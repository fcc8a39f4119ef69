package main

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/clip"
)

// reporter is the part of [client.Run] that outputLines uses.
type reporter interface {
	Progress(percent float64, message string)
	Checkpoint(v any) error
	Output(stream string, p []byte)
}

// outputLines reads the standard output of a command: most lines are output of its job, some
// are messages to the hub.
type outputLines struct {
	run     reporter
	line    []byte // the part of the current line that was read
	partial bool   // the start of the line was sent already
	result  jsontext.Value

	single bool   // all output may be one JSON value
	all    []byte // the output without messages
}

const maxLine = 64 << 10 // bytes; a longer line is sent in pieces

// Write reads output. It never fails.
func (l *outputLines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		if room := l.maxLength() - len(l.line); n >= room {
			n = max(room, 1)
		}
		l.line = append(l.line, rest[:n]...)
		rest = rest[n:]
		if whole := l.line[len(l.line)-1] == '\n'; whole || len(l.line) >= l.maxLength() {
			l.emit(whole)
		}
	}
	return len(p), nil
}

// maxLength returns how many bytes of the current line to collect: messages are not split.
func (l *outputLines) maxLength() int {
	if !l.partial && (bytes.HasPrefix(l.line, []byte("::result ")) || bytes.HasPrefix(l.line, []byte("::checkpoint "))) {
		return maxResult
	}
	return maxLine
}

// end handles a last line without a line break.
func (l *outputLines) end() {
	if len(l.line) > 0 {
		l.emit(true)
	}
}

// emit sends a line, or a piece of one that is too long.
func (l *outputLines) emit(whole bool) {
	if l.partial || !l.message(bytes.TrimSpace(l.line)) {
		l.run.Output("stdout", l.line)
		l.keep(l.line)
	}
	l.line, l.partial = l.line[:0], !whole
}

// message handles a line that is a message to the hub, and reports whether it is one. A
// malformed message is output.
func (l *outputLines) message(line []byte) bool {
	name, rest, _ := bytes.Cut(line, []byte(" "))
	rest = bytes.TrimSpace(rest)
	switch string(name) {
	case "::progress":
		number, text, _ := bytes.Cut(rest, []byte(" "))
		percent, err := strconv.ParseFloat(string(bytes.TrimSuffix(number, []byte("%"))), 64)
		if err != nil || !(percent >= 0 && percent <= 100) {
			return false
		}
		l.run.Progress(percent, string(bytes.TrimSpace(text)))
	case "::checkpoint":
		v := jsontext.Value(rest)
		return v.IsValid() && l.run.Checkpoint(v) == nil
	case "::result":
		l.result = bytes.Clone(rest)
	default:
		return false
	}
	return true
}

// keep collects the output while it may be one JSON value.
func (l *outputLines) keep(p []byte) {
	if l.single {
		l.all = append(l.all, p...)
		begin := bytes.TrimSpace(l.all[:min(len(l.all), 64)])
		if len(l.all) > maxResult || len(begin) > 0 && !bytes.ContainsRune([]byte(`{["-0123456789tfn`), rune(begin[0])) {
			l.single, l.all = false, nil
		}
	}
}

// maxResult is how many bytes of JSON a hub accepts as a result.
const maxResult = 16 << 20

// outcome returns the result of a command that succeeded.
func (l *outputLines) outcome() (any, error) {
	switch {
	case l.result != nil && !l.result.IsValid():
		return nil, fmt.Errorf("what follows ::result is not JSON: %s", clip.Shorten(printable(string(l.result)), 200))
	case l.result != nil:
		return l.result, nil
	case l.single:
		if v := jsontext.Value(bytes.TrimSpace(l.all)); v.IsValid() {
			return v, nil
		}
	}
	return jsontext.Value(`{"exit":0}`), nil
}

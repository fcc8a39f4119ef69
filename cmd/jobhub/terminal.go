package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"jobhub/web/client"
	"net"
	"os"
	"strings"
	"unicode"
)

// fail prints an error and what to do about it, and returns the exit code.
func fail(stderr io.Writer, command, server string, err error) int {
	if errors.Is(err, context.Canceled) {
		return 130 // as a shell reports an interrupted program
	}
	text := printable(err.Error())
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		text = fmt.Sprintf("no hub answers at %s (%v); start one with `jobhub serve` or give --server", server, op.Err)
	} else if p, ok := errors.AsType[*client.Problem](err); ok && p.RetryAfter > 0 {
		text += fmt.Sprintf("; try again in %s", p.RetryAfter)
	}
	fmt.Fprintf(stderr, "jobhub %s: %s\n", command, text)
	return 1
}

// terminal reports whether w is a terminal, where lines may be coloured and rewritten.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable returns a text as one line that is safe for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// Package clip cuts texts.
package clip

import "strings"

// Text cuts s to at most so many bytes, between characters, and reports whether it did.
func Text(s string, most int) (string, bool) {
	if len(s) <= most {
		return s, false
	}
	return strings.ToValidUTF8(s[:most], ""), true
}

// Shorten is Text that ends what it has cut with an ellipsis, beyond these bytes.
func Shorten(s string, most int) string {
	s, cut := Text(s, most)
	if cut {
		s += "…"
	}
	return s
}

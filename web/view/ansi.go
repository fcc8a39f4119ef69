package view

import (
	"strconv"
	"strings"
	"unicode"
)

// stretch is a part of a line in one style; Class is empty for the default style.
type stretch struct{ Class, Text string }

// look is the style that SGR sequences (ECMA-48, 8.3.117) have set so far.
type look struct {
	bold, dim, italic, under, struck, swapped bool
	ink, ground                               int // 0 for the usual one, else 1 to 16
}

var inks = [...]string{"", "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}

func (l look) class() string {
	var names []string
	add := func(on bool, name string) {
		if on {
			names = append(names, "a-"+name)
		}
	}
	add(l.bold, "bold")
	add(l.dim, "dim")
	add(l.italic, "italic")
	add(l.under, "under")
	add(l.struck, "struck")
	add(l.swapped, "swapped")
	if l.ink > 0 {
		add(true, inks[(l.ink-1)%8+1])
	}
	if l.ground > 0 {
		add(true, "on-"+inks[(l.ground-1)%8+1])
	}
	return strings.Join(names, " ")
}

// ansi reads a line as a terminal does: colours and weights become classes, all other escape
// sequences and control characters are removed, and if a line was overwritten, only the last
// text stays.
func ansi(s string) []stretch {
	var all []stretch
	var now look
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			all = append(all, stretch{now.class(), b.String()})
			b.Reset()
		}
	}
	for s = strings.TrimRight(s, "\r"); s != ""; {
		if s[0] == 0x1b {
			at := escapes.FindStringIndex(s)
			if at == nil || at[0] > 0 { // a beginning without an end
				b.WriteRune('\ufffd')
				s = s[1:]
				continue
			}
			if code := s[:at[1]]; strings.HasPrefix(code, "\x1b[") && strings.HasSuffix(code, "m") {
				flush()
				now.set(code[2 : len(code)-1])
			}
			s = s[at[1]:]
			continue
		}
		text := s
		if n := strings.IndexByte(s, 0x1b); n >= 0 {
			text = s[:n]
		}
		s = s[len(text):]
		if i := strings.LastIndexByte(text, '\r'); i >= 0 && (s != "" || i < len(text)-1) {
			all, text = nil, text[i+1:]
			b.Reset()
		}
		b.WriteString(strings.Map(shown, text))
	}
	flush()
	return all
}

// shown replaces characters that must not be on a page: control characters, and those that
// change the direction of the following text.
func shown(r rune) rune {
	if r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
		return r
	}
	return '\ufffd'
}

// set applies the parameters of one sequence; unknown parameters change nothing.
func (l *look) set(parameters string) {
	codes := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	if len(codes) == 0 {
		*l = look{}
	}
	for i := 0; i < len(codes); i++ {
		n, err := strconv.Atoi(codes[i])
		if err != nil {
			return
		}
		switch {
		case n == 0:
			*l = look{}
		case n == 1:
			l.bold = true
		case n == 2:
			l.dim = true
		case n == 3:
			l.italic = true
		case n == 4 || n == 21:
			l.under = true
		case n == 7:
			l.swapped = true
		case n == 9:
			l.struck = true
		case n == 22:
			l.bold, l.dim = false, false
		case n == 23:
			l.italic = false
		case n == 24:
			l.under = false
		case n == 27:
			l.swapped = false
		case n == 29:
			l.struck = false
		case n >= 30 && n <= 37:
			l.ink = n - 29
		case n == 39:
			l.ink = 0
		case n >= 40 && n <= 47:
			l.ground = n - 39
		case n == 49:
			l.ground = 0
		case n >= 90 && n <= 97:
			l.ink = n - 81
		case n >= 100 && n <= 107:
			l.ground = n - 91
		case n == 38 || n == 48: // one of 256 colours, or any colour: use the nearest one that has a class
			colour, used := wide(codes[i+1:])
			if i += used; n == 38 {
				l.ink = colour
			} else {
				l.ground = colour
			}
		}
	}
}

// wide reads the parameters after 38 or 48, and returns their number.
func wide(codes []string) (colour, used int) {
	var v [5]int
	for i := range min(len(codes), len(v)) {
		v[i], _ = strconv.Atoi(codes[i])
	}
	switch {
	case len(codes) >= 2 && v[0] == 5:
		switch n := v[1]; {
		case n >= 0 && n < 16:
			return n + 1, 2
		case n >= 16 && n < 232: // a cube of 6 by 6 by 6
			n -= 16
			return nearest(n/36*51, n/6%6*51, n%6*51), 2
		case n >= 232 && n < 256:
			return nearest((n-232)*11, (n-232)*11, (n-232)*11), 2
		}
		return 0, 2
	case len(codes) >= 4 && v[0] == 2:
		return nearest(v[1], v[2], v[3]), 4
	}
	return 0, len(codes)
}

func nearest(r, g, b int) int {
	most, least := max(r, g, b), min(r, g, b)
	if most-least < 48 { // grey: the ink of the page, or a faint one
		if most > 160 {
			return 8
		}
		return 1
	}
	middle, n := (most+least)/2, 1
	for i, c := range []int{r, g, b} {
		if c > middle {
			n += 1 << i
		}
	}
	return n
}

// plain is the text of a line without its styles.
func plain(s string) string {
	var b strings.Builder
	for _, p := range ansi(s) {
		b.WriteString(p.Text)
	}
	return cutAt(b.String(), maxLine)
}

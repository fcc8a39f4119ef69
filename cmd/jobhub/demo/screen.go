package demo

import (
	"fmt"
	"io"
	"time"
)

// screen shows the balance: rewritten in place on a terminal, otherwise as a line now and then.
type screen struct {
	out     io.Writer
	inPlace bool
	tick    *time.Ticker
}

func newScreen(out io.Writer, inPlace bool) *screen {
	s := &screen{out: out, inPlace: inPlace}
	s.tick = time.NewTicker(5 * time.Second)
	if s.inPlace {
		s.tick.Reset(250 * time.Millisecond)
	}
	return s
}

func (s *screen) show(b balance) {
	if s.inPlace {
		// Without automatic wrapping, because a wrapped line can't be rewritten.
		fmt.Fprintf(s.out, "\r\x1b[?7l%s\x1b[K\x1b[?7h", b)
		return
	}
	fmt.Fprintln(s.out, b)
}

// say prints a line, in place of a balance that is rewritten.
func (s *screen) say(text string) {
	if s.inPlace {
		text = "\r" + text + "\x1b[K"
	}
	fmt.Fprintln(s.out, text)
}

// end leaves the last balance on the screen.
func (s *screen) end() {
	s.tick.Stop()
	if s.inPlace {
		fmt.Fprintln(s.out)
	}
}

package upgrade

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
)

// chunks gives its bytes in pieces of a size, and calls each before every piece.
type chunks struct {
	b    []byte
	size int
	each func(done int)
	done int
}

func (c *chunks) Read(p []byte) (int, error) {
	c.each(c.done)
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(c.size, len(c.b))])
	c.b = c.b[n:]
	c.done += n
	return n, nil
}

// FuzzDirection: whatever a side sends, in pieces of whatever size, the other side gets a
// beginning of it that ends where the pieces do not matter; and a close frame of the hub only
// between two frames.
func FuzzDirection(f *testing.F) {
	for _, s := range []string{"", frame(0x81, "hello", false), frame(0x01, "a", false) + frame(0x80, "b", false), frame(0x88, "", false) + "more",
		frame(0x82, strings.Repeat("x", 5000), false) + frame(0x8a, "", false), "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "\x89\x7e", "\x81\x80aaaa"} {
		f.Add([]byte(s), 1, 3)
		f.Add([]byte(s), 4096, 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, size, closeAt int) {
		size = max(1, min(size, 10000))
		run := func(size, closeAt int) (string, bool, error) {
			var out bytes.Buffer
			d := &direction{to: &out, bytes: new(atomic.Int64), maxMessage: 1 << 20}
			d.from = &chunks{b: b, size: size, each: func(done int) {
				if closeAt >= 0 && done >= closeAt {
					d.close(goingAway, "x")
				}
			}}
			err := d.run(nil)
			return out.String(), d.closed, err
		}
		whole, _, err := run(len(b)+1, -1)
		if !bytes.HasPrefix(b, []byte(whole)) {
			t.Fatal("bytes were changed")
		}
		if got, _, e := run(size, -1); got != whole || e != err {
			t.Fatalf("pieces of %d give %d bytes and %v, not %d and %v", size, len(got), e, len(whole), err)
		}
		got, closed, _ := run(size, closeAt)
		own := string(closeFrame(goingAway, "x", false))
		passed, ended := strings.CutSuffix(got, own)
		if !closed || !ended {
			if !strings.HasPrefix(whole, got) {
				t.Fatal("bytes were changed")
			}
			return
		}
		if !strings.HasPrefix(whole, passed) {
			t.Fatal("bytes were changed before the close frame")
		}
		for rest := []byte(passed); len(rest) > 0; {
			h, n, valid := parse(rest)
			if !valid || n == 0 || h.length > int64(len(rest)-n) {
				t.Fatal("the close frame stands inside a frame")
			}
			rest = rest[n+int(h.length):]
		}
	})
}

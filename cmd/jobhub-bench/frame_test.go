package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// told is a sink that records what it received, and what counter and objects make of it.
type told struct {
	counter
	objects
	list     []string
	controls []string
}

func (t *told) data(part []byte, end bool) error {
	t.counter.data(part, end)
	return t.objects.data(part, end, func(object []byte) error {
		t.list = append(t.list, string(object))
		return nil
	})
}

func (t *told) control(opcode byte, payload []byte) error {
	t.controls = append(t.controls, fmt.Sprintf("%d %s", opcode, payload))
	return nil
}

func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n > 0xffff:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = append(b, byte(n))
	}
	return append(b, payload...)
}

// stream is frames of every sort, the objects in them, and the control frames.
func stream() (b []byte, list, controls []string) {
	event := func(n int, pad int) string {
		return fmt.Sprintf(`{"type":"job.output","seq":%d,"data":"%s"}`, n, strings.Repeat("x", pad))
	}
	list = []string{`{"type":"welcome"}`, event(1, 0), event(2, 120), `{"type":"jab.output"}`, `{}`, event(3, 300), `{"type":"ping","seq":3}`, event(4, 10), event(5, 20), `{"type":"job.`, `{"type":"job`}
	b = slices.Concat(
		frame(0x81, list[0]),
		frame(0x81, list[1]+"\n"+list[2]+"\n"+list[3]+"\n"+list[4]),
		frame(0x89, ""),
		frame(0x01, list[5]+"\n"+list[6][:5]), // fragmented inside an object
		frame(0x89, "between"),
		frame(0x00, ""),
		frame(0x80, list[6][5:]+"\n"+list[7]),
		frame(0x81, ""),
		frame(0x81, list[8]+"\n"),
		frame(0x81, list[9]),
		frame(0x81, list[10]),
		frame(0x88, "\x0f\xa1slow"),
	)
	return b, list, []string{"9 ", "9 between", "8 \x0f\xa1slow"}
}

func (t *told) compare(list, controls []string) error {
	if !slices.Equal(t.list, list) {
		return fmt.Errorf("objects %q, not %q", t.list, list)
	}
	if !slices.Equal(t.controls, controls) {
		return fmt.Errorf("control frames %q, not %q", t.controls, controls)
	}
	events, bytes := uint64(0), uint64(0)
	for _, object := range list {
		if strings.HasPrefix(object, eventPrefix) {
			events++
			bytes += uint64(len(object))
		}
	}
	if t.events != events || t.bytes != bytes {
		return fmt.Errorf("counted %d events of %d bytes, not %d of %d", t.events, t.bytes, events, bytes)
	}
	return nil
}

func TestFramesSplitAnywhere(t *testing.T) {
	all, list, controls := stream()
	for cut := range len(all) + 1 {
		heard := &told{}
		f := frames{sink: heard}
		for _, piece := range [][]byte{all[:cut], all[cut:]} {
			if err := f.feed(bytes.Clone(piece)); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		if err := heard.compare(list, controls); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if f.count != 9 {
			t.Fatalf("cut at %d: %d data frames", cut, f.count)
		}
	}
	heard := &told{}
	f := frames{sink: heard}
	one := make([]byte, 1)
	for _, one[0] = range all {
		if err := f.feed(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := heard.compare(list, controls); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
}

func TestLongFrame(t *testing.T) {
	line := `{"type":"job.output","data":"` + strings.Repeat("y", 200) + `"}`
	text := strings.Repeat(line+"\n", 500)
	all := frame(0x81, text)
	for _, size := range []int{1, 7, 199, 4096, len(all)} {
		heard := &told{}
		f := frames{sink: heard}
		for piece := range slices.Chunk(all, size) {
			if err := f.feed(piece); err != nil {
				t.Fatal(err)
			}
		}
		if heard.events != 500 || heard.bytes != uint64(500*len(line)) || len(heard.list) != 500 {
			t.Errorf("pieces of %d: %d events of %d bytes, %d objects", size, heard.events, heard.bytes, len(heard.list))
		}
	}
}

func TestBrokenFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":                  {0x81, 0x80, 0, 0, 0, 0},
		"reserved bit":            {0xc1, 0},
		"unknown opcode":          {0x83, 0},
		"continuation of nothing": {0x80, 0},
		"message in a message":    append(frame(0x01, "a"), frame(0x81, "b")...),
		"fragmented ping":         {0x09, 0},
		"long ping":               frame(0x89, strings.Repeat("p", 126)),
	} {
		f := frames{sink: &told{}}
		if f.feed(b) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzFrames(f *testing.F) {
	all, _, _ := stream()
	f.Add(all, uint16(10))
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1}, uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		whole, parts := &told{}, &told{}
		one := frames{sink: whole}
		errWhole := one.feed(b)
		two := frames{sink: parts}
		at := min(int(cut), len(b))
		errParts := two.feed(b[:at])
		if errParts == nil {
			errParts = two.feed(b[at:])
		}
		if (errWhole == nil) != (errParts == nil) {
			t.Fatalf("whole: %v, in parts: %v", errWhole, errParts)
		}
		if whole.events != parts.events || whole.bytes != parts.bytes || !slices.Equal(whole.list, parts.list) || !slices.Equal(whole.controls, parts.controls) {
			t.Fatalf("whole %+v, in parts %+v", whole, parts)
		}
	})
}

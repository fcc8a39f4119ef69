package web_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

const maxMessage = 256 << 10 // bytes of a client's message

// TestHostileFrames: what breaks RFC 6455, or the hub's limits, ends the connection with
// the code that says why; the hub does not wait for what was only announced.
func TestHostileFrames(t *testing.T) {
	ping := func(t string) string { return `{"type":"ping","t":"` + t + `"}` }
	large := ping(strings.Repeat("x", maxMessage))
	tests := []struct {
		name, bytes string
		want        int
	}{
		{"unmasked text", "\x81\x02{}", 1002},
		{"unmasked ping", "\x89\x00", 1002},
		{"unmasked close", "\x88\x02\x03\xe8", 1002},
		{"reserved bit 1", frame(fin|0x40|opText, "{}"), 1002},
		{"reserved bit 2", frame(fin|0x20|opText, "{}"), 1002},
		{"reserved bit 3", frame(fin|0x10|opText, "{}"), 1002},
		{"reserved bit of a ping", frame(fin|0x40|opPing, ""), 1002},
		{"fragmented ping", frame(opPing, ""), 1002},
		{"fragmented pong", frame(opPong, "x"), 1002},
		{"fragmented close", frame(opClose, "\x03\xe8"), 1002},
		{"ping over 125 bytes", frame(fin|opPing, strings.Repeat("x", 126)), 1002},
		{"pong of 2^40 bytes, announced", announced(fin|opPong, 1<<40), 1002},
		{"close over 125 bytes", closing(1000, strings.Repeat("x", 124)), 1002},
		{"continuation of nothing", frame(fin|opContinuation, "{}"), 1002},
		{"continuation of a whole message", whole(ping("")) + frame(fin|opContinuation, "{}"), 1002},
		{"text inside text", frame(opText, "{") + whole("}"), 1002},
		{"binary inside text", frame(opText, "{") + frame(fin|opBinary, "}"), 1002},

		{"binary", frame(fin|opBinary, ping("")), 1003},
		{"fragmented binary", frame(opBinary, "{") + frame(fin|opContinuation, "}"), 1003},

		{"not UTF-8", whole(ping("\xff")), 1007},
		{"half a character", whole("\xe2\x82"), 1007},
		{"a surrogate", whole(ping("\xed\xa0\x80")), 1007},
		{"an overlong slash", whole(ping("\xc0\xaf")), 1007},
		{"behind U+10FFFF", whole(ping("\xf4\x90\x80\x80")), 1007},
		{"a character broken by the next fragment", frame(opText, "\xe2\x82") + frame(fin|opContinuation, "\xe2"), 1007},
		{"a character cut by the end of the last fragment", frame(opText, `{"type":"`) + frame(fin|opContinuation, "\xf0\x9f\x92"), 1007},
		{"not UTF-8 behind a good object", whole(ping("") + "\n\xff"), 1007},

		{"too large, announced", announced(fin|opText, maxMessage+1), 1009},
		{"2^62 bytes, announced", announced(fin|opText, 1<<62), 1009},
		{"2^63 bytes, announced", announced(fin|opText, 1<<63), 1009},
		{"fragments that add up, announced", frame(opText, strings.Repeat(" ", 200<<10)) + announced(opContinuation, 57<<10), 1009},
		{"a thousand fragments that add up", strings.Repeat(frame(opText, " "), 1) + strings.Repeat(frame(opContinuation, strings.Repeat(" ", 300)), 1000), 1009},
		{"too large, sent", whole(large), 1009},

		{"2 bytes, announced in 8", "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00{}", 1002},
		{"2 bytes, announced in 2", "\x81\xfe\x00\x02\x00\x00\x00\x00{}", 1002},
		{"125 bytes of a ping, announced in 2", "\x89\xfe\x00\x7d", 1002},
		{"65,535 bytes, announced in 8", "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002},
		{"no byte, announced in 8", "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x00", 1002},

		{"close with half a code", frame(fin|opClose, "\x03"), 1002},
		{"close with a reason that is not UTF-8", closing(1000, "\xff"), 1007},
		{"close with a reason cut in a character", closing(1000, "\xe2\x82"), 1007},
	}
	for op := byte(3); op < 16; op++ {
		if op < opClose || op > opPong {
			tests = append(tests, struct {
				name, bytes string
				want        int
			}{fmt.Sprintf("opcode %#x", op), frame(fin|op, ""), 1002})
		}
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535} {
		tests = append(tests, struct {
			name, bytes string
			want        int
		}{fmt.Sprint("close with ", code), closing(code, ""), 1002})
	}
	w := start(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := w.raw("?all=1")
			c.t = t
			if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, test.bytes) // it may hang up before it has all
			if code, reason := c.closed(); code != test.want {
				t.Errorf("closed with %d (%q), want %d", code, reason, test.want)
			} else if len(reason) > 123 {
				t.Errorf("a reason of %d bytes", len(reason))
			}
		})
	}
	w.submit(`{"kind":"echo"}`)
}

func TestCloseIsEchoed(t *testing.T) {
	w := start(t)
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		c := w.raw("")
		c.send(closing(code, "bye €"))
		if got, _ := c.closed(); got != int(code) {
			t.Errorf("a close with %d is answered with %d", code, got)
		}
	}
	c := w.raw("")
	c.send(frame(fin|opClose, ""))
	if got, _ := c.closed(); got != 0 && got != 1000 {
		t.Errorf("a close without a code is answered with %d", got)
	}
	c = w.raw("")
	c.send(closing(1000, "") + whole(`{"type":"submit","id":"m","job":{"kind":"nobody"}}`))
	if got, _ := c.closed(); got != 1000 || w.store.Head().Seq != 0 {
		t.Errorf("closed with %d; a message after a close frame was handled: %v", got, w.log())
	}
}

// conversation sends bytes and checks the frames that come back, as "opcode payload".
func conversation(t *testing.T, c *rawConn, bytes string, want ...string) {
	t.Helper()
	io.WriteString(c, bytes)
	var got []string
	for range want {
		op, payload := c.frame()
		got = append(got, fmt.Sprintf("%x %s", op, payload))
	}
	if !slices.Equal(got, want) {
		t.Errorf("came\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFramesInUnusualForms(t *testing.T) {
	const euro = `{"type":"ping","t":"€"}`
	cut := strings.Index(euro, "€") + 1
	fragmented := frame(opText, euro[:cut]) + frame(fin|opPing, "beat") + frame(opContinuation, euro[cut:cut+1]) + frame(opContinuation, "") + frame(fin|opContinuation, euro[cut+1:])
	largest := `{"type":"ping","t":"` + strings.Repeat("x", maxMessage-len(`{"type":"ping","t":""}`)) + `"}`
	var eachByte strings.Builder
	eachByte.WriteString(frame(opText, ""))
	for i := range len(euro) {
		eachByte.WriteString(frame(opContinuation, euro[i:i+1]))
	}
	eachByte.WriteString(frame(fin|opContinuation, ""))
	const pong = `1 {"type":"pong","t":`
	w := start(t)
	talk := func(name, bytes string, want ...string) {
		t.Run(name, func(t *testing.T) {
			c := w.raw("")
			c.t = t
			conversation(t, c, bytes, want...)
			conversation(t, c, whole(`{"type":"ping","t":"end"}`), pong+`"end"}`)
		})
	}
	talk("fragments around a ping", fragmented, "a beat", pong+`"€"}`)
	talk("a fragment for each byte", eachByte.String(), pong+`"€"}`)
	talk("the largest message", whole(largest), "1 "+strings.Replace(largest, "ping", "pong", 1))
	talk("the largest ping", frame(fin|opPing, strings.Repeat("x", 125)), "a "+strings.Repeat("x", 125))
	talk("an empty ping", frame(fin|opPing, ""), "a ")
	talk("a pong that nobody asked for", frame(fin|opPong, "x")+frame(fin|opPong, ""))
	talk("an empty message", whole(""))
	talk("blank lines", whole("\n \r\n\t\n"))
	talk("a mask of zeros", "\x81\x8f\x00\x00\x00\x00"+`{"type":"ping"}`, pong+`null}`)

	t.Run("several objects in a frame", func(t *testing.T) {
		c := w.raw("")
		c.t = t
		c.send(whole(`{"type":"ping","t":1}` + "\n" + `{"type":"bogus","id":"b"}` + "\r\n\n" + `{"type":"ping","t":2}` + "\n"))
		var lines []string
		for len(lines) < 3 {
			_, payload := c.frame()
			lines = append(lines, strings.Split(payload, "\n")...)
		}
		if lines[0] != `{"type":"pong","t":1}` || decoded(t, lines[1])["type"] != "error" || lines[2] != `{"type":"pong","t":2}` {
			t.Errorf("got %q", lines)
		}
	})
	t.Run("byte by byte", func(t *testing.T) {
		c := w.raw("")
		c.t = t
		for _, b := range []byte(fragmented) {
			c.send(string([]byte{b}))
		}
		conversation(t, c, "", "a beat", pong+`"€"}`)
	})
}

// Frames may come in one packet with the handshake, or be cut anywhere by packets.
func TestFramesBehindTheHandshake(t *testing.T) {
	w := start(t)
	for _, more := range []string{"", strings.Repeat(" ", 900), strings.Repeat(" ", 5000), strings.Repeat(" ", 70_000)} {
		c := w.rawDial(handshake(w.address(), "?all=1") + whole(`{"type":"ping","t":1}`+more) + whole(`{"type":"ping","t":2}`))
		c.upgraded()
		var got []string
		for len(got) < 5 {
			_, payload := c.frame()
			got = append(got, strings.Split(payload, "\n")...)
		}
		if decoded(t, got[0])["type"] != "welcome" || got[3] != `{"type":"pong","t":1}` || got[4] != `{"type":"pong","t":2}` {
			t.Errorf("with %d bytes more: %q", len(more), got)
		}
	}
}

// A connection that is cut anywhere inside a frame ends, and takes its goroutines
// and its place in the hub with it.
func TestCutConnections(t *testing.T) {
	w := start(t)
	bytes := frame(opText, `{"type":"subscribe",`) + frame(fin|opContinuation, `"id":"s","all":true}`)
	for n := range len(bytes) {
		c := w.raw("")
		c.send(bytes[:n])
		c.Close()
	}
	w.submit(`{"kind":"echo"}`)
}

// TestHostileMessages: a wrong message gets an error and has no other effect.
func TestHostileMessages(t *testing.T) {
	const job = "0197f0a2-5c1e-7000-8000-000000a44f09"
	tests := []struct{ message, id, code string }{
		{`{`, "", "bad_message"},
		{`}`, "", "bad_message"},
		{`nonsense`, "", "bad_message"},
		{`null`, "", "bad_message"},
		{`[]`, "", "bad_message"},
		{`"ping"`, "", "bad_message"},
		{`17`, "", "bad_message"},
		{`{}`, "", "bad_message"},
		{`{"type":"ping"}{"type":"ping"}`, "", "bad_message"},
		{`{"type":"ping"},`, "", "bad_message"},
		{`{"type":"get","id":"a","job":"\ud800"}`, "a", "bad_message"},
		{`{'type':'ping'}`, "", "bad_message"},
		{`{"type":"ping",}`, "", "bad_message"},
		{`{"type":"ping","t":NaN}`, "", "bad_message"},
		{`{"type":"ping","t":01}`, "", "bad_message"},
		{strings.Repeat(`[`, 100_000), "", "bad_message"},
		{`{"type":"ping","t":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, "", "bad_message"},
		{`{"id":"a","type":7}`, "a", "bad_message"},
		{`{"type":"subscribe","id":7,"all":true}`, "", "bad_message"},
		{`{"type":"subscribe","id":null,"all":true}`, "", "bad_message"},
		{`{"type":"subscribe","id":"","all":true}`, "", "bad_message"},
		{`{"type":"subscribe","all":true}`, "", "bad_message"},
		{`{"type":"subscribe","id":"` + strings.Repeat("x", 129) + `","all":true}`, "", "bad_message"},
		{`{"id":"a","type":"ping","type":"ping"}`, "a", "bad_message"},
		{`{"id":"a","id":"b","type":"ping"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"bogus":1}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","All":true}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":1}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":"true"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":false}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"queue":"q"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","queue":["q"]}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","queue":""}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","queue":"a b"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","queue":"` + strings.Repeat("q", 65) + `"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","kind":"Invoice"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","tag":""}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","tag":"a\u0000"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","tag":"` + strings.Repeat("t", 129) + `"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","job":7}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","job":"not-an-id"}`, "a", "not_found"},
		{`{"id":"a","type":"subscribe","job":"` + job + `"}`, "a", "not_found"},
		{`{"id":"a","type":"subscribe","all":true,"progress":"some"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":{"epoch":"e","seq":-1}}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":{"epoch":"e","seq":1.5}}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":{"epoch":"e","seq":18446744073709551616}}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":{"epoch":"e","seq":"1"}}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":{"seq":1,"bogus":1}}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"since":17}`, "a", "bad_message"},
		{`{"id":"a","type":"unsubscribe"}`, "a", "not_found"},
		{`{"id":"a","type":"get"}`, "a", "bad_message"},
		{`{"id":"a","type":"get","job":"` + job + `"}`, "a", "not_found"},
		{`{"id":"a","type":"cancel","job":"` + job + `"}`, "a", "not_found"},
		{`{"id":"a","type":"submit"}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":[]}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":{}}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":{"kind":"a","bogus":1}}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":{"kind":"a","kind":"b"}}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":{"kind":"A B"}}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","key":"\u0000","job":{"kind":"a"}}`, "a", "bad_message"},
		{`{"id":"a","type":"bogus"}`, "a", "unsupported"},
		{`{"id":"a","type":"Ping"}`, "a", "unsupported"},
		{`{"id":"a","type":""}`, "a", "unsupported"},
		{`{"id":"a","type":"bogus","since":7,"more":{}}`, "a", "unsupported"},
		{`{"id":"a","type":"ping","watch":true}`, "a", "bad_message"},
		{`{"id":"a","type":"hello","job":"x"}`, "a", "bad_message"},
		{`{"id":"a","type":"subscribe","all":true,"key":"k"}`, "a", "bad_message"},
		{`{"id":"a","type":"unsubscribe","all":true}`, "a", "bad_message"},
		{`{"id":"a","type":"submit","job":{"kind":"a"},"since":{"epoch":"e","seq":1}}`, "a", "bad_message"},
		{`{"id":"a","type":"cancel","job":"` + job + `","progress":"all"}`, "a", "bad_message"},
		{`{"id":"a","type":"get","job":"` + job + `","token":"t"}`, "a", "bad_message"},
		{`{"id":"a","type":"refresh","token":"t","t":1}`, "a", "bad_message"},
	}
	w := start(t)
	c := w.dial("")
	for _, test := range tests {
		c.send("%s", test.message)
		m := c.next()
		got, _ := m["id"].(string)
		if m["type"] != "error" || m["code"] != test.code || m["retry"] != false || fmt.Sprint(m["message"]) == "" {
			t.Errorf("%.200s\ngot %v, want %s", test.message, m, test.code)
		} else if got != test.id {
			t.Errorf("%.200s\nis answered as %q, want %q", test.message, got, test.id)
		}
	}
	c.quiet()
	w.nothingStored()
}

// Each of many errors in a row is answered, and the connection still works.
func TestManyErrorsInARow(t *testing.T) {
	w := start(t)
	c := w.dial("")
	const many = 1000
	for n := range many {
		c.send(`{"type":"bogus","id":"e%d"}`, n)
	}
	c.send("%s", strings.Repeat("{}\n", many))
	for n := range 2 * many {
		if m := c.next(); m["type"] != "error" || n < many && m["id"] != fmt.Sprint("e", n) {
			t.Fatalf("error %d: %v", n, m)
		}
	}
	c.send(`{"type":"subscribe","id":"s","all":true}`)
	c.block("s")
	w.submit(`{"kind":"nobody"}`)
	c.until("job.queued")
}

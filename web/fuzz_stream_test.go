package web_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzStream plays the whole of what a client sends after the handshake. Whatever that
// is, the hub answers in whole frames of valid JSON, and ends the connection: at once if
// it was broken, else when the client does, and with a code of the contract.
func FuzzStream(f *testing.F) {
	plain := func(first byte, payload string) string { // a mask of zeros lets the fuzzer at the payload
		return strings.TrimSuffix(announced(first, uint64(len(payload))), mask) + "\x00\x00\x00\x00" + payload
	}
	ping := plain(fin|opText, `{"type":"ping","t":1}`)
	for _, seed := range []string{"", ping, ping + closing(1000, "bye"), plain(opText, `{"type":`) + plain(fin|opPing, "x") + plain(fin|opContinuation, `"ping"}`),
		plain(fin|opText, `{"type":"subscribe","id":"s","all":true,"snapshot":true}`+"\n"+`{"type":"unsubscribe","id":"s"}`),
		plain(fin|opText, `{"type":"subscribe","id":"s","queue":"q","since":{"epoch":"e","seq":1}}`) + ping,
		plain(fin|opText, `{"type":"submit","id":"m","job":{"kind":"echo","input":1},"key":"k","watch":true}`) + ping,
		plain(fin|opText, `{"type":"subscribe","id":"v","view":"overview"}`), plain(fin|opText, "\xff"), plain(fin|opBinary, "{}"),
		announced(fin|opText, 1<<40), announced(fin|opText, 1<<63), frame(fin|opPong, strings.Repeat("x", 126)), "\x81\x02{}", "\xff\xff\xff", closing(1005, ""), frame(fin|opClose, "\x03")} {
		f.Add([]byte(seed))
	}
	w := start(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		conn, err := net.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		c := &rawConn{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
		c.send(handshake(w.address(), "?all=1"))
		if err := served(c, stream); err != nil {
			t.Fatal(err)
		}
	})
}

// served sends a stream and says what is wrong with the answer.
func served(c *rawConn, stream []byte) error {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(err, errors.New("the handshake failed"))
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.Copy(c, bytes.NewReader(stream)) // it may hang up before it has all
		c.CloseWrite()
	}()
	defer func() { c.Close(); <-sent }()
	for {
		op, payload, err := readFrame(c.r)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errors.New("the connection does not end")
		case err != nil:
			return nil // without a close, as the client went without one
		}
		switch op {
		case opText:
			for line := range strings.SplitSeq(payload, "\n") {
				if !utf8.ValidString(line) || !jsontext.Value(line).IsValid() || !strings.HasPrefix(line, `{"type":"`) {
					return errors.New("it said " + line)
				}
			}
		case opPong:
			if len(payload) > 125 {
				return errors.New("a pong of more than was asked for")
			}
		case opPing:
		case opClose:
			if len(payload) == 1 || len(payload) > 125 || len(payload) > 2 && !utf8.ValidString(payload[2:]) {
				return errors.New("a malformed close: " + payload)
			}
			if len(payload) == 0 {
				return nil
			}
			code := binary.BigEndian.Uint16([]byte(payload))
			own := []uint16{1002, 1003, 1007, 1009, 1012, 1013}
			echoed := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code < 5000
			if !slices.Contains(own, code) && !echoed {
				return errors.New("closed with an undefined code: " + payload)
			}
			return nil
		default:
			return errors.New("an unknown frame: " + payload)
		}
	}
}

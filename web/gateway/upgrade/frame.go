package upgrade

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// Close codes that the hub sends (RFC 6455, 7.4.1).
const (
	goingAway     = 1001
	protocolError = 1002
	policy        = 1008
	tooBig        = 1009
)

const (
	opContinuation = 0
	opClose        = 8
	maxControl     = 125 // bytes of payload in a control frame
	maxHeader      = 14
)

// header is the header of a frame (RFC 6455, 5.2).
type header struct {
	fin    bool
	opcode byte
	masked bool
	length int64 // of the payload in bytes
}

func (h header) control() bool { return h.opcode >= opClose }

// parse reads the header of a frame. n is its size, 0 if b ends before it does. valid is false
// for a header that no frame may have.
func parse(b []byte) (h header, n int, valid bool) {
	if len(b) < 2 {
		return h, 0, true
	}
	h = header{fin: b[0]&0x80 != 0, opcode: b[0] & 15, masked: b[1]&0x80 != 0, length: int64(b[1] & 0x7f)}
	if h.control() && (!h.fin || h.length > maxControl) {
		return h, 0, false
	}
	n = 2
	switch h.length {
	case 126:
		if n = 4; len(b) >= n {
			h.length = int64(binary.BigEndian.Uint16(b[2:]))
		}
	case 127:
		if n = 10; len(b) >= n {
			length := binary.BigEndian.Uint64(b[2:])
			if length > math.MaxInt64 {
				return h, 0, false
			}
			h.length = int64(length)
		}
	}
	if h.masked {
		n += 4
	}
	if len(b) < n {
		return h, 0, true
	}
	return h, n, true
}

// closeFrame returns a close frame. reason is at most 123 bytes.
func closeFrame(code uint16, reason string, masked bool) []byte {
	payload := append(binary.BigEndian.AppendUint16(nil, code), reason...)
	frame := []byte{0x80 | opClose, byte(len(payload))}
	if masked {
		var key [4]byte
		rand.Read(key[:])
		frame[1] |= 0x80
		frame = append(frame, key[:]...)
		for i := range payload {
			payload[i] ^= key[i%4]
		}
	}
	return append(frame, payload...)
}

package live

import (
	"encoding/binary"

	"github.com/coder/websocket"

	"jobhub/web/rest"
)

// WebSocket frames (RFC 6455 section 5.2), where the library does not handle them: our own
// control frames, and the headers of the frames that clients send.

const (
	opClose = 0x88 // with FIN
	opPong  = 0x8a
)

// controlFrame is an unmasked frame; data has at most 125 bytes.
func controlFrame(op byte, data []byte) []byte { return append([]byte{op, byte(len(data))}, data...) }

func closeFrame(code websocket.StatusCode, reason string) []byte {
	if code == websocket.StatusNoStatusRcvd {
		return controlFrame(opClose, nil)
	}
	return controlFrame(opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

// frameSize is the size of an unmasked frame that begins with b; b holds the whole header.
func frameSize(b []byte) int {
	switch b[1] {
	case 126:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	}
	return 2 + int(b[1])
}

// inspector reads the headers of a client's frames and finds violations that the library
// would accept, or refuse without a close code: frames that are not masked (section 5.1),
// lengths in more bytes than needed (section 5.2), and messages that are too large, as
// soon as their length is announced.
type inspector struct {
	first   byte   // of the header
	seen    int    // bytes of the header so far, at most 2
	extra   int    // bytes of an extended length that are still missing
	least   uint64 // smallest length that needs these bytes
	length  uint64 // announced
	skip    uint64 // bytes until the next header
	message uint64 // bytes announced of a message in fragments
}

// inspect reads the next bytes and returns the close code for a violation, or 0.
func (i *inspector) inspect(b []byte) websocket.StatusCode {
	for len(b) > 0 {
		if i.skip > 0 {
			n := min(i.skip, uint64(len(b)))
			i.skip -= n
			b = b[n:]
			continue
		}
		c := b[0]
		b = b[1:]
		switch i.seen {
		case 0:
			i.first, i.seen = c, 1
			continue
		case 1:
			if c&0x80 == 0 {
				return websocket.StatusProtocolError
			}
			i.seen, i.length = 2, uint64(c&0x7f)
			switch i.least = 0; i.length {
			case 126:
				i.extra, i.length, i.least = 2, 0, 126
			case 127:
				i.extra, i.length, i.least = 8, 0, 1<<16
			}
		default:
			i.length = i.length<<8 | uint64(c)
			i.extra--
		}
		if i.extra > 0 {
			continue
		}
		if i.length < i.least {
			return websocket.StatusProtocolError
		}
		if op := i.first & 0x0f; op < 8 { // not a control frame
			if op != 0 {
				i.message = 0
			}
			if i.length > rest.MaxMessage || i.message+i.length > rest.MaxMessage {
				return websocket.StatusMessageTooBig
			}
			i.message += i.length
		}
		i.seen, i.skip = 0, 4+i.length // the mask and the payload
	}
	return 0
}

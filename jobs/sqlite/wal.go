package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// SQLite recovers a WAL up to the first damaged frame, and silently drops the frames after
// it. readWAL reads the file first, so that such a loss is noticed. See
// https://sqlite.org/walformat.html.

// walState is what SQLite will find in a WAL.
type walState struct {
	salt    uint64 // names its generation; 0 if there is none
	end     int64  // behind the newest commit that SQLite recovers; 0 if none
	dropped int    // frames of this generation behind the first bad one
	broken  bool   // the header is damaged, so that SQLite ignores the frames
	frames  int    // of this generation in all
}

// readWAL reads the WAL of a database. A missing one is empty.
func readWAL(database string) (walState, error) {
	f, err := os.Open(database + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return walState{}, nil
	}
	if err != nil {
		return walState{}, err
	}
	defer f.Close()
	return parseWAL(bufio.NewReaderSize(f, 256<<10))
}

func parseWAL(r io.Reader) (w walState, err error) {
	header := make([]byte, walHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return w, ignoreEOF(err)
	}
	w.broken = !walHeaderIntact(header)
	if !w.broken {
		w.salt = binary.BigEndian.Uint64(header[16:])
	}
	frame := make([]byte, frameSize)
	before := header[24:]
	intact := !w.broken
	for at := int64(walHeader); ; at += frameSize {
		if _, err := io.ReadFull(r, frame); err != nil {
			return w, ignoreEOF(err)
		}
		salt := binary.BigEndian.Uint64(frame[8:])
		if w.broken && w.salt == 0 {
			w.salt = salt
		}
		same := salt == w.salt
		if intact && same && frameIntact(before, frame[:frameHeader], frame[frameHeader:]) && binary.BigEndian.Uint32(frame) > 0 {
			w.frames++
			if binary.BigEndian.Uint32(frame[4:]) > 0 { // the last frame of a commit has the size of the database
				w.end = at + frameSize
			}
			before = append(before[:0:0], frame[16:frameHeader]...)
			continue
		}
		if same {
			w.frames++
		}
		if same && !intact {
			w.dropped++
		}
		intact = false
	}
}

func walHeaderIntact(h []byte) bool {
	magic := binary.BigEndian.Uint32(h)
	order := binary.ByteOrder(binary.LittleEndian)
	if magic&1 != 0 {
		order = binary.BigEndian
	}
	s := sum{}.add(order, h[:24])
	return magic&^1 == 0x377f0682 && binary.BigEndian.Uint32(h[4:]) == 3007000 && binary.BigEndian.Uint32(h[8:]) == pageSize &&
		s.a == binary.BigEndian.Uint32(h[24:]) && s.b == binary.BigEndian.Uint32(h[28:])
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

package vfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// SQLite recovers a WAL up to the first damaged frame, and silently drops the frames after
// it. ReadWAL reads the file first, so that such a loss is noticed. See
// https://sqlite.org/walformat.html.

// WAL is what SQLite will find in a WAL.
type WAL struct {
	Salt    uint64 // names its generation; 0 if there is none
	End     int64  // behind the newest commit that SQLite recovers; 0 if none
	Dropped int    // frames of this generation behind the first bad one
	Broken  bool   // the header is damaged, so that SQLite ignores the frames
	Frames  int    // of this generation in all
}

// ReadWAL reads the WAL of a database. A missing one is empty.
func ReadWAL(database string) (WAL, error) {
	f, err := os.Open(database + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return WAL{}, nil
	}
	if err != nil {
		return WAL{}, err
	}
	defer f.Close()
	return parseWAL(bufio.NewReaderSize(f, 256<<10))
}

func parseWAL(r io.Reader) (w WAL, err error) {
	header := make([]byte, WALHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return w, ignoreEOF(err)
	}
	w.Broken = !walHeaderIntact(header)
	if !w.Broken {
		w.Salt = binary.BigEndian.Uint64(header[16:])
	}
	frame := make([]byte, FrameSize)
	before := header[24:]
	intact := !w.Broken
	for at := int64(WALHeader); ; at += FrameSize {
		if _, err := io.ReadFull(r, frame); err != nil {
			return w, ignoreEOF(err)
		}
		salt := binary.BigEndian.Uint64(frame[8:])
		if w.Broken && w.Salt == 0 {
			w.Salt = salt
		}
		same := salt == w.Salt
		if intact && same && frameIntact(before, frame[:FrameHeader], frame[FrameHeader:]) && binary.BigEndian.Uint32(frame) > 0 {
			w.Frames++
			if binary.BigEndian.Uint32(frame[4:]) > 0 { // the last frame of a commit has the size of the database
				w.End = at + FrameSize
			}
			before = append(before[:0:0], frame[16:FrameHeader]...)
			continue
		}
		if same {
			w.Frames++
		}
		if same && !intact {
			w.Dropped++
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
	return magic&^1 == 0x377f0682 && binary.BigEndian.Uint32(h[4:]) == 3007000 && binary.BigEndian.Uint32(h[8:]) == PageSize &&
		s.a == binary.BigEndian.Uint32(h[24:]) && s.b == binary.BigEndian.Uint32(h[28:])
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

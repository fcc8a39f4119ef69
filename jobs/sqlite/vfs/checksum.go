package vfs

import "encoding/binary"

// The size of a page and of the checksum at its end. The database has the format of
// SQLite's own extension cksumvfs, so that other programs can check it, too.
const (
	PageSize     = 4096
	PageReserved = 8
)

// sum is the checksum of SQLite. In the WAL it continues from frame to frame; in cksumvfs
// each page has its own. Any change of a single word changes it.
type sum struct{ a, b uint32 }

// add continues the sum over data, whose length is a multiple of 8.
func (s sum) add(order binary.ByteOrder, data []byte) sum {
	if order == binary.LittleEndian { // so that the calls are inlined
		for ; len(data) >= 8; data = data[8:] {
			s.a += binary.LittleEndian.Uint32(data) + s.b
			s.b += binary.LittleEndian.Uint32(data[4:]) + s.a
		}
		return s
	}
	for ; len(data) >= 8; data = data[8:] {
		s.a += binary.BigEndian.Uint32(data) + s.b
		s.b += binary.BigEndian.Uint32(data[4:]) + s.a
	}
	return s
}

// SignPage writes the checksum of a page of the database into its last bytes.
func SignPage(page []byte) {
	end := len(page) - PageReserved
	s := sum{}.add(binary.LittleEndian, page[:end])
	binary.LittleEndian.PutUint32(page[end:], s.a)
	binary.LittleEndian.PutUint32(page[end+4:], s.b)
}

// pageIntact reports whether a page of the database is as it was written. A page of
// zeros, which SQLite has reserved and not used yet, is.
func pageIntact(page []byte) bool {
	end := len(page) - PageReserved
	s := sum{}.add(binary.LittleEndian, page[:end])
	return s.a == binary.LittleEndian.Uint32(page[end:]) && s.b == binary.LittleEndian.Uint32(page[end+4:])
}

// frameIntact reports whether a frame of the WAL is as it was written: its header, the
// page, and the checksum of the frame before it (of the header of the WAL for the first).
func frameIntact(before, header, page []byte) bool {
	want := sum{binary.BigEndian.Uint32(header[16:]), binary.BigEndian.Uint32(header[20:])}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		s := sum{binary.BigEndian.Uint32(before), binary.BigEndian.Uint32(before[4:])}
		if s.add(order, header[:8]).add(order, page) == want {
			return true
		}
	}
	return false
}

package vfs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// writtenWAL is the WAL of a database after some commits.
func writtenWAL(t testing.TB) []byte {
	Register()
	path := filepath.Join(t.TempDir(), "test.db")
	conn, err := sqlite.OpenConn(PlainURI(path), sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenURI|sqlite.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, sql := range []string{"CREATE TABLE t (n)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"} {
		if err := sqlitex.ExecuteTransient(conn, sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return wal
}

func TestReadWAL(t *testing.T) {
	wal := writtenWAL(t)
	w, err := parseWAL(bytes.NewReader(wal))
	if err != nil || w.Salt == 0 || w.Broken || w.Dropped > 0 || w.End != int64(len(wal)) || int64(w.Frames) != (w.End-WALHeader)/FrameSize {
		t.Errorf("%+v, %v of %d bytes", w, err, len(wal))
	}
	wal[WALHeader+FrameSize+FrameHeader] ^= 1 // the second frame
	if w, err := parseWAL(bytes.NewReader(wal)); err != nil || w.Dropped != w.Frames-2 || w.Dropped < 1 {
		t.Errorf("with a damaged frame: %+v, %v", w, err)
	}
}

func FuzzWAL(f *testing.F) {
	wal := writtenWAL(f)
	f.Add(wal[:WALHeader+2*FrameSize])
	f.Add(make([]byte, WALHeader))
	f.Fuzz(func(t *testing.T, wal []byte) {
		w, err := parseWAL(bytes.NewReader(wal))
		if err != nil || w.End > int64(len(wal)) || w.Dropped > w.Frames || int64(w.Frames)*FrameSize > int64(len(wal)) {
			t.Errorf("%+v, %v of %d bytes", w, err, len(wal))
		}
	})
}

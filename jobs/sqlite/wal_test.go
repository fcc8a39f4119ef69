package sqlite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs/sqlite/folder"
	"jobhub/jobs/sqlite/vfs"
)

// killedStore leaves a folder with acknowledged jobs, most of them in the WAL alone.
func killedStore(t *testing.T, jobs int) (dir, epoch string) {
	dir = filepath.Join(t.TempDir(), "data")
	s, _ := opened(t, dir)
	submit(t, s, jobs)
	kill(t, s)
	return dir, s.Head().Epoch
}

// TestDamagedWAL: SQLite drops everything after the first bad frame. That is reported, and
// the log is no longer called what it was.
func TestDamagedWAL(t *testing.T) {
	flip := func(at int64, bit byte) func(wal []byte) []byte {
		return func(wal []byte) []byte {
			if at < 0 {
				at += int64(len(wal))
			}
			wal[at] ^= bit
			return wal
		}
	}
	for name, damage := range map[string]func(wal []byte) []byte{
		"a page of the first commit":   flip(vfs.WALHeader+vfs.FrameHeader+100, 1),
		"a page in the middle":         flip(vfs.WALHeader+20*vfs.FrameSize+vfs.FrameHeader+4000, 0x80),
		"the salt of a frame":          flip(vfs.WALHeader+10*vfs.FrameSize+9, 4),
		"the checksum of a frame":      flip(vfs.WALHeader+10*vfs.FrameSize+17, 4),
		"the last page":                flip(-1, 1),
		"the header of the last frame": flip(-vfs.FrameSize+2, 1),
		"the magic number":             flip(1, 2),
		"the salt in the header":       flip(18, 2),
		"the checksum in the header":   flip(31, 2),
		"the size of pages":            flip(10, 2),
		"a cut in the middle":          func(wal []byte) []byte { return wal[:len(wal)/2] },
		"a cut in the last frame":      func(wal []byte) []byte { return wal[:len(wal)-1] },
		"only the header":              func(wal []byte) []byte { return wal[:vfs.WALHeader] },
		"nothing":                      func(wal []byte) []byte { return nil },
		"zeros in the last frame":      func(wal []byte) []byte { clear(wal[len(wal)-100:]); return wal },
		"zeros from the middle on":     func(wal []byte) []byte { clear(wal[len(wal)/2:]); return wal },
		"the first half is that before": func(wal []byte) []byte {
			copy(wal[vfs.WALHeader:], wal[vfs.WALHeader+vfs.FrameSize:len(wal)/2])
			return wal
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, epoch := killedStore(t, 20)
			path := filepath.Join(dir, folder.DatabaseFile+"-wal")
			wal, err := os.ReadFile(path)
			check(t, err)
			check(t, os.WriteFile(path, damage(bytes.Clone(wal)), 0o600))
			s, log := opened(t, dir)
			defer stop(t, s)
			if s.Head().Epoch == epoch {
				t.Errorf("the epoch is still %s, at %d", epoch, s.Head().Seq)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), fmt.Sprint("events=", 20-s.Head().Seq)) {
				t.Errorf("at %d: %s", s.Head().Seq, log)
			}
			submit(t, s, 1)
		})
	}
}

// TestDamagedCopyOfWAL: the loss is said, too, if the folder is a copy.
func TestDamagedCopyOfWAL(t *testing.T) {
	dir, epoch := killedStore(t, 5)
	backup := filepath.Join(t.TempDir(), "backup")
	copyFolder(t, dir, backup)
	path := filepath.Join(backup, folder.DatabaseFile+"-wal")
	wal, err := os.ReadFile(path)
	check(t, err)
	wal[len(wal)-1] ^= 1
	check(t, os.WriteFile(path, wal, 0o600))
	s, log := opened(t, backup)
	defer stop(t, s)
	if s.Head().Epoch == epoch || s.Head().Seq != 4 || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("%v: %s", s.Head(), log)
	}
}

// TestTornWAL: a commit that a killed process did not finish, and that nobody saw, is no damage.
func TestTornWAL(t *testing.T) {
	for name, tear := range map[string]func(wal []byte) []byte{
		"the header of a frame":        func(wal []byte) []byte { return append(wal, wal[len(wal)-vfs.FrameSize:][:vfs.FrameHeader]...) },
		"half a page":                  func(wal []byte) []byte { return append(wal, wal[len(wal)-vfs.FrameSize:][:2000]...) },
		"a frame that does not follow": func(wal []byte) []byte { return append(wal, wal[len(wal)-vfs.FrameSize:]...) },
		"old frames behind":            func(wal []byte) []byte { return append(wal, make([]byte, 3*vfs.FrameSize)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, epoch := killedStore(t, 5)
			path := filepath.Join(dir, folder.DatabaseFile+"-wal")
			wal, err := os.ReadFile(path)
			check(t, err)
			check(t, os.WriteFile(path, tear(wal), 0o600))
			s, log := opened(t, dir)
			defer stop(t, s)
			if s.Head().Epoch != epoch || s.Head().Seq != 5 || log.Len() > 0 {
				t.Errorf("%s became %v: %s", epoch, s.Head(), log)
			}
		})
	}
}

// TestWALIsReadAsSQLiteDoes: over many commits and checkpoints, what is read here is what
// SQLite recovers.
func TestWALIsReadAsSQLiteDoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for range 5 {
		s, log := opened(t, dir)
		if log.Len() > 0 {
			t.Fatal(log)
		}
		submit(t, s, 1+rand.IntN(40))
		if rand.IntN(2) == 0 { // the WAL begins again from its start, over older frames
			check(t, sqlitex.ExecuteTransient(s.write, "PRAGMA wal_checkpoint(RESTART)", nil))
			submit(t, s, 1+rand.IntN(3))
		}
		salt, end := vfs.WALEnd(s.path)
		kill(t, s)
		w, err := vfs.ReadWAL(s.path)
		if err != nil || w.Salt != salt || w.End != end || w.Dropped > 0 || w.Broken {
			t.Fatalf("%+v, %v; want %d up to %d", w, err, salt, end)
		}
	}
}

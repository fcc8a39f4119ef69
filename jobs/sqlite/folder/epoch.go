package folder

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs/sqlite/vfs"
)

// epoch is the name of the log. It is stored in the database and in a file beside it. That
// file also holds the identities of both files, which a copy can't have. The log keeps its
// name only if both are the files that the store used last, and the database holds all
// acknowledged events. Otherwise events that readers have seen may be lost and their numbers
// used again, so the log gets a new name.
type epoch struct {
	name string
	path string
	file *os.File // of the record; replaced at each opening and at an orderly close
	last record

	clockless bool // the file system has another clock
}

// record is the content of the file. The file is replaced when the store is opened and
// closed, and overwritten in place after each commit. Overwriting is not flushed: it survives
// the end of the process, but after a loss of power the file may have an older record.
type record struct {
	Epoch    string `json:"epoch"`
	Mark     string `json:"mark"`     // random, new at each opening; stored in the database, too
	Self     string `json:"self"`     // identity of this file
	Database string `json:"database"` // identity of the database
	Boot     string `json:"boot"`     // names the current run of the machine

	Head uint64 `json:"head"`          // the newest event that was acknowledged
	Salt uint64 `json:"salt,string"`   // generation of the WAL
	End  int64  `json:"end"`           // where its newest acknowledged frame ends
	At   int64  `json:"at"`            // when this was written, ns since 1970; 0 if the file system has another clock
	Size int64  `json:"size,omitzero"` // of the database after an orderly close
	Time int64  `json:"time,omitzero"` // of its last change, ns since 1970

	Closed bool `json:"closed,omitzero"`
}

const recordSize = 512 // with spaces, and a checksum at the end; within one sector

// ClockError is how far the times of files may be from the process's own clock.
const ClockError = 50 * time.Millisecond

// encode pads the record with spaces to recordSize, so that it can be overwritten in place.
func (r *record) encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil || len(text) > recordSize-10 {
		return nil, errors.Join(err, fmt.Errorf("the record of the epoch has %d bytes", len(text)))
	}
	b := fmt.Appendf(nil, "%-*s", recordSize-9, text)
	return fmt.Appendf(b, "%08x\n", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), nil
}

func decodeRecord(b []byte) (r record, err error) {
	if len(b) != recordSize || string(b[recordSize-9:]) != fmt.Sprintf("%08x\n", crc32.Checksum(b[:recordSize-9], crc32.MakeTable(crc32.Castagnoli))) {
		return r, errors.New("the file epoch is damaged")
	}
	return r, json.Unmarshal(b[:recordSize-9], &r)
}

// state is what a folder held before SQLite opened the database.
type state struct {
	record  record
	unknown string // why there is no record
	wal     vfs.WAL

	self, database string      // identities
	changed        time.Time   // when the file of the record was changed last
	mode           fs.FileInfo // of that file
	size, time     int64       // of the database
}

// inspect reads what opening the database will change.
func inspect(database, path string) (f state, err error) {
	if f.wal, err = vfs.ReadWAL(database); err != nil {
		return f, err
	}
	db, err := os.Open(database)
	if err != nil {
		return f, err
	}
	defer db.Close()
	if f.database, _, err = Identity(db); err != nil {
		return f, err
	}
	info, err := db.Stat()
	if err != nil {
		return f, err
	}
	f.size, f.time = info.Size(), info.ModTime().UnixNano()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.unknown = "the file epoch is missing"
		return f, nil
	}
	if err != nil {
		return f, err
	}
	defer file.Close()
	if f.self, f.changed, err = Identity(file); err != nil {
		return f, err
	}
	if f.mode, err = file.Stat(); err != nil {
		return f, err
	}
	text := make([]byte, recordSize+1)
	n, _ := file.Read(text)
	if f.record, err = decodeRecord(text[:n]); err != nil {
		f.unknown = "the file epoch cannot be read"
	}
	return f, nil
}

// foreignWAL reports whether the WAL belongs to a former database that was replaced: SQLite
// would mix the two.
func (f *state) foreignWAL() bool {
	return f.unknown == "" && f.record.Self == f.self && f.record.Database != f.database && f.wal.Frames > 0 && f.wal.Salt == f.record.Salt
}

// lost says which acknowledged data is lost; empty if none is. head is the newest event.
func (f *state) lost(head uint64) string {
	r := &f.record
	here := f.unknown == "" && r.Self == f.self && r.Database == f.database // the record is of these files
	killed := here && !r.Closed
	switch {
	case f.wal.Broken && f.wal.Frames > 0:
		return fmt.Sprintf("the header of the WAL is damaged, and %d frames cannot be used", f.wal.Frames)
	case f.unknown == "" && !r.Closed && r.Salt == f.wal.Salt && f.wal.End < r.End: // also of a copy
		return fmt.Sprintf("%d frames at the end of the WAL are damaged or missing", (r.End-max(f.wal.End, vfs.WALHeader))/vfs.FrameSize)
	case killed && f.wal.Salt == 0 && r.End > vfs.WALHeader:
		return "the WAL is missing"
	case f.wal.Dropped > 0 && (!here || r.Boot == "" || r.Boot != Boot()): // the record may be older than the WAL
		return fmt.Sprintf("%d frames of the WAL stand behind a damaged one", f.wal.Dropped)
	case here && head < r.Head:
		return fmt.Sprintf("%d events were acknowledged and are gone", r.Head-head)
	}
	return ""
}

// other says why these files are not those that the store used last; empty if they are. mark
// and before are the marks of the last two openings, from the database.
func (f *state) other(name, mark, before string, head uint64) string {
	r := &f.record
	switch {
	case f.unknown != "":
		return f.unknown
	case r.Epoch != name || r.Mark != mark && r.Mark != before: // a crash between the two writes leaves the database one ahead
		return "the database and the file epoch are of different times"
	case r.Self != f.self:
		return "the file epoch is a copy"
	case r.Database != f.database:
		return "the database is a copy"
	case r.Closed && r.Size != 0 && (r.Size != f.size || r.Time != f.time):
		return "the database was changed while the hub was stopped"
	case head < r.Head:
		return "the database is older than the file epoch"
	case !r.Closed && r.At != 0 && r.Boot != "" && r.Boot == Boot() && f.changed.Sub(time.Unix(0, r.At)).Abs() > ClockError && !otherMode(f.mode):
		return "the file epoch was written by something else" // copied in place; a change of mode or owner would explain it
	}
	return ""
}

// openEpoch decides whether the log keeps its name or gets a new one, and replaces the file.
func openEpoch(conn *sqlite.Conn, database, path string, f state, head uint64, log *slog.Logger) (e epoch, err error) {
	var mark, before string
	err = sqlitex.Execute(conn, "SELECT value FROM meta WHERE name='epoch'", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		_, err := fmt.Sscan(st.ColumnText(0), &e.name, &mark, &before)
		return err
	}})
	if err != nil {
		return e, fmt.Errorf("the name of the log: %w", err)
	}
	lost := f.lost(head)
	other := ""
	if e.name != "" || f.unknown == "" {
		other = f.other(e.name, mark, before, head)
	}
	if e.name == "" || lost != "" || other != "" {
		former := cmp.Or(e.name, f.record.Epoch)
		e.name = strings.ToLower(rand.Text()[:8])
		switch {
		case lost != "":
			log.Error("a part of the store was lost; the log gets a new epoch, and clients that reconnect are told",
				"lost", lost, "events", int64(max(f.record.Head, head)-head), "epoch", e.name, "before", former)
		case former != "":
			log.Warn("this data folder is not the one that the hub used last; the log gets a new epoch, and clients that reconnect are told",
				"why", other, "epoch", e.name, "before", former)
		}
	}
	e.path = path
	e.last = record{Epoch: e.name, Mark: strings.ToLower(rand.Text()[:12]), Database: f.database, Boot: Boot()}
	if mark == "" {
		mark = "none"
	}
	if err := sqlitex.Execute(conn, "INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', ?)",
		&sqlitex.ExecOptions{Args: []any{fmt.Sprint(e.name, " ", e.last.Mark, " ", mark)}}); err != nil {
		return e, err
	}
	e.last.Head = head
	e.last.Salt, e.last.End = vfs.WALEnd(database)
	return e, e.replace()
}

func (e *epoch) acknowledge(database string, head uint64) {
	if e.file == nil {
		return
	}
	e.last.Head = head
	e.last.Salt, e.last.End = vfs.WALEnd(database)
	e.overwrite()
}

// overwrite writes the record in place. The time in the record equals the change time of the
// file, which a copy can't imitate. If the process was interrupted between the two, it writes
// again.
func (e *epoch) overwrite() {
	for tries := 0; tries < 3 && !e.clockless; tries++ {
		now := time.Now()
		e.last.At = now.UnixNano()
		if e.write() != nil {
			return
		}
		_, changed, err := Identity(e.file)
		if err != nil || changed.IsZero() || changed.Sub(now).Abs() < ClockError/2 {
			return
		}
	}
	e.clockless = true
	e.last.At = 0
	e.write()
}

func (e *epoch) write() error {
	text, err := e.last.encode()
	if err != nil {
		return err
	}
	_, err = e.file.WriteAt(text, 0)
	return err
}

// close replaces the file once more, with the size and time of the closed database.
func (e *epoch) close(database string) error {
	if e.file == nil {
		return nil
	}
	if !e.last.Closed {
		return e.file.Close()
	}
	if info, err := os.Stat(database); err == nil {
		e.last.Size, e.last.Time = info.Size(), info.ModTime().UnixNano()
	}
	return errors.Join(e.replace(), e.file.Close())
}

// replace writes the record to a new file and makes that durable.
func (e *epoch) replace() error {
	f, err := os.OpenFile(e.path+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		os.Remove(e.path + ".new")
		f, err = os.OpenFile(e.path+".new", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	if e.file != nil {
		e.file.Close()
	}
	e.file = f
	if e.last.Self, _, err = Identity(f); err != nil {
		return err
	}
	if err := e.write(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := Rename(e.path+".new", e.path); err != nil {
		return err
	}
	if !e.last.Closed {
		e.overwrite() // renaming has changed the file's time
	}
	return nil
}

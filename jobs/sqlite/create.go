package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs/sqlite/folder"
	"jobhub/jobs/sqlite/vfs"
)

// applicationID marks databases whose pages have checksums, besides the number of
// reserved bytes: no single flipped bit makes such a database look like an older one.
const applicationID = 0x6a6f6268 // "jobh"

// firstPage is the only page of an empty database: with room for checksums, in WAL mode,
// and able to give free pages back bit by bit (auto_vacuum=INCREMENTAL). SQLite can be
// told these only together when it creates a file, and not by statements.
// The format is described at https://sqlite.org/fileformat2.html.
func firstPage() []byte {
	p := make([]byte, vfs.PageSize)
	copy(p, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(p[16:], vfs.PageSize)
	p[18], p[19], p[20] = 2, 2, vfs.PageReserved // 2: WAL
	p[21], p[22], p[23] = 64, 32, 32
	binary.BigEndian.PutUint32(p[24:], 1) // changes
	binary.BigEndian.PutUint32(p[28:], 1) // pages
	binary.BigEndian.PutUint32(p[44:], 4) // schema format
	binary.BigEndian.PutUint32(p[52:], 1) // auto_vacuum, by the highest root page
	binary.BigEndian.PutUint32(p[56:], 1) // UTF-8
	binary.BigEndian.PutUint32(p[64:], 1) // auto_vacuum is incremental
	binary.BigEndian.PutUint32(p[68:], applicationID)
	binary.BigEndian.PutUint32(p[92:], 1)       // the number of pages is of this change
	binary.BigEndian.PutUint32(p[96:], 3050000) // version of SQLite
	p[100] = 0x0d                               // a table without rows: the schema
	binary.BigEndian.PutUint16(p[105:], vfs.PageSize-vfs.PageReserved)
	vfs.SignPage(p)
	return p
}

// create makes an empty database, in which the schema is still missing.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(firstPage())
	return errors.Join(err, f.Sync(), f.Close())
}

// createIfMissing creates the database, or brings one without checksums to the present
// format.
func createIfMissing(ctx context.Context, path string, log *slog.Logger) error {
	header := make([]byte, 100)
	n, err := readStart(path, header)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && n == 0:
		if err := create(path + ".new"); err != nil {
			return err
		}
		return folder.Rename(path+".new", path)
	case err != nil:
		return err
	case n < len(header) || string(header[:16]) != "SQLite format 3\x00":
		return nil // SQLite says what is wrong with it
	case binary.BigEndian.Uint32(header[60:]) > schemaVersion: // said before its pages are looked at, which may have another form
		return unknownFormat(int64(binary.BigEndian.Uint32(header[60:])))
	case header[20] == 0 && binary.BigEndian.Uint32(header[68:]) == 0:
		if wal, err := vfs.ReadWAL(path); err != nil || wal.Broken || wal.Dropped > 0 {
			log.Error("the WAL of the store is damaged; what stood in it is lost", "frames", wal.Dropped, "error", err)
		}
		log.Info("bringing the store to a new format; the former database is replaced when that is done", "format", schemaVersion)
		return rebuild(ctx, path)
	}
	return nil
}

func readStart(path string, b []byte) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, err
}

// schemaChanges has, by the format that they lead to, the statements for databases that
// have checksums. Columns that were added to schema.sql since format 2 need none: of older
// databases all rows are copied, and columns that they lack get their default.
var schemaChanges = map[int64]string{}

// firstChecksums is the first format with checksums; format 2 had none.
const firstChecksums = 3

// migrate brings the schema of a database with checksums to the present format.
func migrate(conn *sqlite.Conn) error {
	version, err := sqlitex.ResultInt64(conn.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	if version == 0 {
		return sqlitex.ExecuteScript(conn, schema+fmt.Sprintf("PRAGMA user_version=%d;", schemaVersion), nil)
	}
	for ; version >= firstChecksums && version < schemaVersion; version++ {
		if err := sqlitex.ExecuteScript(conn, schemaChanges[version+1]+fmt.Sprintf("PRAGMA user_version=%d;", version+1), nil); err != nil {
			return fmt.Errorf("bringing the store from format %d to %d: %w", version, version+1, err)
		}
	}
	if version != schemaVersion {
		return unknownFormat(version)
	}
	return nil
}

func unknownFormat(version int64) error {
	return fmt.Errorf("the store has format %d and this program knows up to %d; use the jobhub that wrote it, or a newer one", version, schemaVersion)
}

// rebuild copies a database without checksums into one that has them, and puts it in its
// place when it is whole.
func rebuild(ctx context.Context, path string) (err error) {
	vfs.Register()
	fresh := path + ".new"
	for _, name := range []string{fresh, fresh + "-wal", fresh + "-journal"} {
		os.Remove(name)
	}
	if err := create(fresh); err != nil {
		return err
	}
	if err := copyAll(ctx, path, fresh); err != nil {
		os.Remove(fresh)
		return fmt.Errorf("bringing the store to format %d: %w", schemaVersion, err)
	}
	vfs.Forget(fresh)
	return folder.Rename(fresh, path)
}

func copyAll(ctx context.Context, from, to string) (err error) {
	old, err := sqlite.OpenConn(vfs.PlainURI(from), sqlite.OpenReadWrite|sqlite.OpenURI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }() // which also empties the WAL
	version, err := sqlitex.ResultInt64(old.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	if version != 0 && version != firstChecksums-1 {
		return fmt.Errorf("the store has format %d, which this program cannot read", version)
	}
	conn, err := sqlite.OpenConn(vfs.URI(to), sqlite.OpenReadWrite|sqlite.OpenURI)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	// What is lost by a crash is begun anew.
	for _, setting := range []string{"journal_mode=OFF", "synchronous=FULL", "temp_store=MEMORY"} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+setting, nil); err != nil {
			return err
		}
	}
	if err := migrate(conn); err != nil || version == 0 {
		return err
	}
	if err := sqlitex.ExecuteTransient(conn, "ATTACH ? AS old", &sqlitex.ExecOptions{Args: []any{vfs.PlainURI(from)}}); err != nil {
		return err
	}
	tables, err := texts(conn, "SELECT name FROM main.sqlite_schema WHERE type='table'")
	if err != nil {
		return err
	}
	defer sqlitex.Transaction(conn)(&err)
	for _, table := range tables {
		columns, err := texts(conn, "SELECT name FROM pragma_table_info(?, 'old') WHERE name IN (SELECT name FROM pragma_table_info(?, 'main'))", table, table)
		if err != nil {
			return err
		}
		if len(columns) == 0 {
			continue
		}
		list := strings.Join(columns, ", ")
		if err := sqlitex.ExecuteTransient(conn, fmt.Sprintf("INSERT INTO main.%[1]s (%[2]s) SELECT %[2]s FROM old.%[1]s", table, list), nil); err != nil {
			return fmt.Errorf("copying the table %s: %w", table, err)
		}
	}
	if err := validateValues(conn); err != nil {
		return err
	}
	if err := sqlitex.ExecuteTransient(conn, "UPDATE main.jobs SET start=attempt", nil); err != nil {
		return err
	}
	// The copy is another log than the one that was numbered before.
	return sqlitex.ExecuteTransient(conn, "DELETE FROM main.meta WHERE name='epoch'", nil)
}

func texts(conn *sqlite.Conn, sql string, args ...any) (list []string, err error) {
	err = sqlitex.ExecuteTransient(conn, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
		list = append(list, st.ColumnText(0))
		return nil
	}})
	return slices.Clip(list), err
}

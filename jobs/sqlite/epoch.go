package sqlite

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// epoch names the log. It stands in the database and in a file beside it, with the
// number of times the store was opened and, after an orderly close, the newest seq.
// Where the two disagree the database is not the one that was here before (a
// restored backup, a copy), so events that were shown could be gone and their numbers
// used again: then the log gets a new name.
type epoch struct {
	name   string
	opened int64
	path   string
}

func openEpoch(conn *sqlite.Conn, path string, head uint64) (e epoch, err error) {
	e.path = path
	err = sqlitex.Execute(conn, "SELECT value FROM meta WHERE name='epoch'", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		_, err := fmt.Sscan(st.ColumnText(0), &e.name, &e.opened)
		return err
	}})
	if err != nil {
		return e, err
	}
	var name string
	var opened int64
	var closedAt uint64
	if text, err := os.ReadFile(path); err == nil {
		fmt.Sscan(string(text), &name, &opened, &closedAt)
	}
	// A crash between the two writes below leaves the database one ahead.
	known := e.name != "" && name == e.name && (opened == e.opened || opened == e.opened-1) && closedAt <= head
	if !known {
		e.name = strings.ToLower(rand.Text()[:8])
	}
	e.opened++
	if err := sqlitex.Execute(conn, "INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', ?)",
		&sqlitex.ExecOptions{Args: []any{fmt.Sprint(e.name, " ", e.opened)}}); err != nil {
		return e, err
	}
	return e, e.save(0)
}

func (e *epoch) close(head uint64) error {
	if e.name == "" {
		return nil
	}
	return e.save(head)
}

// save replaces the file as a whole and makes that durable.
func (e *epoch) save(head uint64) error {
	f, err := os.OpenFile(e.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, e.name, e.opened, head); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(e.path+".new", e.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(e.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

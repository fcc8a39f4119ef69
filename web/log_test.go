package web_test

import (
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ask asks the database in a folder, beside the hub that has it open.
func ask(t *testing.T, dir, question string, args ...any) (answer int64) {
	t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, "jobs.db"), sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = sqlitex.Execute(conn, question, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
		answer = st.ColumnInt64(0)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// commits counts the commits with events: the log has a row for each.
func commits(t *testing.T, dir string) int64 { return ask(t, dir, "SELECT count(*) FROM log") }

// rowOf is the row of the log that holds an event.
func rowOf(t *testing.T, dir string, seq int64) int64 {
	return ask(t, dir, "SELECT min(last) FROM log WHERE last>=?", seq)
}

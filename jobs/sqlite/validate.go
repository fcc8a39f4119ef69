package sqlite

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
)

// validateValues makes all values of a copied store valid JSON. Before format 3, values from
// upstreams and workers were not checked; now they are checked before they are stored, so
// that readers need not do it.
func validateValues(conn *sqlite.Conn) error {
	for _, v := range []struct {
		table, key, column, where string
		valid                     func([]byte) []byte
	}{
		{"jobs", "n", "input", "", validJSON},
		{"jobs", "n", "result", "", validJSON},
		{"jobs", "n", "checkpoint", "", validJSON},
		{"jobs", "n", "progress", "", validProgress},
		{"payloads", "id", "data", fmt.Sprintf("AND id %% 4 IN (%d, %d)", partInput, partResult), validJSON},
		{"log", "last", "events", "", validEvents},
	} {
		if err := validateColumn(conn, v.table, v.key, v.column, v.where, v.valid); err != nil {
			return fmt.Errorf("checking %s.%s: %w", v.table, v.column, err)
		}
	}
	return nil
}

func validateColumn(conn *sqlite.Conn, table, key, column, where string, valid func([]byte) []byte) error {
	rows, _, err := conn.PrepareTransient(fmt.Sprintf("SELECT %[2]s, %[3]s FROM main.%[1]s WHERE %[2]s > ? AND length(%[3]s) > 0 %[4]s ORDER BY %[2]s LIMIT 1", table, key, column, where))
	if err != nil {
		return err
	}
	defer rows.Finalize()
	update := fmt.Sprintf("UPDATE main.%s SET %s=? WHERE %s=?", table, column, key)
	for last := int64(0); ; {
		rows.BindInt64(1, last)
		more, err := rows.Step()
		if err != nil || !more {
			return err
		}
		r := row{rows, -1}
		last = r.int()
		value := r.blob()
		if err := rows.Reset(); err != nil {
			return err
		}
		if better := valid(value); !bytes.Equal(better, value) {
			if err := sqlitex.Execute(conn, update, &sqlitex.ExecOptions{Args: []any{better, last}}); err != nil {
				return err
			}
		}
	}
}

func validJSON(v []byte) []byte { return jobs.AsJSON(v) }

// validProgress replaces data that is not JSON and keeps the other members.
func validProgress(v []byte) []byte {
	var p jobs.Progress
	if json.Unmarshal(v, &p) == nil {
		return v
	}
	if json.Unmarshal(v, &p, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return nil
	}
	p.Data = jobs.AsJSON(p.Data)
	return p.AppendJSON(nil)
}

// validEvents drops event data that is not JSON, as data that is too large. A row that can't
// be decoded stays as it is: reading it gives ErrDamaged.
func validEvents(row []byte) []byte {
	events, err := eventlog.Decode(row)
	if err != nil {
		return row
	}
	changed := false
	for _, e := range events {
		if len(e.Data) > 0 && !bytes.Equal(jobs.AsJSON(e.Data), e.Data) {
			e.Data, e.Truncated, changed = nil, true, true
		}
	}
	if !changed {
		return row
	}
	return eventlog.Encode(nil, events)
}

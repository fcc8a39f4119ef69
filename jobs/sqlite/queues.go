package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// Queues implements jobs.Store. Counters and settings are of the same state of the
// database as the position.
func (s *Store) Queues(ctx context.Context, tenant string) (infos []jobs.QueueInfo, pos jobs.Position, err error) {
	sql, args := "SELECT q, tenant, name, counts, settings FROM queues", []any{}
	if tenant != "" {
		sql, args = sql+" WHERE tenant=?", append(args, tenant)
	}
	pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		var ids []int64
		err := sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
			q, err := scanQueue(st)
			infos = append(infos, jobs.QueueInfo{Tenant: q.Tenant, Name: q.Name, Counts: q.counts, Settings: q.settings})
			ids = append(ids, q.id)
			return err
		}})
		if err != nil {
			return err
		}
		for i, id := range ids {
			if infos[i].Counts[jobs.Queued] == 0 {
				continue
			}
			infos[i].OldestAt, err = oldest(conn, id)
			if isDamage(err) { // only the age is unknown then
				s.damaged(err, "the oldest job of queue %s", infos[i].Name)
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortFunc(infos, func(a, b jobs.QueueInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos, pos, s.damaged(err, "the queues")
}

func scanQueue(st *sqlite.Stmt) (queue, error) {
	q := queue{id: st.ColumnInt64(0), QueueName: jobs.QueueName{Tenant: st.ColumnText(1), Name: st.ColumnText(2)}}
	if err := errors.Join(json.Unmarshal([]byte(st.ColumnText(3)), &q.counts), json.Unmarshal([]byte(st.ColumnText(4)), &q.settings)); err != nil {
		return q, fmt.Errorf("queue %s: %w", q.Name, err)
	}
	return q, nil
}

// oldest is when the oldest queued job was accepted.
func oldest(conn *sqlite.Conn, q int64) (at time.Time, err error) {
	err = sqlitex.Execute(conn, "SELECT created FROM jobs WHERE q=+? AND state="+stateLiteral(jobs.Queued)+" ORDER BY n LIMIT 1", &sqlitex.ExecOptions{Args: []any{q},
		ResultFunc: func(st *sqlite.Stmt) error { at = time.UnixMilli(st.ColumnInt64(0)); return nil }})
	return at, err
}

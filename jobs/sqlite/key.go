package sqlite

import (
	"time"

	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// bindKey returns a *jobs.KeyTaken if the key is bound to an earlier job: until k.Until has
// passed and the job has ended. ErrGone if that job was deleted.
func (l *lookup) bindKey(k *jobs.Key, now time.Time) (taken, err error) {
	far := false
	err = sqlitex.Execute(l.conn, "SELECT k.fingerprint, k.until, "+jobColumns+" FROM keys k LEFT JOIN jobs USING (n) WHERE k.scope=? AND k.key=?",
		&sqlitex.ExecOptions{Args: []any{k.Scope, k.Key}, ResultFunc: func(st *sqlite.Stmt) error {
			fingerprint := make([]byte, st.ColumnLen(0))
			st.ColumnBytes(0, fingerprint)
			same := string(fingerprint) == string(k.Fingerprint)
			if st.ColumnIsNull(2) {
				switch {
				case st.ColumnInt64(1) <= now.UnixMilli():
				case same:
					taken = jobs.ErrGone
				default:
					taken = &jobs.KeyTaken{}
				}
				return nil
			}
			j, large, err := scanJob(l.queues, st, 2)
			if err != nil {
				return err
			}
			far = large
			if st.ColumnInt64(1) > now.UnixMilli() || !j.State.Final() {
				taken = &jobs.KeyTaken{Job: j, Same: same}
			}
			return nil
		}})
	if t, ok := taken.(*jobs.KeyTaken); ok && t.Same && err == nil {
		err = loadPayloads(l.conn, &t.Job, far)
	}
	return taken, err
}

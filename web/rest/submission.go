package rest

import (
	"cmp"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
)

// CheckAcceptsJobs refuses submissions while the hub shuts down.
func (s *Base) CheckAcceptsJobs() error {
	select {
	case <-s.Gate.Closing:
		return jobs.Unavailable("Shutting down", "The hub is shutting down and takes no further jobs; nothing was stored. Come back in a moment.")
	default:
		return nil
	}
}

// MarkExisting says in a job's document that the job was there already, and none was made.
func MarkExisting(document []byte) []byte {
	return append(document[:len(document)-1], `,"existing":true}`...)
}

// AcceptedBody is the job as accepted; also the reply to a submit over WebSocket.
func (s *Base) AcceptedBody(a engine.Accepted) []byte {
	pos := jobs.Position{Epoch: s.Hub.Epoch(), Seq: a.Job.Seq}
	b := append(make([]byte, 0, 1024), '{')
	b = a.Job.AppendMembers(b, pos)
	b = append(b, `,"progress_state":"`+ProgressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}

// ProgressState is the word for an unfinished job.
func ProgressState(j *jobs.Job) string {
	if j.StartedAt.IsZero() {
		return "IN_QUEUE"
	}
	return "IN_PROGRESS"
}

// IdempotencyKey reads the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header):
// a quoted string or a bare one, which are the same key.
func IdempotencyKey(r *http.Request, body []byte) (*jobs.Key, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return nil, nil
	}
	key, ok := ParseKey(values)
	if !ok {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed Idempotency-Key", "Send one Idempotency-Key of 1 to 255 printable ASCII characters, quoted or not.")
	}
	print := sha256.Sum256(body)
	return &jobs.Key{Scope: KeyScope(IdentityOf(r), r.Method, r.URL.Path), Key: key, Fingerprint: print[:], Until: time.Now().Add(24 * time.Hour)}, nil
}

// KeyScope is where an idempotency key is known: the same key of another caller, or for
// another path, is another one. Tokens and sessions count as the key that they came from.
func KeyScope(who auth.Identity, method, path string) string {
	return who.Tenant + " " + cmp.Or(who.Key, who.Name) + " " + method + " " + path
}

func ParseKey(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	key := strings.TrimSpace(values[0])
	if inner, ok := strings.CutPrefix(key, `"`); ok {
		var b strings.Builder
		closed := false
		for i := 0; i < len(inner); i++ {
			c := inner[i]
			if closed {
				return "", false
			}
			switch c {
			case '"':
				closed = true
				continue
			case '\\':
				if i++; i == len(inner) || (inner[i] != '"' && inner[i] != '\\') {
					return "", false
				}
				c = inner[i]
			}
			b.WriteByte(c)
		}
		if key = b.String(); !closed {
			return "", false
		}
	}
	for i := range len(key) {
		if key[i] < 0x20 || key[i] > 0x7e {
			return "", false
		}
	}
	return key, key != "" && len(key) <= 255
}

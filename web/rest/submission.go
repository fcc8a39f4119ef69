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

// CheckAcceptsJobs returns an error while the hub shuts down: it accepts no jobs then.
func (s *Base) CheckAcceptsJobs() error {
	select {
	case <-s.Gate.Closing:
		return jobs.Unavailable("Shutting down", "The hub is shutting down and accepts no jobs; nothing was stored. Try again in a few seconds.")
	default:
		return nil
	}
}

// MarkExisting adds "existing":true to a job's document: the job existed already, and none was
// made.
func MarkExisting(document []byte) []byte {
	return append(document[:len(document)-1], `,"existing":true}`...)
}

// AcceptedBody returns the document of an accepted job: the body of a 202, and the reply to a
// submit over WebSocket.
func (s *Base) AcceptedBody(a engine.Accepted) []byte {
	pos := jobs.Position{Epoch: s.Hub.Epoch(), Seq: a.Job.Seq}
	b := append(make([]byte, 0, 1024), '{')
	b = a.Job.AppendMembers(b, pos)
	b = append(b, `,"progress_state":"`+ProgressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}

// ProgressState returns the progress of an unfinished job: IN_QUEUE or IN_PROGRESS.
func ProgressState(j *jobs.Job) string {
	if j.StartedAt.IsZero() {
		return "IN_QUEUE"
	}
	return "IN_PROGRESS"
}

// IdempotencyKey reads the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header):
// quoted or bare, which are the same key. It returns nil if there is none. The
// body is for the fingerprint, which tells whether a repeated request is the same.
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

// KeyScope returns the scope of an idempotency key: the same key of another caller, method or
// path is a different key. Tokens and sessions count as the API key that issued them.
func KeyScope(who auth.Identity, method, path string) string {
	return who.Tenant + " " + cmp.Or(who.Key, who.Name) + " " + method + " " + path
}

// ParseKey reads the value of the Idempotency-Key header. It returns false if there is not
// exactly one, or if it is not 1 to 255 printable ASCII characters.
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

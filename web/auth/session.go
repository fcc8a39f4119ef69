package auth

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

const (
	sessionsFile = "sessions.json"
	maxEnded     = 200 // ended sessions of one key that are listed one by one
)

// endedSession is a session that was ended before it expired.
type endedSession struct {
	Key   string    `json:"key"`
	ID    string    `json:"session"`
	All   bool      `json:"all,omitzero"` // also all sessions of the key that began before it: their ids are smaller
	Until time.Time `json:"until"`        // when it would have expired
}

// endedSessions is an index of the ended sessions of a data folder.
type endedSessions struct {
	ids  map[string]bool
	upTo map[string]string // id of a session, by key
}

func (e *endedSessions) contains(key, id string) bool { return e.ids[id] || id <= e.upTo[key] }

// Session returns the text of a session cookie for an identity, and when it expires.
func (k *Keys) Session(i Identity, expires time.Time) (cookie string, until time.Time, err error) {
	id, err := uuid.NewV7() // ordered by time
	if err != nil {
		return "", expires, err
	}
	return k.sign(sessionPrefix, i, payload{Session: id.String()}, expires)
}

// Resume returns the identity of a session cookie. The errors are those of Authenticate; it is
// ErrUnknown for an ended session.
func (k *Keys) Resume(cookie string, now time.Time) (Identity, error) {
	i, p, err := k.verify(sessionPrefix, cookie, now)
	if err != nil || p.Grant != nil || p.Session == "" {
		return Identity{}, cmp.Or(err, ErrUnknown)
	}
	i.Session = p.Session
	return i, k.check(i, now)
}

// EndSession ends the session of an identity.
func (k *Keys) EndSession(i Identity, now time.Time) error {
	if i.Session == "" {
		return nil
	}
	defer k.refresh(now, true)
	return k.withLock(func() error {
		list, err := k.readSessions()
		if err != nil {
			return err
		}
		kept, own := list[:0], 0
		for _, e := range list {
			if now.Before(e.Until) {
				kept = append(kept, e)
				if e.Key == i.Key {
					own++
				}
			}
		}
		ended := endedSession{Key: i.Key, ID: i.Session, Until: i.Expires}
		if own >= maxEnded {
			kept, ended = mergeSessions(kept, ended)
		}
		text, err := json.Marshal(sessionsDocument{append(kept, ended)}, jsontext.WithIndent("  "))
		if err != nil {
			return err
		}
		return replaceFile(k.path(sessionsFile), append(text, '\n'))
	})
}

// mergeSessions replaces the sessions of a key in a list by one entry that ends all sessions up
// to the newest of them, so that the list stays short.
func mergeSessions(list []endedSession, all endedSession) (others []endedSession, _ endedSession) {
	all.All = true
	for _, e := range list {
		if e.Key != all.Key {
			others = append(others, e)
			continue
		}
		all.ID = max(all.ID, e.ID)
		if e.Until.After(all.Until) {
			all.Until = e.Until
		}
	}
	return others, all
}

// refreshSessionsLocked reads the file of ended sessions if it has changed.
func (k *Keys) refreshSessionsLocked() (changed bool) {
	info, err := os.Stat(k.path(sessionsFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && k.sessionErr == nil: // sessions that were read before stay ended
		return false
	case err == nil && k.sessionErr == nil && sameFile(info, k.endedFile):
		return false
	}
	list, err := k.readSessions()
	if k.endedFile, k.sessionErr = info, err; err != nil {
		return true
	}
	k.ended = endedSessions{map[string]bool{}, map[string]string{}}
	for _, e := range list {
		if k.ended.ids[e.ID] = true; e.All {
			k.ended.upTo[e.Key] = max(k.ended.upTo[e.Key], e.ID)
		}
	}
	return true
}

// sessionsDocument is the JSON of the file of ended sessions.
type sessionsDocument struct {
	Ended []endedSession `json:"ended"`
}

func (k *Keys) readSessions() ([]endedSession, error) {
	path := k.path(sessionsFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var doc sessionsDocument
	if err := json.Unmarshal(text, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s can't be read (%w); remove it together with %s, which ends all sessions and tokens", path, err, secretFile)
	}
	return doc.Ended, nil
}

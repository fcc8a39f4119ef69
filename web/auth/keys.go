package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/web/limit"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of credentials that are not valid.
var (
	ErrUnknown = errors.New("unknown credentials")
	ErrRevoked = errors.New("the key was revoked")
	ErrExpired = errors.New("the credentials have expired")

	// ErrChanged: the key is valid, and may do other things than before.
	ErrChanged = errors.New("the rights of the key were changed")
)

// Key describes an API key; it does not have the key's text.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // unique among the keys of the tenant that are not revoked
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant"`
	Team    string    `json:"team,omitzero"`
	Scopes  []string  `json:"scopes,omitempty"`
	Plan    string    `json:"plan,omitzero"`
	Rate    string    `json:"rate,omitzero"`   // like 100/1m
	Quota   string    `json:"quota,omitzero"`  // like 10000/1d
	Budget  string    `json:"budget,omitzero"` // like 50/30d; see ParseBudget
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero for never
	Revoked time.Time `json:"revoked,omitzero"` // zero if it was not
	Hash    string    `json:"sha256"`           // of the key, in hex

	Revision int      `json:"revision,omitzero"` // rises when the rights change: what was allowed before is asked for again
	Request  *Request `json:"request,omitzero"`  // that has made the key; nil if it had no Idempotency-Key

	limits *limit.RuleSet // of Rate and Quota; nil for none
}

// compileLimits sets limits.
func (k *Key) compileLimits() error {
	set := limit.Set{Scope: "key " + k.ID, Name: "key"}
	if k.Rate != "" {
		rate, ok := jobs.ParseRate(k.Rate)
		if !ok {
			return jobs.Invalid("/rate", "must be like 10/s, 100/1m or 5/30s, not %q", k.Rate)
		}
		set.Rules = []limit.Rule{{Rate: rate, Per: limit.PerConsumer}}
	}
	if k.Quota != "" {
		var ok bool
		if set.Quota, ok = limit.ParseQuota(k.Quota); !ok {
			return jobs.Invalid("/quota", "must be like 10000/1d, in a time from 1m to 366d, not %q", k.Quota)
		}
	}
	if k.limits = nil; k.Rate+k.Quota == "" {
		return nil
	}
	var err error
	k.limits, err = limit.Compile(set)
	return err
}

// State returns nil if the key is valid, else ErrRevoked or ErrExpired.
func (k *Key) State(now time.Time) error {
	switch {
	case !k.Revoked.IsZero():
		return ErrRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return ErrExpired
	}
	return nil
}

func (k *Key) identity() Identity {
	return Identity{Tenant: k.Tenant, Role: k.Role, Name: k.Name, Key: k.ID, Expires: k.Expires, Team: k.Team, Scopes: k.Scopes, Plan: k.Plan, Limits: k.limits, revision: k.Revision}
}

const (
	keyPrefix       = "jh_"
	keysFile        = "keys.json"
	lockFile        = "keys.lock"
	refreshInterval = time.Second // least time between checks of the files
)

// Keys is the keys of a data folder. Several processes may open them; each sees the changes of
// the others.
type Keys struct {
	dir string

	mu          sync.RWMutex // protects the fields below
	refreshedAt time.Time
	file        os.FileInfo // of the file of keys when it was read; nil if there was none
	list        []Key       // in the file; not changed
	byHash      map[string]*Key
	byID        map[string]*Key
	err         error // why the file of keys can't be used
	secret      []byte
	endedFile   os.FileInfo // of the file of ended sessions, likewise
	ended       endedSessions
	sessionErr  error // why that file can't be used

	watchMu  sync.Mutex // protects watchers; held while they are notified
	watchers map[*watcher]struct{}
}

// Open reads the keys of a data folder. The folder need not exist.
func Open(dir string) (*Keys, error) {
	k := &Keys{dir: dir, watchers: map[*watcher]struct{}{}}
	k.refresh(time.Now(), true)
	return k, k.err
}

// Configured reports whether callers need a key: whether there is one, valid or not. If the keys
// vanish, callers need one until the hub is started again.
func (k *Keys) Configured(now time.Time) bool {
	k.refresh(now, false)
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.err != nil || len(k.byID) > 0
}

// SeveralTenants reports whether the valid keys belong to more than one tenant. It does not
// check the files: a new key is read before its holder is authenticated.
func (k *Keys) SeveralTenants(now time.Time) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	tenant := ""
	for _, key := range k.byID {
		switch {
		case key.State(now) != nil:
		case tenant == "":
			tenant = key.Tenant
		case tenant != key.Tenant:
			return true
		}
	}
	return false
}

// Authenticate returns the identity of a key or token. The error is ErrUnknown, ErrRevoked or
// ErrExpired, or says why the keys can't be read.
func (k *Keys) Authenticate(bearer string, now time.Time) (Identity, error) {
	if strings.HasPrefix(bearer, tokenPrefix) {
		return k.token(bearer, now)
	}
	if !strings.HasPrefix(bearer, keyPrefix) {
		return Identity{}, ErrUnknown
	}
	// The time of a look-up may depend on the digest, which reveals nothing about the random
	// key.
	digest := sha256.Sum256([]byte(bearer))
	key, err := k.find(now, func() *Key { return k.byHash[hex.EncodeToString(digest[:])] })
	if err != nil {
		return Identity{}, err
	}
	return key.identity(), nil
}

// Check returns nil if an identity is still valid, else an error like that of Authenticate, or
// ErrChanged. It is for long connections.
func (k *Keys) Check(i Identity, now time.Time) error {
	k.refresh(now, false)
	return k.check(i, now)
}

// check is Check without reading the files.
func (k *Keys) check(i Identity, now time.Time) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case k.err != nil:
		return k.err
	case i.Key == "" && i.Subject == "" && len(k.byID) > 0:
		return ErrUnknown
	case !i.Expires.IsZero() && !now.Before(i.Expires):
		return ErrExpired
	case i.Key == "":
		return nil
	}
	key := k.byID[i.Key]
	if key == nil {
		return ErrUnknown
	}
	switch err := key.State(now); {
	case err != nil:
		return err
	case key.Revision != i.revision:
		return ErrChanged
	case i.Session == "":
		return nil
	}
	if k.sessionErr != nil {
		return k.sessionErr
	}
	if k.ended.contains(i.Key, i.Session) {
		return ErrUnknown
	}
	return nil
}

// LimitsOf returns the plan and the limits that the key of an identity has now: a long
// connection may be older.
func (k *Keys) LimitsOf(i Identity) (plan string, limits *limit.RuleSet) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if key := k.byID[i.Key]; key != nil {
		return key.Plan, key.limits
	}
	return i.Plan, i.Limits
}

// find returns a valid key. If get finds none, it reads the files again: the key may be new.
func (k *Keys) find(now time.Time, get func() *Key) (*Key, error) {
	for _, again := range []bool{false, true} {
		k.refresh(now, again)
		k.mu.RLock()
		key, err := get(), k.err
		k.mu.RUnlock()
		if err != nil {
			return nil, err
		}
		if key != nil {
			return key, key.State(now)
		}
	}
	return nil, ErrUnknown
}

// refresh reads files that have changed, at most once in refreshInterval unless always is set,
// and notifies the watchers.
func (k *Keys) refresh(now time.Time, always bool) {
	k.mu.RLock()
	since := now.Sub(k.refreshedAt)
	k.mu.RUnlock()
	if !always && since >= 0 && since < refreshInterval {
		return
	}
	k.mu.Lock()
	k.refreshedAt = now
	keys := k.refreshKeysLocked()
	sessions := k.refreshSessionsLocked()
	k.mu.Unlock()
	if keys || sessions {
		k.notify(now)
	}
}

// refreshKeysLocked reads the file of keys if it has changed.
func (k *Keys) refreshKeysLocked() (changed bool) {
	info, err := os.Stat(k.path(keysFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if k.file == nil || k.err != nil {
			return false
		}
		k.err = fmt.Errorf("%s is gone; all callers are refused until it is back, or the hub starts without keys", k.path(keysFile))
		return true
	case err != nil:
		k.err = fmt.Errorf("looking for keys in the data folder: %w", err)
		return true
	case k.err == nil && sameFile(info, k.file):
		return false
	}
	k.file = info
	var list []Key
	if list, k.err = k.read(); k.err != nil {
		return true
	}
	k.list = list
	k.byHash, k.byID = make(map[string]*Key, len(list)), make(map[string]*Key, len(list))
	for i := range list {
		k.byHash[list[i].Hash], k.byID[list[i].ID] = &list[i], &list[i]
	}
	return true
}

// current returns the keys in the file, for reading only.
func (k *Keys) current(now time.Time) ([]Key, error) {
	k.refresh(now, true)
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.list, k.err
}

// sameFile reports whether a file is unchanged since it was read; before may be nil.
func sameFile(now, before os.FileInfo) bool {
	return before != nil && os.SameFile(now, before) && now.ModTime().Equal(before.ModTime()) && now.Size() == before.Size()
}

// document is the JSON of the file of keys.
type document struct {
	Keys []Key `json:"keys"`
}

func (k *Keys) read() ([]Key, error) {
	path := k.path(keysFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(text, &doc, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", path, err)
	}
	for i, key := range doc.Keys {
		if err := doc.Keys[i].compileLimits(); err != nil {
			return nil, fmt.Errorf("%s can't be used: the key %q: %w", path, key.Name, err)
		}
		if digest, err := hex.DecodeString(key.Hash); err != nil || len(digest) != sha256.Size || Roles[key.Role] == nil || key.ID == "" || key.Tenant == "" {
			return nil, fmt.Errorf("%s can't be used: the id, tenant, role or sha256 of the key %q is missing or invalid", path, key.Name)
		}
	}
	return doc.Keys, nil
}

func (k *Keys) write(list []Key) error {
	text, err := json.Marshal(document{list}, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return replaceFile(k.path(keysFile), append(text, '\n'))
}

func (k *Keys) path(name string) string { return filepath.Join(k.dir, name) }

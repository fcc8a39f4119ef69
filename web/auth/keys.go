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

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Why a caller is not let in.
var (
	ErrUnknown = errors.New("unknown credentials")
	ErrRevoked = errors.New("the key was revoked")
	ErrExpired = errors.New("the credentials have expired")
)

// Key is an API key, without the key itself.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // unique among the keys that are not revoked
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero for never
	Revoked time.Time `json:"revoked,omitzero"` // zero if it was not
	Hash    string    `json:"sha256"`           // of the key, in hex
}

// State returns nil if the key is good, ErrRevoked or ErrExpired.
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
	return Identity{Tenant: k.Tenant, Role: k.Role, Name: k.Name, Key: k.ID, Expires: k.Expires}
}

const (
	keyPrefix = "jh_"
	keysFile  = "keys.json"
	lookEvery = time.Second // how often a running hub looks for other keys at most
)

// Keys are the keys of a data folder. Several processes may have them open; each sees
// what the others change.
type Keys struct {
	dir string

	mu     sync.RWMutex // protects the fields below
	looked time.Time
	file   os.FileInfo // as it was read; nil if there was none
	byHash map[string]*Key
	byID   map[string]*Key
	err    error // why the file can't be used
	secret []byte
}

// Open reads the keys of a data folder. There need not be any, nor the folder.
func Open(dir string) (*Keys, error) {
	k := &Keys{dir: dir}
	k.look(time.Now(), true)
	return k, k.err
}

// Configured reports whether callers need a key: whether there is one, if only a
// revoked one. A hub that had keys stays closed until it is started without.
func (k *Keys) Configured(now time.Time) bool {
	k.look(now, false)
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.err != nil || len(k.byID) > 0
}

// SeveralTenants reports whether the keys that are good are of more than one tenant. It
// does not look for other keys: one that is new is known before its holder is let in.
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

// Authenticate returns who shows a key or a token. The error is ErrUnknown, ErrRevoked
// or ErrExpired, or says why the keys can't be read.
func (k *Keys) Authenticate(bearer string, now time.Time) (Identity, error) {
	if strings.HasPrefix(bearer, tokenPrefix) {
		return k.token(bearer, now)
	}
	if !strings.HasPrefix(bearer, keyPrefix) {
		return Identity{}, ErrUnknown
	}
	// To look a digest up may take a time that depends on it, which tells nothing about
	// the random key behind it.
	digest := sha256.Sum256([]byte(bearer))
	key, err := k.find(now, func() *Key { return k.byHash[hex.EncodeToString(digest[:])] })
	if err != nil {
		return Identity{}, err
	}
	return key.identity(), nil
}

// Check returns nil as long as an identity is good, for callers that stay: a token or
// session ends, and keys are revoked.
func (k *Keys) Check(i Identity, now time.Time) error {
	if i.Key == "" {
		if k.Configured(now) {
			return ErrUnknown
		}
		return nil
	}
	if !i.Expires.IsZero() && !now.Before(i.Expires) {
		return ErrExpired
	}
	_, err := k.find(now, func() *Key { return k.byID[i.Key] })
	return err
}

// find returns a good key. One that is not known may just have been made.
func (k *Keys) find(now time.Time, get func() *Key) (*Key, error) {
	for _, again := range []bool{false, true} {
		k.look(now, again)
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

// look reads the file again if it is another one than before.
func (k *Keys) look(now time.Time, always bool) {
	k.mu.RLock()
	since := now.Sub(k.looked)
	k.mu.RUnlock()
	if !always && since >= 0 && since < lookEvery {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked = now
	info, err := os.Stat(k.path(keysFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if k.file != nil {
			k.err = fmt.Errorf("%s is gone; nobody is let in until it is back, or the hub starts without keys", k.path(keysFile))
		}
		return
	case err != nil:
		k.err = fmt.Errorf("looking for keys in the data folder: %w", err)
		return
	case k.err == nil && k.file != nil && os.SameFile(info, k.file) && info.ModTime().Equal(k.file.ModTime()) && info.Size() == k.file.Size():
		return
	}
	k.file = info
	var list []Key
	if list, k.err = k.read(); k.err != nil {
		return
	}
	k.byHash, k.byID = make(map[string]*Key, len(list)), make(map[string]*Key, len(list))
	for i := range list {
		k.byHash[list[i].Hash], k.byID[list[i].ID] = &list[i], &list[i]
	}
}

// document is the file of keys.
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
	for _, key := range doc.Keys {
		if digest, err := hex.DecodeString(key.Hash); err != nil || len(digest) != sha256.Size || Roles[key.Role] == nil || key.ID == "" || key.Tenant == "" {
			return nil, fmt.Errorf("%s can't be used: the key %q has no id, tenant, role or sha256 as it should", path, key.Name)
		}
	}
	return doc.Keys, nil
}

func (k *Keys) write(list []Key) error {
	text, err := json.Marshal(document{list}, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return replace(k.path(keysFile), append(text, '\n'))
}

func (k *Keys) path(name string) string { return filepath.Join(k.dir, name) }

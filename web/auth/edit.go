package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"jobhub/jobs"
)

// List returns all keys, revoked and expired ones included, in the order of creation.
func (k *Keys) List() ([]Key, error) { return k.read() }

const idPrefix = "key_"

// Create stores a new key with the name, role, tenant and expiry of a template. It returns it
// with its text, which callers send and which is stored nowhere. An empty name becomes the
// id, an empty tenant the default one.
func (k *Keys) Create(template Key, now time.Time) (key Key, text string, err error) {
	text = keyPrefix + strings.ToLower(rand.Text()+rand.Text())
	digest := sha256.Sum256([]byte(text))
	key = Key{ID: idPrefix + strings.ToLower(rand.Text()[:12]), Role: template.Role, Team: template.Team, Scopes: template.Scopes, Plan: template.Plan, Rate: template.Rate, Quota: template.Quota, Created: now.UTC().Truncate(time.Second),
		Tenant: cmp.Or(template.Tenant, jobs.DefaultTenant), Expires: template.Expires.UTC().Truncate(time.Second), Hash: hex.EncodeToString(digest[:])}
	key.Name = cmp.Or(template.Name, key.ID)
	switch {
	case Roles[key.Role] == nil:
		return Key{}, "", fmt.Errorf("the role must be one of %s, not %q", strings.Join(RoleNames(), ", "), key.Role)
	case !jobs.WellFormedName(key.Tenant):
		return Key{}, "", fmt.Errorf("the tenant must be "+jobs.NameRule+", but is %q", key.Tenant)
	case template.Name != "" && !validName(template.Name):
		return Key{}, "", fmt.Errorf("the name must be up to 64 printable characters and not begin with %s, not %q", idPrefix, template.Name)
	}
	if err := key.compileLimits(); err != nil {
		return Key{}, "", err
	}
	err = k.edit(func(list []Key) ([]Key, error) {
		if i := slices.IndexFunc(list, func(old Key) bool { return old.Name == key.Name && old.Revoked.IsZero() }); i >= 0 {
			return nil, fmt.Errorf("there is a key %s already (%s); choose another name or revoke it first", key.Name, list[i].ID)
		}
		return append(list, key), nil
	})
	return key, text, err
}

func validName(name string) bool {
	forbidden := func(r rune) bool { return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) }
	return len(name) <= 64 && utf8.ValidString(name) && strings.TrimSpace(name) == name && !strings.ContainsFunc(name, forbidden) && !strings.HasPrefix(name, idPrefix)
}

// Revoke revokes a key, named by its name or id. For a revoked key it does nothing.
func (k *Keys) Revoke(nameOrID string, now time.Time) (key Key, err error) {
	err = k.edit(func(list []Key) ([]Key, error) {
		found := -1
		for i, old := range list {
			if old.ID == nameOrID || old.Name == nameOrID && (found < 0 || old.Revoked.IsZero()) {
				found = i
			}
		}
		if found < 0 {
			return nil, fmt.Errorf("there is no key %q in %s", nameOrID, k.dir)
		}
		if list[found].Revoked.IsZero() {
			list[found].Revoked = now.UTC().Truncate(time.Second)
		}
		key = list[found]
		return list, nil
	})
	return key, err
}

// edit changes the file of keys, while no other process does.
func (k *Keys) edit(change func([]Key) ([]Key, error)) error {
	defer k.refresh(time.Now(), true)
	return k.withLock(func() error {
		list, err := k.read()
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		return k.write(list)
	})
}

// withLock calls do while no other process changes the files, and then writes to the lock file.
// Other processes watch that one, as it is never replaced.
func (k *Keys) withLock(do func() error) error {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(k.path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // unlocks
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	if err := do(); err != nil {
		return err
	}
	f.WriteAt([]byte{'\n'}, 0) // an error only means that other processes notice the change later
	return nil
}

// replaceFile writes a file that only the owner can read: atomically and durably.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after success, as the file was renamed
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

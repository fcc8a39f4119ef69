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

// List returns all keys, also those that are no longer good, in the order of creation.
func (k *Keys) List() ([]Key, error) { return k.read() }

const idPrefix = "key_"

// Create stores a new key with the name, role, tenant and expiry of a template, and
// returns it with the text that its holder will show, which is kept nowhere. Name and
// tenant may be empty for the id and the default one.
func (k *Keys) Create(template Key, now time.Time) (key Key, text string, err error) {
	text = keyPrefix + strings.ToLower(rand.Text()+rand.Text())
	digest := sha256.Sum256([]byte(text))
	key = Key{ID: idPrefix + strings.ToLower(rand.Text()[:12]), Role: template.Role, Created: now.UTC().Truncate(time.Second),
		Tenant: cmp.Or(template.Tenant, jobs.DefaultTenant), Expires: template.Expires.UTC().Truncate(time.Second), Hash: hex.EncodeToString(digest[:])}
	key.Name = cmp.Or(template.Name, key.ID)
	switch {
	case Roles[key.Role] == nil:
		return Key{}, "", fmt.Errorf("the role is one of %s, not %q", strings.Join(RoleNames(), ", "), key.Role)
	case !jobs.WellFormedName(key.Tenant):
		return Key{}, "", fmt.Errorf("the tenant must be "+jobs.NameRule+", but is %q", key.Tenant)
	case template.Name != "" && !validName(template.Name):
		return Key{}, "", fmt.Errorf("the name must be up to 64 printable characters and not begin with %s, not %q", idPrefix, template.Name)
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
	strange := func(r rune) bool { return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) }
	return len(name) <= 64 && utf8.ValidString(name) && strings.TrimSpace(name) == name && !strings.ContainsFunc(name, strange) && !strings.HasPrefix(name, idPrefix)
}

// Revoke ends a key, by its name or id, for good. To revoke it once more changes nothing.
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

// edit changes the file of keys. One process at a time does.
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

// withLock changes files while no other process does. Each time it writes to the lock file,
// which stays the same file: processes that follow the keys watch that one.
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
	f.WriteAt([]byte{'\n'}, 0) // an error only means that others notice later
	return nil
}

// replaceFile writes a file that only the owner reads: the whole of it or nothing, and
// durably.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which is gone if all went well
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

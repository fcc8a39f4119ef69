package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"jobhub/jobs"
)

// List returns all keys, revoked and expired ones included, in the order of creation.
func (k *Keys) List() ([]Key, error) { return k.read() }

const (
	idPrefix = "key_"

	// MaxKeys is the largest number of keys of a tenant, without those that are forgotten.
	MaxKeys = 10_000

	// forgetAfter is how long a key is listed after it was revoked or has expired. Then it
	// is forgotten when another is made.
	forgetAfter = 90 * 24 * time.Hour
)

// Create stores a new key made of a template, and returns it with its text, which callers send
// and which is stored nowhere. An empty name becomes the id, an empty tenant the default one.
// The error is a *jobs.Problem if the template is the reason.
func (k *Keys) Create(template Key, now time.Time) (key Key, text string, err error) {
	key, text, _, err = Editor{keys: k}.Create(template, nil, now)
	return key, text, err
}

// Update changes a key, named by its name or id.
func (k *Keys) Update(nameOrID string, now time.Time, change func(*Key) error) (Key, error) {
	key, _, err := Editor{keys: k}.update(byNameOrID(nameOrID), now, change)
	return key, err
}

// Revoke revokes a key, named by its name or id. For a revoked key it does nothing.
func (k *Keys) Revoke(nameOrID string, now time.Time) (Key, error) {
	key, _, err := Editor{keys: k}.revoke(byNameOrID(nameOrID), now)
	return key, err
}

// Find returns a key, named by its name or id.
func (k *Keys) Find(nameOrID string) (Key, error) {
	list, err := k.read()
	if err != nil {
		return Key{}, err
	}
	i, err := byNameOrID(nameOrID)(list)
	if err != nil {
		return Key{}, err
	}
	return list[i], nil
}

// byNameOrID finds a key: by its id, else the valid or last one of that name.
func byNameOrID(nameOrID string) finder {
	return func(list []Key) (int, error) {
		found, tenants := -1, map[string]bool{}
		for i, key := range list {
			switch {
			case key.ID == nameOrID:
				return i, nil
			case key.Name != nameOrID:
			case key.Revoked.IsZero():
				found, tenants[key.Tenant] = i, true
			case len(tenants) == 0:
				found = i
			}
		}
		switch {
		case found < 0:
			return 0, jobs.NewProblem(jobs.NotFound, "Not found", "There is no key %q.", nameOrID)
		case len(tenants) > 1:
			return 0, jobs.NewProblem(jobs.Conflict, "Several keys", "Several tenants have a key %q; name the id of the one that is meant.", nameOrID)
		}
		return found, nil
	}
}

// errUnchanged is returned by a change that has changed nothing.
var errUnchanged = errors.New("nothing has changed")

// edit changes the file of keys, while no other process does.
func (k *Keys) edit(change func([]Key) ([]Key, error)) error {
	defer func() { k.refresh(time.Now(), true) }()
	err := k.withLock(func() error {
		list, err := k.read()
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		return k.write(list)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
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

package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

// Editor makes, shows and changes keys in the name of a caller.
type Editor struct {
	keys   *Keys
	tenant string // whose keys there are; empty for those of all tenants
	admin  string // the tenant that has a valid key of an admin after each change; empty for any
}

// EditorFor returns the editor of a caller that may administer. To one that is not of the
// whole hub, keys of other tenants do not exist. No change leaves the caller's own tenant
// without a valid key of an admin: nobody could make another over HTTP.
func (k *Keys) EditorFor(who Identity, wholeHub bool) Editor {
	e := Editor{keys: k, tenant: who.Tenant, admin: who.Tenant}
	if wholeHub {
		e.tenant = ""
	}
	return e
}

// Request is what is stored of a request with an Idempotency-Key that has made a key.
type Request struct {
	Key   string    `json:"sha256"` // of the key and its scope, in hex
	Body  string    `json:"body"`   // fingerprint, in hex
	Until time.Time `json:"until"`  // when it may be forgotten
}

// NewRequest returns the Request of an idempotency key; nil for nil.
func NewRequest(key *jobs.Key) *Request {
	if key == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(key.Scope + "\x00" + key.Key))
	return &Request{Key: hex.EncodeToString(sum[:]), Body: hex.EncodeToString(key.Fingerprint), Until: key.Until.UTC().Truncate(time.Second)}
}

var (
	errUnknownKey = jobs.NewProblem(jobs.NotFound, "Not found", "There is no such key.")
	errLastAdmin  = jobs.NewProblem(jobs.Conflict, "Last admin", "Without this key as a valid one of the role admin, nobody in its tenant could manage keys over HTTP. Make another key with the role admin first; or use jobhub keys with --data on the hub's machine.")
	errNoAdmin    = jobs.NewProblem(jobs.Conflict, "No admin", "With the first key every caller needs one, and without a key of the role admin in the tenant %s nobody could make another over HTTP. Make that one first.", jobs.DefaultTenant)
	errTooMany    = unprocessable(jobs.NewProblem(jobs.LimitExceeded, "Too many keys", "A tenant can have %d keys. Revoke some that are not used.", MaxKeys))
	errForeign    = jobs.NewProblem("forbidden", "Another tenant", "Only admins of the tenant %s may make keys for other tenants.", jobs.DefaultTenant)
	errReused     = unprocessable(jobs.NewProblem(jobs.Conflict, "Idempotency key in use", "This Idempotency-Key was used for another request. Use a new key for a new request."))
)

func unprocessable(p *jobs.Problem) *jobs.Problem {
	p.Status = 422
	return p
}

// List returns the keys that the caller may see, revoked and expired ones included, in the
// order of creation.
func (e Editor) List() (all []Key, err error) {
	list, err := e.keys.current(time.Now())
	for i := range list {
		if e.sees(&list[i]) {
			all = append(all, list[i])
		}
	}
	return all, err
}

// Get returns a key by its id.
func (e Editor) Get(id string) (Key, error) {
	list, err := e.keys.current(time.Now())
	if err != nil {
		return Key{}, err
	}
	i, err := e.byID(id)(list)
	if err != nil {
		return Key{}, err
	}
	return list[i], nil
}

// Create is Keys.Create for the caller, whose tenant an empty one becomes. A request is
// remembered for as long as it says: the same one again returns the key that it has made, as it
// is now, and no text.
func (e Editor) Create(template Key, request *Request, now time.Time) (key Key, text string, replayed bool, err error) {
	text = keyPrefix + strings.ToLower(rand.Text()+rand.Text())
	digest := sha256.Sum256([]byte(text))
	key = template
	key.ID, key.Hash, key.Created, key.Revoked, key.Revision, key.Request = idPrefix+strings.ToLower(rand.Text()[:12]), hex.EncodeToString(digest[:]), now.UTC().Truncate(time.Second), time.Time{}, 0, request
	key.Tenant, key.Expires = cmp.Or(key.Tenant, e.tenant, jobs.DefaultTenant), key.Expires.UTC().Truncate(time.Second)
	if err := key.check(); err != nil {
		return Key{}, "", false, err
	}
	key.Name = cmp.Or(key.Name, key.ID)
	if !e.sees(&key) {
		return Key{}, "", false, errForeign
	}
	err = e.keys.edit(func(list []Key) ([]Key, error) {
		if request != nil {
			for i := range list {
				if old := list[i].Request; old != nil && old.Key == request.Key && now.Before(old.Until) {
					if old.Body != request.Body {
						return nil, errReused
					}
					key, text, replayed = list[i], "", true
					return nil, errUnchanged
				}
			}
		}
		list, err := makeRoom(list, key.Tenant, now)
		if err != nil {
			return nil, err
		}
		if err := checkName(list, &key); err != nil {
			return nil, err
		}
		if list = append(list, key); !e.keepsAdmin(list, now) {
			return nil, errNoAdmin
		}
		return list, nil
	})
	if err != nil {
		return Key{}, "", false, err
	}
	return key, text, replayed, nil
}

// Update changes a key by its id; change sees it as it is. It returns what has changed, for
// people. A revoked key can't be changed.
func (e Editor) Update(id string, now time.Time, change func(*Key) error) (key Key, changes []string, err error) {
	return e.update(e.byID(id), now, change)
}

// Revoke revokes a key by its id, and reports whether it was not revoked before.
func (e Editor) Revoke(id string, now time.Time) (key Key, revoked bool, err error) {
	return e.revoke(e.byID(id), now)
}

// finder returns the index of a key in a list. Its error is a *jobs.Problem.
type finder func(list []Key) (int, error)

func (e Editor) byID(id string) finder {
	return func(list []Key) (int, error) {
		i := slices.IndexFunc(list, func(key Key) bool { return key.ID == id && e.sees(&key) })
		if i < 0 {
			return 0, errUnknownKey
		}
		return i, nil
	}
}

func (e Editor) update(find finder, now time.Time, change func(*Key) error) (key Key, changes []string, err error) {
	err = e.keys.edit(func(list []Key) ([]Key, error) {
		i, err := find(list)
		if err != nil {
			return nil, err
		}
		before := list[i]
		if !before.Revoked.IsZero() {
			return nil, jobs.NewProblem(jobs.Conflict, "Revoked", "The key %s was revoked, which can't be undone. Make another.", before.ID)
		}
		key = before
		key.Scopes = slices.Clone(before.Scopes)
		if err := change(&key); err != nil {
			return nil, err
		}
		if err := key.check(); err != nil {
			return nil, err
		}
		if key.Tenant == "" {
			return nil, jobs.Invalid("/tenant", "must be the name of a tenant: a key needs one")
		}
		if !e.sees(&key) {
			return nil, errForeign
		}
		if changes = describe(&before, &key); len(changes) == 0 {
			return nil, errUnchanged
		}
		if key.Name != before.Name || key.Tenant != before.Tenant {
			if err := checkName(slices.Delete(slices.Clone(list), i, i+1), &key); err != nil {
				return nil, err
			}
		}
		if key.Role != before.Role || key.Tenant != before.Tenant || key.Team != before.Team || !slices.Equal(key.Scopes, before.Scopes) || !key.Expires.Equal(before.Expires) {
			key.Revision++
		}
		if list[i] = key; !e.keepsAdmin(list, now) {
			return nil, errLastAdmin
		}
		return list, nil
	})
	return key, changes, err
}

func (e Editor) revoke(find finder, now time.Time) (key Key, revoked bool, err error) {
	err = e.keys.edit(func(list []Key) ([]Key, error) {
		i, err := find(list)
		if err != nil {
			return nil, err
		}
		if key = list[i]; !key.Revoked.IsZero() {
			return nil, errUnchanged
		}
		key.Revoked, revoked = now.UTC().Truncate(time.Second), true
		if list[i] = key; !e.keepsAdmin(list, now) {
			return nil, errLastAdmin
		}
		return list, nil
	})
	return key, revoked, err
}

// sees reports whether the caller may know of a key.
func (e Editor) sees(key *Key) bool { return e.tenant == "" || key.Tenant == e.tenant }

// keepsAdmin reports whether a list has a key with which the caller's tenant can be managed.
func (e Editor) keepsAdmin(list []Key, now time.Time) bool {
	return e.admin == "" || slices.ContainsFunc(list, func(key Key) bool { return key.Tenant == e.admin && key.Role == Admin && key.State(now) == nil })
}

// checkName returns a *jobs.Problem if a key in the list has the name and the tenant of a key.
// It does not look at other tenants, so that it tells nothing of them.
func checkName(list []Key, key *Key) error {
	i := slices.IndexFunc(list, func(old Key) bool { return old.Name == key.Name && old.Tenant == key.Tenant && old.Revoked.IsZero() })
	if i < 0 {
		return nil
	}
	return jobs.NewProblem(jobs.Conflict, "Name in use", "There is a key %s already (%s); choose another name or revoke it first.", key.Name, list[i].ID)
}

// makeRoom removes keys that are forgotten, and the first one of the tenant that has ended if
// the tenant has as many keys as it can.
func makeRoom(list []Key, tenant string, now time.Time) ([]Key, error) {
	list = slices.DeleteFunc(list, func(old Key) bool { return old.forgotten(now) })
	own, ended := 0, -1
	for i := range list {
		if list[i].Tenant != tenant {
			continue
		}
		if own++; ended < 0 && list[i].State(now) != nil {
			ended = i
		}
	}
	switch {
	case own < MaxKeys:
		return list, nil
	case ended < 0:
		return nil, errTooMany
	}
	return slices.Delete(list, ended, ended+1), nil
}

// forgotten reports whether a key ended so long ago that it need not be kept.
func (k *Key) forgotten(now time.Time) bool {
	end := k.Expires
	if !k.Revoked.IsZero() {
		end = k.Revoked
	}
	return !end.IsZero() && now.Sub(end) > forgetAfter
}

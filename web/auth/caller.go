package auth

import (
	"errors"
	"strings"
	"time"

	"jobhub/jobs"
)

// Caller is what is kept with a job or schedule of the one in whose name it was made, as
// jobs.Spec.Caller: the id of the key and, for people, its name. Nothing in it opens the hub.
func (i Identity) Caller() string {
	if i.Key == "" {
		return i.Name
	}
	return i.Key + " " + i.Name
}

// ResolveCaller returns whom a kept caller stands for now. What was made with a key acts for it as
// long as the key is good; what was made without one, as long as there are no keys. The
// error is a *jobs.Problem, or says why the keys can't be read.
func (k *Keys) ResolveCaller(tenant, caller string, now time.Time) (Identity, error) {
	if !k.Configured(now) {
		i := Local
		i.Tenant = tenant
		return i, nil
	}
	id, name, _ := strings.Cut(caller, " ")
	if !strings.HasPrefix(id, idPrefix) {
		return Identity{}, staleCaller("It was made without a key, and this hub has keys by now.")
	}
	key, err := k.find(now, func() *Key { return k.byID[id] })
	switch {
	case err == nil && key.Tenant == tenant:
		return key.identity(), nil
	case err == nil || errors.Is(err, ErrUnknown):
		return Identity{}, staleCaller("The key %s (%s) with which it was made is not there.", name, id)
	case errors.Is(err, ErrRevoked):
		return Identity{}, staleCaller("The key %s (%s) with which it was made was revoked.", name, id)
	case errors.Is(err, ErrExpired):
		return Identity{}, staleCaller("The key %s (%s) with which it was made has expired.", name, id)
	}
	return Identity{}, err
}

// CheckCaller returns nil if what a kept caller has made may still act; else the error of
// Acting. What the program itself has made has no caller.
func (k *Keys) CheckCaller(tenant, caller string) error {
	if caller == "" {
		return nil
	}
	_, err := k.ResolveCaller(tenant, caller, time.Now())
	return err
}

func staleCaller(why string, args ...any) error {
	return jobs.NewProblem("forbidden", "Key no longer good", why+" Save or send it again with a key that is good.", args...)
}

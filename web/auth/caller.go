package auth

import (
	"errors"
	"strings"
	"time"

	"jobhub/jobs"
)

// Caller returns what is stored with a job or schedule about the caller that made it, for
// jobs.Spec.Caller: the id of the key and, for people, its name. It holds no secret.
func (i Identity) Caller() string {
	switch {
	case i.Subject != "":
		return i.Subject
	case i.Key == "":
		return i.Name
	}
	return i.Key + " " + i.Name
}

// ResolveCaller returns the identity of a stored caller. A caller with a key is valid as long as
// the key is; one without, as long as no keys are configured. The error is a *jobs.Problem, or
// says why the keys can't be read.
func (k *Keys) ResolveCaller(tenant, caller string, now time.Time) (Identity, error) {
	if !k.Configured(now) {
		i := Local
		i.Tenant = tenant
		return i, nil
	}
	id, name, _ := strings.Cut(caller, " ")
	if !strings.HasPrefix(id, idPrefix) {
		return Identity{}, staleCaller("It was made without a key, and the hub has keys now.")
	}
	key, err := k.find(now, func() *Key { return k.byID[id] })
	switch {
	case err == nil && key.Tenant == tenant:
		return key.identity(), nil
	case err == nil || errors.Is(err, ErrUnknown):
		return Identity{}, staleCaller("It was made with the key %s (%s), which does not exist.", name, id)
	case errors.Is(err, ErrRevoked):
		return Identity{}, staleCaller("It was made with the key %s (%s), which was revoked.", name, id)
	case errors.Is(err, ErrExpired):
		return Identity{}, staleCaller("It was made with the key %s (%s), which has expired.", name, id)
	}
	return Identity{}, err
}

// CheckCaller returns nil if a stored caller is still valid and may still submit jobs, else an
// error like that of ResolveCaller. An empty caller, of what the program itself has made, is
// valid.
func (k *Keys) CheckCaller(tenant, caller string) error {
	if caller == "" {
		return nil
	}
	who, err := k.ResolveCaller(tenant, caller, time.Now())
	if err == nil && !who.May(Submit, Target{}) {
		err = staleCaller("It was made with the key %s (%s), whose role is %s now and may not submit jobs.", who.Name, who.Key, who.Role)
	}
	return err
}

func staleCaller(why string, args ...any) error {
	return jobs.NewProblem("forbidden", "Key no longer valid", why+" Save or send it again with a valid key.", args...)
}

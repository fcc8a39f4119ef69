package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/auth"
	"jobhub/web/client"
)

// keyStore is where jobhub keys finds keys: in a data folder, or at a hub. Keys are named by
// their name or id.
type keyStore interface {
	list(context.Context, client.KeyFilter) ([]client.Key, error)
	find(ctx context.Context, nameOrID string) (client.Key, error)
	create(context.Context, client.KeyMembers) (client.NewKey, error)
	update(ctx context.Context, nameOrID string, m client.KeyMembers) (client.Key, error)
	revoke(ctx context.Context, nameOrID string) (client.Key, error)
}

// keyFolder is the keys of a data folder. Whoever can write to it may do everything.
type keyFolder struct{ *auth.Keys }

// described returns a key as a hub describes it.
func described(key auth.Key, err error) (k client.Key, _ error) {
	if err != nil {
		return k, err
	}
	text, err := json.Marshal(key.Document(time.Now()), json.Deterministic(true))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(text, &k)
}

// change returns the function that sets members of a key.
func change(m client.KeyMembers) (func(*auth.Key) error, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var members auth.Members
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	return func(key *auth.Key) error { return members.Apply(key, time.Now()) }, nil
}

func (f keyFolder) list(_ context.Context, filter client.KeyFilter) (all []client.Key, err error) {
	list, err := f.Keys.List()
	for _, key := range list {
		one, err := described(key, nil)
		if err != nil {
			return nil, err
		}
		selects := func(asked, member string) bool { return asked == "" || asked == member }
		if selects(filter.Tenant, one.Tenant) && selects(filter.Team, one.Team) && selects(filter.Role, one.Role) {
			all = append(all, one)
		}
	}
	return all, err
}

func (f keyFolder) find(_ context.Context, nameOrID string) (client.Key, error) {
	return described(f.Keys.Find(nameOrID))
}

func (f keyFolder) create(_ context.Context, m client.KeyMembers) (made client.NewKey, err error) {
	apply, err := change(m)
	if err != nil {
		return made, err
	}
	var template auth.Key
	if err := apply(&template); err != nil {
		return made, err
	}
	now := time.Now()
	first := !f.Configured(now)
	key, text, err := f.Create(template, now)
	if err != nil {
		return made, err
	}
	answer := struct { // as a hub answers
		auth.Document
		Key   string   `json:"key"`
		Notes []string `json:"notes,omitempty"`
	}{Document: key.Document(now), Key: text}
	if first {
		answer.Notes = []string{"It is the hub's first key: from now on every caller needs one. Give your commands a key (export JOBHUB_TOKEN=jh_…), restart workers with one, and save existing schedules again."}
	}
	doc, err := json.Marshal(answer, json.Deterministic(true))
	if err != nil {
		return made, err
	}
	return made, json.Unmarshal(doc, &made)
}

func (f keyFolder) update(_ context.Context, nameOrID string, m client.KeyMembers) (client.Key, error) {
	apply, err := change(m)
	if err != nil {
		return client.Key{}, err
	}
	return described(f.Update(nameOrID, time.Now(), apply))
}

func (f keyFolder) revoke(_ context.Context, nameOrID string) (client.Key, error) {
	return described(f.Revoke(nameOrID, time.Now()))
}

// keyServer is the keys of a hub.
type keyServer struct{ *client.Client }

func (s keyServer) list(ctx context.Context, f client.KeyFilter) (all []client.Key, err error) {
	for key, err := range s.Keys(ctx, f) {
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	return all, nil
}

func (s keyServer) find(ctx context.Context, nameOrID string) (client.Key, error) {
	all, err := s.list(ctx, client.KeyFilter{})
	if err != nil {
		return client.Key{}, err
	}
	if i := slices.IndexFunc(all, func(k client.Key) bool { return k.ID == nameOrID }); i >= 0 {
		return all[i], nil
	}
	var valid, named []client.Key
	var tenants []string
	for _, key := range all {
		if key.Name != nameOrID {
			continue
		}
		if named = append(named, key); key.State != auth.StateRevoked {
			valid, tenants = append(valid, key), append(tenants, key.Tenant)
		}
	}
	switch {
	case len(valid) > 1:
		return client.Key{}, fmt.Errorf("the tenants %s each have a key %q; name the id of the one that is meant", strings.Join(tenants, ", "), nameOrID)
	case len(valid) == 1:
		return valid[0], nil
	case len(named) > 0:
		return named[len(named)-1], nil
	}
	return client.Key{}, fmt.Errorf("there is no key %q", nameOrID)
}

func (s keyServer) create(ctx context.Context, m client.KeyMembers) (client.NewKey, error) {
	return s.CreateKey(ctx, m, "")
}

func (s keyServer) update(ctx context.Context, nameOrID string, m client.KeyMembers) (client.Key, error) {
	key, err := s.find(ctx, nameOrID)
	if err != nil {
		return key, err
	}
	return s.UpdateKey(ctx, key.ID, m)
}

func (s keyServer) revoke(ctx context.Context, nameOrID string) (client.Key, error) {
	key, err := s.find(ctx, nameOrID)
	if err != nil {
		return key, err
	}
	return key, s.RevokeKey(ctx, key.ID)
}

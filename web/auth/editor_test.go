package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/jobs"
)

// as is the editor of an admin of a tenant.
func as(k *Keys, tenant string) Editor {
	return k.EditorFor(Identity{Tenant: tenant, Role: Admin, Key: "key_x"}, tenant == jobs.DefaultTenant)
}

func code(err error) string {
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return string(p.Code)
	}
	return fmt.Sprint(err)
}

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func role(r Role) func(*Key) error { return func(key *Key) error { key.Role = r; return nil } }

// TestEditorsOfTenants: to an admin of another tenant than that of the hub, keys of other
// tenants do not exist, whatever it does.
func TestEditorsOfTenants(t *testing.T) {
	k := open(t, t.TempDir())
	root, _ := create(t, k, Key{Name: "root", Role: Admin})
	own, _ := create(t, k, Key{Name: "boss", Role: Admin, Tenant: "acme"})
	acme, hub := as(k, "acme"), as(k, jobs.DefaultTenant)
	for _, id := range []string{root.ID, "key_none", "root", ""} {
		_, get := acme.Get(id)
		_, _, update := acme.Update(id, noon, role(Viewer))
		_, _, revoke := acme.Revoke(id, noon)
		for what, err := range map[string]error{"get": get, "update": update, "revoke": revoke} {
			if err != error(errUnknownKey) {
				t.Errorf("%s %q: %v", what, id, err)
			}
		}
	}
	list, err := acme.List()
	if err != nil || len(list) != 1 || list[0].ID != own.ID {
		t.Errorf("the list of acme: %+v %v", list, err)
	}
	if list, err = hub.List(); err != nil || len(list) != 2 {
		t.Errorf("the list of the hub: %+v %v", list, err)
	}
	_, _, _, err = acme.Create(Key{Role: Viewer, Tenant: "default"}, nil, noon)
	wantCode(t, "a key for another tenant", err, "forbidden")
	_, _, err = acme.Update(own.ID, noon, func(key *Key) error { key.Tenant = "default"; return nil })
	wantCode(t, "a key to another tenant", err, "forbidden")
	mine, _, _, err := acme.Create(Key{Role: Viewer, Name: "root"}, nil, noon) // the name is free in this tenant
	if err != nil || mine.Tenant != "acme" {
		t.Errorf("a key of acme: %+v %v", mine, err)
	}
	_, _, err = hub.Update(mine.ID, noon, func(key *Key) error { key.Tenant = "default"; return nil })
	wantCode(t, "a move to where the name is taken", err, "conflict")
	if _, err := k.Revoke("root", noon); code(err) != "conflict" {
		t.Errorf("a name of two keys: %v", err)
	}
	if _, _, err := hub.Revoke(own.ID, noon); err != nil {
		t.Errorf("the hub's admin revokes the last admin of a tenant: %v", err)
	}
}

// TestLastAdmin: over HTTP no tenant locks itself out; on the hub's machine everything goes.
func TestLastAdmin(t *testing.T) {
	k := open(t, t.TempDir())
	e := as(k, jobs.DefaultTenant)
	_, _, _, err := e.Create(Key{Role: Viewer}, nil, noon)
	wantCode(t, "a first key that is no admin's", err, "conflict")
	_, _, _, err = e.Create(Key{Role: Admin, Tenant: "acme"}, nil, noon)
	wantCode(t, "a first key of another tenant", err, "conflict")
	if k.Configured(noon) {
		t.Fatal("a refused key was stored")
	}
	a, _, _, err := e.Create(Key{Role: Admin, Name: "a"}, nil, noon)
	is(t, "the first admin", err, nil)
	_, _, err = e.Update(a.ID, noon, role(Operator))
	wantCode(t, "another role", err, "conflict")
	_, _, err = e.Update(a.ID, noon, func(key *Key) error { key.Tenant = "acme"; return nil })
	wantCode(t, "another tenant", err, "conflict")
	_, _, err = e.Revoke(a.ID, noon)
	wantCode(t, "the last", err, "conflict")
	create(t, k, Key{Role: Admin, Tenant: "acme"})
	create(t, k, Key{Role: Admin, Expires: noon.Add(time.Hour)})
	_, _, err = e.Revoke(a.ID, noon.Add(time.Hour))
	wantCode(t, "beside one that has expired", err, "conflict")
	_, _, err = e.Revoke(a.ID, noon)
	is(t, "one of two", err, nil)
	_, again, err := e.Revoke(a.ID, noon)
	if err != nil || again {
		t.Errorf("once more: %v %v", again, err)
	}
	_, _, err = e.Update(a.ID, noon, role(Viewer))
	wantCode(t, "a revoked key", err, "conflict")
	for _, key := range must(k.List())(t) {
		if _, err := k.Revoke(key.ID, noon); err != nil {
			t.Errorf("on the hub's machine: %v", err)
		}
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestAdminsThatRevokeEachOther: of any number of admins that revoke all others at once, one is
// left.
func TestAdminsThatRevokeEachOther(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	var ids []string
	for range 8 {
		key, _ := create(t, k, Key{Role: Admin})
		ids = append(ids, key.ID)
	}
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			e := as(open(t, dir), jobs.DefaultTenant) // a process of its own
			for j := range ids {
				e.Revoke(ids[(i+j)%len(ids)], noon)
			}
		})
	}
	all.Wait()
	good := 0
	for _, key := range must(k.List())(t) {
		if key.State(noon) == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d admins are left", good)
	}
}

// TestRequestsThatAreRepeated: an Idempotency-Key makes one key, also with many at once, over
// processes, and until it is forgotten.
func TestRequestsThatAreRepeated(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	request := func(key, body string) *Request {
		return NewRequest(&jobs.Key{Scope: "default admin POST /v1/keys", Key: key, Fingerprint: []byte(body), Until: noon.Add(24 * time.Hour)})
	}
	create(t, k, Key{Role: Admin})
	var mu sync.Mutex
	ids, texts := map[string]bool{}, 0
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			key, text, replayed, err := as(open(t, dir), jobs.DefaultTenant).Create(Key{Role: Viewer, Name: "ci"}, request("k", "b"), noon)
			mu.Lock()
			defer mu.Unlock()
			if ids[key.ID] = true; text != "" {
				texts++
			}
			if err != nil || (text == "") != replayed {
				t.Errorf("%q %v %v", text, replayed, err)
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || texts != 1 {
		t.Errorf("%d keys were made and %d texts shown", len(ids), texts)
	}
	e := as(k, jobs.DefaultTenant)
	_, _, _, err := e.Create(Key{Role: Viewer}, request("k", "other"), noon)
	wantCode(t, "another body", err, "conflict")
	if key, _, replayed, err := e.Create(Key{Role: Viewer}, request("k", "b"), noon.Add(24*time.Hour)); err != nil || replayed || ids[key.ID] {
		t.Errorf("a day later: %v %v", replayed, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, keysFile)); err != nil || strings.Contains(string(text), "POST") {
		t.Errorf("%s %v", text, err)
	}
}

// TestOldFiles: a file of a hub before these members is read, and so is one of these.
func TestOldFiles(t *testing.T) {
	dir := t.TempDir()
	old := `{"keys":[{"id":"key_a","name":"a","role":"admin","tenant":"default","created":"2025-01-01T00:00:00Z","sha256":"` + strings.Repeat("ab", 32) + `"}]}`
	if err := os.WriteFile(filepath.Join(dir, keysFile), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	k := open(t, dir)
	_, changes, err := as(k, jobs.DefaultTenant).Update("key_a", noon, func(key *Key) error {
		return decode(t, key, `{"team":"shop","scopes":["a"],"plan":"p","rate":"1/s","quota":"1/d","budget":"1/d"}`)
	})
	if err != nil || len(changes) != 6 {
		t.Fatalf("%q %v", changes, err)
	}
	key, err := as(open(t, dir), jobs.DefaultTenant).Get("key_a")
	if err != nil || key.Team != "shop" || key.Budget != "1/d" || key.limits == nil || key.Revision != 1 {
		t.Errorf("%+v %v", key, err)
	}
}

// TestRightsThatChange: who holds a connection is told when the rights of its key change, not
// when its name or its limits do; tokens allow no more than the key.
func TestRightsThatChange(t *testing.T) {
	k := open(t, t.TempDir())
	create(t, k, Key{Role: Admin})
	key, text := create(t, k, Key{Role: Submitter, Name: "ci"})
	now := time.Now()
	e := as(k, jobs.DefaultTenant)
	whoHas := func(bearer string) Identity {
		t.Helper()
		who, err := k.Authenticate(bearer, time.Now())
		is(t, "the credentials", err, nil)
		return who
	}
	token, _, err := k.Token(whoHas(text), Grant{Queues: []string{"q"}, Actions: []Action{Watch, Cancel}}, now.Add(time.Hour))
	is(t, "a token", err, nil)
	for _, body := range []string{`{"name":"new"}`, `{"plan":"gold"}`, `{"rate":"1/s"}`, `{"quota":"5/d"}`, `{"budget":"5/d"}`, `{"role":"submitter"}`, `{"scopes":[]}`, `{}`} {
		told := told(t, k, whoHas(text))
		_, _, err := e.Update(key.ID, now, func(key *Key) error { return decode(t, key, body) })
		is(t, body, err, nil)
		nothing(t, body, told)
	}
	if plan, limits := k.LimitsOf(Identity{Key: key.ID}); plan != "gold" || limits == nil {
		t.Errorf("the limits are %q %v", plan, limits)
	}
	for _, body := range []string{`{"team":"shop"}`, `{"scopes":["a"]}`, `{"expires":"2100-01-01T00:00:00Z"}`, `{"role":"viewer"}`} {
		byKey, byToken := told(t, k, whoHas(text)), told(t, k, whoHas(token))
		_, _, err := e.Update(key.ID, now, func(key *Key) error { return decode(t, key, body) })
		is(t, body, err, nil)
		within(t, body, byKey, ErrChanged)
		within(t, body+" with a token", byToken, ErrChanged)
		is(t, "the next request", k.Check(whoHas(text), time.Now()), nil)
	}
	on := Target{Queue: "q"}
	if who := whoHas(token); !who.May(Watch, on) || who.May(Cancel, on) {
		t.Errorf("the token of a viewer may %v", who.Grant.Actions)
	}
	is(t, "a job of a viewer", k.CheckCaller("default", whoHas(text).Caller()), staleCaller(""))
	if _, _, err := e.Update(key.ID, now, role(Operator)); err != nil || k.CheckCaller("default", key.ID) != nil {
		t.Errorf("a job of an operator: %v", k.CheckCaller("default", key.ID))
	}
}

// TestKeysThatAreForgotten: what has ended long ago makes room, and never the last of all.
func TestKeysThatAreForgotten(t *testing.T) {
	k := open(t, t.TempDir())
	create(t, k, Key{Role: Admin, Name: "root"})
	old, _ := create(t, k, Key{Role: Viewer, Expires: noon.Add(time.Hour)})
	gone, _ := create(t, k, Key{Role: Viewer})
	if _, err := k.Revoke(gone.ID, noon.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	make := func(now time.Time) (ids []string) {
		if _, _, err := k.Create(Key{Role: Viewer}, now); err != nil {
			t.Fatal(err)
		}
		for _, key := range must(k.List())(t) {
			ids = append(ids, key.ID)
		}
		return ids
	}
	if ids := make(noon.Add(forgetAfter + time.Hour)); !slices.Contains(ids, old.ID) || !slices.Contains(ids, gone.ID) {
		t.Errorf("too early: %q", ids)
	}
	if ids := make(noon.Add(forgetAfter + time.Hour + time.Second)); slices.Contains(ids, old.ID) || !slices.Contains(ids, gone.ID) {
		t.Errorf("the expired one: %q", ids)
	}
	list := slices.Repeat([]Key{{Tenant: "a"}}, MaxKeys)
	if _, err := makeRoom(slices.Clone(list), "a", noon); code(err) != "limit_exceeded" {
		t.Errorf("all are taken: %v", err)
	}
	if room, err := makeRoom(slices.Clone(list), "b", noon); err != nil || len(room) != MaxKeys {
		t.Errorf("another tenant: %d %v", len(room), err)
	}
	list[7].Revoked = noon
	if room, err := makeRoom(list, "a", noon); err != nil || len(room) != MaxKeys-1 {
		t.Errorf("a revoked one: %d %v", len(room), err)
	}
}

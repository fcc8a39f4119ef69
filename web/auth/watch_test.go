package auth

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second // for what another process does to be seen

// told is a watch that records its calls.
func told(t *testing.T, k *Keys, who Identity) <-chan error {
	t.Helper()
	ended := make(chan error, 10)
	t.Cleanup(k.Watch(who, func(err error) { ended <- err }))
	return ended
}

func nothing(t *testing.T, what string, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		t.Errorf("%s: the watch was called with %v", what, err)
	default:
	}
}

func within(t *testing.T, what string, ended <-chan error, want error) {
	t.Helper()
	select {
	case err := <-ended:
		is(t, what, err, want)
	case <-time.After(patience):
		t.Errorf("%s: the watch was not called", what)
	}
}

func TestWatchersHearOfWhatEnds(t *testing.T) {
	k := open(t, t.TempDir())
	local := told(t, k, Local)
	_, text := create(t, k, Key{Name: "ci", Role: Operator})
	within(t, "who came before there were keys", local, ErrUnknown)
	other, _ := create(t, k, Key{Name: "other", Role: Viewer})
	now := time.Now()
	who, err := k.Authenticate(text, now)
	is(t, "the key", err, nil)
	token, _, err := k.Token(who, Grant{Queues: []string{"q"}, Actions: []Action{Watch}}, now.Add(time.Hour))
	is(t, "a token", err, nil)
	holder, err := k.Authenticate(token, now)
	is(t, "the token", err, nil)
	cookie, _, err := k.Session(who, now.Add(time.Hour))
	is(t, "a session", err, nil)
	seated, err := k.Resume(cookie, now)
	is(t, "the session", err, nil)

	byKey, byToken, bySession, byOther := told(t, k, who), told(t, k, holder), told(t, k, seated), told(t, k, other.identity())
	stopped := make(chan error, 1)
	k.Watch(who, func(err error) { stopped <- err })()
	ctx, cancel := k.WhileValid(t.Context(), holder)
	defer cancel()

	is(t, "logging out", k.EndSession(seated, now), nil)
	within(t, "a session", bySession, ErrUnknown)
	nothing(t, "the key of the session", byKey)
	if _, err := k.Revoke("ci", now); err != nil {
		t.Fatal(err)
	}
	within(t, "a key", byKey, ErrRevoked)
	within(t, "a token", byToken, ErrRevoked)
	<-ctx.Done()
	is(t, "a context", context.Cause(ctx), ErrRevoked)
	if _, err := k.Revoke("other", now); err != nil {
		t.Fatal(err)
	}
	within(t, "another key", byOther, ErrRevoked)
	nothing(t, "a key", byKey) // once is enough
	nothing(t, "who stopped to watch", stopped)
	within(t, "who comes too late", told(t, k, who), ErrRevoked)
}

func TestWhileEndsWithItsTime(t *testing.T) {
	k := open(t, t.TempDir())
	_, text := create(t, k, Key{Role: Viewer, Expires: time.Now().Add(time.Hour)})
	who, err := k.Authenticate(text, time.Now())
	is(t, "the key", err, nil)
	who.Expires = time.Now().Add(time.Millisecond)
	ctx, cancel := k.WhileValid(t.Context(), who)
	defer cancel()
	<-ctx.Done()
	is(t, "the end", context.Cause(ctx), ErrExpired)
}

// TestFollow: changes by another process reach the watches of this one.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	hub, tool := open(t, dir), open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { hub.Follow(ctx) })
	defer following.Wait()
	defer cancel()

	local := told(t, hub, Local)
	_, text := create(t, tool, Key{Name: "ci", Role: Viewer})
	within(t, "who came before there were keys", local, ErrUnknown)
	now := time.Now()
	who, err := hub.Authenticate(text, now)
	is(t, "the key", err, nil)
	cookie, _, err := hub.Session(who, now.Add(time.Hour))
	is(t, "a session", err, nil)
	seated, err := tool.Resume(cookie, now)
	is(t, "the session", err, nil)
	bySession, byKey := told(t, hub, seated), told(t, hub, who)
	is(t, "logging out", tool.EndSession(seated, now), nil)
	within(t, "a session", bySession, ErrUnknown)
	if _, err := tool.Revoke("ci", now); err != nil {
		t.Fatal(err)
	}
	within(t, "a key", byKey, ErrRevoked)
}

func TestSessionsEnd(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	_, text := create(t, k, Key{Name: "ci", Role: Viewer})
	_, another := create(t, k, Key{Name: "other", Role: Viewer})
	now := time.Now()
	login := func(text string) (string, Identity) {
		t.Helper()
		who, err := k.Authenticate(text, now)
		is(t, "the key", err, nil)
		cookie, _, err := k.Session(who, now.Add(time.Hour))
		is(t, "a session", err, nil)
		who, err = k.Resume(cookie, now)
		is(t, "the session", err, nil)
		return cookie, who
	}
	one, seated := login(text)
	two, _ := login(text)
	other, _ := login(another)
	if one == two {
		t.Error("two sessions are one")
	}
	is(t, "logging out", k.EndSession(seated, now), nil)
	is(t, "logging out once more", k.EndSession(seated, now), nil)
	for _, k := range []*Keys{k, open(t, dir)} { // also after a restart
		_, err := k.Resume(one, now)
		is(t, "a session that was ended", err, ErrUnknown)
		_, err = k.Resume(two, now)
		is(t, "another one of its key", err, nil)
	}
	// What is remembered is bounded; beyond it, logging out ends older sessions, too.
	for range maxEnded {
		_, who := login(text)
		is(t, "logging out", k.EndSession(who, now), nil)
	}
	if list, err := k.readSessions(); err != nil || len(list) > maxEnded {
		t.Errorf("%d sessions are remembered, %v", len(list), err)
	}
	for _, k := range []*Keys{k, open(t, dir)} {
		_, err := k.Resume(two, now)
		is(t, "an older session", err, ErrUnknown)
		_, err = k.Resume(other, now)
		is(t, "a session of another key", err, nil)
	}
	fresh, _ := login(text)
	_, err := k.Resume(fresh, now)
	is(t, "a new session", err, nil)
	now = now.Add(time.Hour)
	_, who := login(text)
	is(t, "logging out an hour later", k.EndSession(who, now), nil)
	if list, err := k.readSessions(); err != nil || len(list) != 1 {
		t.Errorf("what is over is remembered: %v %v", list, err)
	}
}

func TestDamagedSessionsLetNobodyIn(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	_, text := create(t, k, Key{Name: "ci", Role: Viewer})
	now := time.Now()
	who, err := k.Authenticate(text, now)
	is(t, "the key", err, nil)
	cookie, _, err := k.Session(who, now.Add(time.Hour))
	is(t, "a session", err, nil)
	is(t, "damage", replaceFile(k.path(sessionsFile), []byte(`{"ended":`)), nil)
	k.refresh(now, true)
	if _, err := k.Resume(cookie, now); err == nil || lapsed(err) {
		t.Errorf("with a damaged file: %v", err)
	}
	if _, err := k.Authenticate(text, now); err != nil {
		t.Errorf("the key: %v", err)
	}
}

func TestCallersThatAct(t *testing.T) {
	k := open(t, t.TempDir())
	who, err := k.ResolveCaller("acme", Local.Caller(), time.Now())
	if err != nil || who.Role != Admin || who.Tenant != "acme" {
		t.Errorf("without keys: %+v %v", who, err)
	}
	is(t, "without a caller", k.CheckCaller("default", ""), nil)
	key, _ := create(t, k, Key{Name: "my ci", Role: Operator, Tenant: "acme"})
	caller := key.identity().Caller()
	who, err = k.ResolveCaller("acme", caller, time.Now())
	if err != nil || who.Role != Operator || who.Key != key.ID || who.Name != "my ci" {
		t.Errorf("%+v %v", who, err)
	}
	refused := func(what, tenant, caller string) {
		t.Helper()
		if who, err := k.ResolveCaller(tenant, caller, time.Now()); err == nil || who.Role != "" || errors.Is(err, ErrRevoked) {
			t.Errorf("%s: %+v %v", what, who, err)
		}
		if err := k.CheckCaller(tenant, caller); err == nil {
			t.Errorf("%s is allowed", what)
		}
	}
	refused("what was made before there were keys", "default", Local.Caller())
	for _, old := range []string{"admin local", "admin my ci", "operator my ci", "key_", "key_ x", key.ID[:8] + " my ci", "x " + key.ID} {
		refused(old, "acme", old)
	}
	refused("a key of another tenant", "default", caller)
	if _, err := k.Revoke(key.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	refused("a revoked key", "acme", caller)
	expiring, _ := create(t, k, Key{Name: "brief", Role: Admin, Expires: time.Now().Add(-time.Second)})
	refused("an expired key", "default", expiring.identity().Caller())
	again, _ := create(t, k, Key{Name: "my ci", Role: Operator, Tenant: "acme"})
	refused("a revoked key whose name is another's now", "acme", caller)
	is(t, "the other", k.CheckCaller("acme", again.identity().Caller()), nil)
}

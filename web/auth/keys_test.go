package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Keys {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func create(t *testing.T, k *Keys, template Key) (Key, string) {
	t.Helper()
	key, text, err := k.Create(template, noon)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestKeys(t *testing.T) {
	k := open(t, t.TempDir())
	if k.Configured(noon) {
		t.Error("keys are configured where there are none")
	}
	_, err := k.Authenticate("jh_x", noon)
	is(t, "a key where there are none", err, ErrUnknown)
	key, text := create(t, k, Key{Name: "ci", Role: Submitter, Tenant: "acme", Expires: noon.Add(time.Hour)})
	if !regexp.MustCompile(`^jh_[a-z2-7]{52}$`).MatchString(text) { // 260 bits
		t.Errorf("the key is %q", text)
	}
	now := noon.Add(2 * time.Second)
	if !k.Configured(now) {
		t.Error("no keys are configured where there is one")
	}
	who, err := k.Authenticate(text, now)
	is(t, "a good key", err, nil)
	if want := (Identity{Tenant: "acme", Role: Submitter, Name: "ci", Key: key.ID, Expires: noon.Add(time.Hour)}); !reflect.DeepEqual(who, want) {
		t.Errorf("%+v, want %+v", who, want)
	}
	for _, bad := range []string{"", "jh_", "jh", text[:len(text)-1], text + "a", " " + text, strings.ToUpper(text), "jh_" + key.Hash, key.Hash, key.ID, "ci"} {
		who, err := k.Authenticate(bad, now)
		is(t, fmt.Sprintf("the key %q", bad), err, ErrUnknown)
		if !reflect.DeepEqual(who, Identity{}) {
			t.Errorf("the key %q is somebody: %+v", bad, who)
		}
	}
	is(t, "the key while it is good", k.Check(who, now), nil)
	_, err = k.Authenticate(text, noon.Add(time.Hour))
	is(t, "an expired key", err, ErrExpired)
	is(t, "an expired identity", k.Check(who, noon.Add(time.Hour)), ErrExpired)

	for _, name := range []string{"ci", key.ID} {
		if _, err := k.Revoke(name, noon); err != nil {
			t.Errorf("revoking %s: %v", name, err)
		}
	}
	now = now.Add(refreshInterval)
	_, err = k.Authenticate(text, now)
	is(t, "a revoked key", err, ErrRevoked)
	is(t, "a revoked identity", k.Check(who, now), ErrRevoked)
	if !k.Configured(now) {
		t.Error("revoking the last key opens the hub")
	}
	is(t, "an identity from when there were no keys", k.Check(Local, now), ErrUnknown)
	again, _ := create(t, k, Key{Name: "ci", Role: Viewer}) // the name is free again
	if got, err := k.Revoke("ci", noon); err != nil || got.ID != again.ID {
		t.Errorf("revoking the second ci: %+v %v", got, err)
	}
	list, err := k.List()
	if err != nil || len(list) != 2 || list[0].ID != key.ID || list[1].Tenant != "default" || list[1].Role != Viewer {
		t.Errorf("the list: %+v %v", list, err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	k := open(t, t.TempDir())
	create(t, k, Key{Name: "ci", Role: Viewer})
	for _, bad := range []Key{{}, {Role: "root"}, {Role: "Admin"}, {Role: Viewer, Tenant: "A"}, {Role: Viewer, Tenant: "a b"}, {Role: Viewer, Name: "ci"},
		{Role: Viewer, Name: "key_x"}, {Role: Viewer, Name: "a\nb"}, {Role: Viewer, Name: " a"}, {Role: Viewer, Name: "\u202eb"}, {Role: Viewer, Name: strings.Repeat("a", 65)}, {Role: Viewer, Name: "\xff"}} {
		if key, text, err := k.Create(bad, noon); err == nil || text != "" && key.ID == "" {
			t.Errorf("made %+v %q %v", key, text, err)
		}
	}
	if _, err := k.Revoke("nobody", noon); err == nil {
		t.Error("revoked a key that is not there")
	}
	if list, err := k.List(); err != nil || len(list) != 1 {
		t.Errorf("the list: %+v %v", list, err)
	}
}

// The files in the data folder hold no keys, and other users can't read them.
func TestKeysOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data") // made when it is needed
	k := open(t, dir)
	_, text := create(t, k, Key{Name: "ci", Role: Admin})
	who, err := k.Authenticate(text, noon)
	is(t, "the key", err, nil)
	token, _, err := k.Token(who, Grant{Queues: []string{"q"}, Actions: []Action{Watch}}, noon.Add(time.Hour))
	is(t, "a token", err, nil)
	files, err := os.ReadDir(dir)
	is(t, "the folder", err, nil)
	names := ""
	for _, f := range files {
		names += f.Name() + " "
		info, err := f.Info()
		is(t, f.Name(), err, nil)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		is(t, f.Name(), err, nil)
		for _, secret := range []string{text, text[3:], text[10:30], token} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds %s", f.Name(), secret)
			}
		}
	}
	if names != "keys.json keys.lock token.secret " {
		t.Errorf("the folder holds %s", names)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode() != 0o700|fs.ModeDir {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
}

// A hub and the command that makes keys are two processes.
func TestKeysOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	hub, tool := open(t, dir), open(t, dir)
	now := time.Now()
	if hub.Configured(now) {
		t.Fatal("keys from nowhere")
	}
	_, first := create(t, tool, Key{Name: "first", Role: Viewer})
	if _, err := hub.Authenticate(first, now); err != nil {
		t.Errorf("a key that was made this moment: %v", err)
	}
	if !hub.Configured(now) {
		t.Error("the hub stays open")
	}
	who, err := hub.Authenticate(first, now)
	is(t, "the first key", err, nil)
	if _, err := tool.Revoke("first", now); err != nil {
		t.Fatal(err)
	}
	is(t, "a second after it was revoked", hub.Check(who, now.Add(refreshInterval)), ErrRevoked)

	var makers sync.WaitGroup
	for i := range 8 {
		makers.Go(func() {
			k := open(t, dir)
			for j := range 4 {
				create(t, k, Key{Name: fmt.Sprint(i, ".", j), Role: Viewer})
			}
		})
	}
	makers.Wait()
	if list, err := hub.List(); err != nil || len(list) != 33 {
		t.Errorf("%d keys, %v; want 33", len(list), err)
	}
}

// Whatever becomes of the file of keys, nobody gets in who should not.
func TestDamagedKeysLetNobodyIn(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	_, text := create(t, k, Key{Name: "ci", Role: Viewer})
	now := time.Now()
	_, err := k.Authenticate(text, now) // it has been seen
	is(t, "the key", err, nil)
	path := filepath.Join(dir, "keys.json")
	good, err := os.ReadFile(path)
	is(t, "the file", err, nil)
	for what, bad := range map[string][]byte{
		"gone": nil, "empty": {}, "cut": good[:len(good)/2], "another role": bytes.Replace(good, []byte(`"viewer"`), []byte(`"root"`), 1),
		"a cut hash": bytes.Replace(good, []byte(`"sha256": "`), []byte(`"sha256": "00`), 1), "another member": bytes.Replace(good, []byte(`"id"`), []byte(`"iD"`), 1),
		"no tenant": bytes.Replace(good, []byte(`"default"`), []byte(`""`), 1),
	} {
		if now = now.Add(refreshInterval); bad == nil {
			err = os.Remove(path)
		} else {
			err = replaceFile(path, bad)
		}
		is(t, what, err, nil)
		if !k.Configured(now) {
			t.Errorf("%s: the hub is open", what)
		}
		if who, err := k.Authenticate(text, now); err == nil || lapsed(err) {
			t.Errorf("%s: %+v %v", what, who, err)
		}
		if _, err := Open(dir); err == nil && bad != nil {
			t.Errorf("%s: a hub starts with it", what)
		}
		now = now.Add(refreshInterval)
		is(t, what, replaceFile(path, good), nil)
		if _, err := k.Authenticate(text, now); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}

func lapsed(err error) bool {
	return errors.Is(err, ErrUnknown) || errors.Is(err, ErrRevoked) || errors.Is(err, ErrExpired)
}

func TestSeveralTenants(t *testing.T) {
	k := open(t, t.TempDir())
	now := noon
	several := func(when string, want bool) {
		t.Helper()
		now = now.Add(2 * time.Second)
		k.Configured(now) // looks at what has changed, as every request does
		if got := k.SeveralTenants(now); got != want {
			t.Errorf("%s: %t", when, got)
		}
	}
	several("no keys", false)
	create(t, k, Key{Role: Submitter, Tenant: "acme"})
	create(t, k, Key{Role: Worker, Tenant: "acme"})
	several("keys of one tenant", false)
	other, _ := create(t, k, Key{Role: Submitter, Tenant: "globex"})
	several("another tenant's", true)
	if _, err := k.Revoke(other.ID, now); err != nil {
		t.Fatal(err)
	}
	several("it was revoked", false)
	create(t, k, Key{Role: Submitter, Tenant: "globex", Expires: now.Add(5 * time.Second)})
	several("a new one", true)
	now = now.Add(5 * time.Second)
	several("it has expired", false)
}

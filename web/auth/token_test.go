package auth

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

var grant = Grant{Jobs: []jobs.ID{{1, 2, 3}}, Queues: []string{"reports"}, Tags: []string{"user:7", "ü"}, Actions: []Action{Watch, Cancel}}

// signed has keys, the identity of one that ends two hours after noon, and a token and
// a session of it.
func signed(t testing.TB, dir string) (k *Keys, who Identity, token, session string) {
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := k.Create(Key{Name: "ci", Role: Submitter, Tenant: "acme", Expires: noon.Add(2 * time.Hour)}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if who, err = k.Authenticate(text, noon); err != nil {
		t.Fatal(err)
	}
	if token, _, err = k.Token(who, grant, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if session, _, err = k.Session(who, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return k, who, token, session
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	k, who, token, session := signed(t, dir)
	got, err := k.Authenticate(token, noon)
	is(t, "a token", err, nil)
	want := Identity{Tenant: "acme", Name: "ci", Key: who.Key, Grant: &grant, Expires: noon.Add(time.Hour)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	resumed, err := k.Resume(session, noon)
	is(t, "a session", err, nil)
	if want := (Identity{Tenant: "acme", Role: Submitter, Name: "ci", Key: who.Key, Session: resumed.Session, Expires: noon.Add(time.Hour)}); !reflect.DeepEqual(resumed, want) || resumed.Session == "" {
		t.Errorf("%+v, want %+v", resumed, want)
	}
	again := open(t, dir) // the secret outlives the process
	_, err = again.Authenticate(token, noon)
	is(t, "a token after a restart", err, nil)

	last := noon.Add(time.Hour - time.Millisecond)
	_, err = k.Authenticate(token, last)
	is(t, "a token at its last moment", err, nil)
	for what, use := range map[string]func() error{
		"a token":    func() error { _, err := k.Authenticate(token, noon.Add(time.Hour)); return err },
		"a session":  func() error { _, err := k.Resume(session, noon.Add(time.Hour)); return err },
		"a follower": func() error { return k.Check(got, noon.Add(time.Hour)) },
	} {
		is(t, what+" when it is over", use(), ErrExpired)
	}
	_, until, err := k.Token(who, grant, noon.Add(24*time.Hour))
	is(t, "a token for longer than its key", err, nil)
	if !until.Equal(who.Expires) {
		t.Errorf("a token is valid longer than its key: until %v", until)
	}
	_, err = k.Authenticate(session, noon)
	is(t, "a session as a token", err, ErrUnknown)
	_, err = k.Resume(token, noon)
	is(t, "a token as a session", err, ErrUnknown)
	_, err = k.Resume("jhs_"+strings.TrimPrefix(token, "jht_"), noon)
	is(t, "a token made a session", err, ErrUnknown)

	large := grant
	for i := range 4000 {
		large.Tags = append(large.Tags, fmt.Sprint("tag", i))
	}
	_, _, err = k.Token(who, large, noon.Add(time.Hour))
	is(t, "a token for thousands of tags", err, ErrTooLarge)

	if _, err := k.Revoke("ci", noon); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(refreshInterval)
	for what, err := range map[string]error{
		"a token of a revoked key":   second(k.Authenticate(token, now)),
		"a session of a revoked key": second(k.Resume(session, now)),
		"its follower":               k.Check(Identity{Key: who.Key}, now),
	} {
		is(t, what, err, ErrRevoked)
	}
}

func second(_ Identity, err error) error { return err }

func TestForgedTokens(t *testing.T) {
	k, who, token, _ := signed(t, t.TempDir())
	_, _, foreign, _ := signed(t, t.TempDir())
	is(t, "a token of another hub", second(k.Authenticate(foreign, noon)), ErrUnknown)
	is(t, "a token where nothing was signed yet", second(open(t, t.TempDir()).Authenticate(token, noon)), ErrUnknown)
	refuse := func(what, text string) {
		t.Helper()
		got, err := k.Authenticate(text, noon)
		is(t, what, err, ErrUnknown)
		if got.Tenant != "" || got.Grant != nil {
			t.Errorf("%s is somebody: %+v", what, got)
		}
	}
	for i := range len(token) {
		refuse(fmt.Sprint("cut at ", i), token[:i])
		for _, c := range []byte("A.\n_") {
			if token[i] != c {
				refuse(fmt.Sprintf("%q at %d", c, i), token[:i]+string(c)+token[i+1:])
				refuse(fmt.Sprintf("%q before %d", c, i), token[:i]+string(c)+token[i:])
			}
		}
	}
	refuse("lengthened", token+"A")
	refuse("padded", token+"=")
	refuse("twice", token+token)
	refuse("with a space", token+" ")
	refuse("very long", "jht_"+strings.Repeat("A", 1<<20)+".AAAA")
	body, sum, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(body, "jht_"))
	is(t, "the payload", err, nil)
	wider := strings.Replace(string(text), "reports", "default", 1)
	if wider == string(text) {
		t.Fatalf("no queue in %s", text)
	}
	refuse("with another queue", "jht_"+base64.RawURLEncoding.EncodeToString([]byte(wider))+"."+sum)
	refuse("without a signature", body)
	refuse("with an empty signature", body+".")

	// What this hub itself has signed is not believed either where it fits nobody.
	sign := func(p payload) string {
		t.Helper()
		body, err := json.Marshal(p)
		is(t, "the payload", err, nil)
		secret, err := k.signingSecret(false)
		is(t, "the secret", err, nil)
		text := "jht_" + base64.RawURLEncoding.EncodeToString(body)
		return text + "." + base64.RawURLEncoding.EncodeToString(mac(secret, text))
	}
	good := payload{Key: who.Key, Tenant: who.Tenant, Expires: noon.Add(time.Hour).UnixMilli(), Grant: &grant}
	is(t, "a token made here", second(k.Authenticate(sign(good), noon)), nil)
	for what, change := range map[string]func(*payload){
		"for another tenant":   func(p *payload) { p.Tenant = "default" },
		"of an unknown key":    func(p *payload) { p.Key = "key_x" },
		"from when none stood": func(p *payload) { p.Key = "" },
		"without a grant":      func(p *payload) { p.Grant = nil },
	} {
		p := good
		change(&p)
		refuse(what, sign(p))
	}
}

func FuzzAuthenticate(f *testing.F) {
	k, _, token, session := signed(f, f.TempDir())
	for _, seed := range []string{token, session, "", "jh_", "jht_", "jht_.", "jht_AA.AA", token[:len(token)-1], token[:40] + "." + token[41:], "jh_" + strings.Repeat("a", 52)} {
		f.Add(seed, []byte(seed))
	}
	f.Add("jht_", []byte(`{"key":"key_x","tenant":"acme","exp":1,"grant":{"actions":[]}}`))
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		if who, err := k.Authenticate(text, noon); err == nil && text != token || err != nil && (!lapsed(err) || who.Tenant != "") {
			t.Errorf("%q is %+v, %v", text, who, err)
		}
		if who, err := k.Resume(text, noon); err == nil && text != session || err != nil && (!lapsed(err) || who.Tenant != "") {
			t.Errorf("the session %q is %+v, %v", text, who, err)
		}
		// A payload with a valid signature, whatever it says, gives at most what its key allows.
		secret, err := k.signingSecret(false)
		if err != nil {
			t.Fatal(err)
		}
		signed := "jht_" + base64.RawURLEncoding.EncodeToString(body)
		signed += "." + base64.RawURLEncoding.EncodeToString(mac(secret, signed))
		who, err := k.Authenticate(signed, noon)
		if err == nil && (who.Tenant != "acme" || who.Role != "" || who.Grant == nil || who.May(Watch, Target{}) || who.May(Submit, Target{Queue: "q"})) {
			t.Errorf("%q is %+v", body, who)
		}
		if err != nil && !lapsed(err) {
			t.Errorf("%q: %v", body, err)
		}
	})
}

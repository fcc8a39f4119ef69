package auth

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// decode applies JSON to a key.
func decode(t testing.TB, key *Key, text string) error {
	t.Helper()
	var m Members
	if err := jobs.Decode([]byte(text), &m); err != nil {
		return err
	}
	return m.Apply(key, noon)
}

// pointers are the members that an error names.
func pointers(err error) (all []string) {
	p, _ := errors.AsType[*jobs.Problem](err)
	if p == nil || p.Status != 422 {
		return []string{fmt.Sprint(err)}
	}
	for _, e := range p.Errors {
		all = append(all, e.Pointer)
	}
	return all
}

func TestMembers(t *testing.T) {
	var key Key
	if err := decode(t, &key, `{"name":"Möwe 7","tenant":"acme","team":"shop","role":"submitter","scopes":["orders.read","a:b/c"],"plan":"gold","rate":"100/1m","quota":"10000/1d","budget":"50/30d","expires":"2030-01-31T13:00:00+01:00"}`); err != nil {
		t.Fatal(err)
	}
	want := Key{Name: "Möwe 7", Tenant: "acme", Team: "shop", Role: Submitter, Scopes: []string{"orders.read", "a:b/c"}, Plan: "gold", Rate: "100/1m", Quota: "10000/1d", Budget: "50/30d",
		Expires: time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)}
	if key.limits == nil {
		t.Error("the limits are not compiled")
	}
	if key.limits = nil; !reflect.DeepEqual(key, want) {
		t.Errorf("%+v, want %+v", key, want)
	}
	key.ID = "key_1"
	if err := decode(t, &key, `{"name":null,"team":"","scopes":null,"plan":null,"rate":null,"quota":null,"budget":null,"expires":null}`); err != nil {
		t.Fatal(err)
	}
	if want := (Key{ID: "key_1", Name: "key_1", Tenant: "acme", Role: Submitter}); !reflect.DeepEqual(key, want) {
		t.Errorf("%+v, want %+v", key, want)
	}
	if err := decode(t, &key, `{"expires":"90m"}`); err != nil || !key.Expires.Equal(noon.Add(90*time.Minute)) {
		t.Errorf("in 90 minutes: %v %v", key.Expires, err)
	}
	scopes := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"s%d"`, i))
		}
		return `{"scopes":[` + strings.Join(all, ",") + `]}`
	}
	for text, want := range map[string]string{
		`{}`:                                      "",
		scopes(100):                               "",
		scopes(101):                               "/scopes",
		`{"role":null}`:                           "/role",
		`{"role":"Admin"}`:                        "/role",
		`{"role":7}`:                              "/role",
		`{"name":7}`:                              "/name",
		`{"name":"key_x"}`:                        "/name",
		`{"name":"a\u202eb"}`:                     "/name",
		`{"tenant":"A"}`:                          "/tenant",
		`{"team":"a b"}`:                          "/team",
		`{"team":["a"]}`:                          "/team",
		`{"plan":"Gold"}`:                         "/plan",
		`{"scopes":"a"}`:                          "/scopes",
		`{"scopes":[1]}`:                          "/scopes",
		`{"scopes":["a",""]}`:                     "/scopes/1",
		`{"scopes":["a b"]}`:                      "/scopes/0",
		`{"scopes":["a\\b"]}`:                     "/scopes/0",
		`{"scopes":["a","b","a"]}`:                "/scopes/2",
		`{"scopes":["ä"]}`:                        "/scopes/0",
		`{"rate":"often"}`:                        "/rate",
		`{"rate":"0/1m"}`:                         "/rate",
		`{"rate":"-1/1m"}`:                        "/rate",
		`{"quota":"10/1s"}`:                       "/quota",
		`{"quota":"0/1d"}`:                        "/quota",
		`{"budget":"50"}`:                         "/budget",
		`{"budget":50}`:                           "/budget",
		`{"expires":"2026-07-01T12:00:00Z"}`:      "/expires",
		`{"expires":"-1h"}`:                       "/expires",
		`{"expires":"soon"}`:                      "/expires",
		`{"expires":"9999-12-31T23:59:59-23:00"}`: "/expires",
		`{"expires":1893456000}`:                  "/expires",
		`{"key":"jh_x"}`:                          "/key",
		`{"sha256":"00"}`:                         "/sha256",
		`{"id":"key_2"}`:                          "/id",
		`{"rate":"x","team":"X","budget":"y","expires":"z","scopes":["", "a"]}`: "/expires /budget /scopes/0 /team /rate",
	} {
		key := Key{ID: "key_1", Name: "n", Role: Viewer, Tenant: "default"}
		got := ""
		if err := decode(t, &key, text); err != nil {
			got = strings.Join(pointers(err), " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestParseBudget(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]Budget{
		"50/30d": {50e9, 30 * day}, "0.50/1d": {5e8, day}, "0.000000001/1h": {1, time.Hour}, "9223372036.854775807/w": {math.MaxInt64, 7 * day}, "007/1d": {7e9, day},
	} {
		if got, ok := ParseBudget(text); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", text, got, ok, want)
		}
	}
	for _, bad := range []string{"", "50", "/30d", "50/", "0/30d", "0.0/1d", "-1/1d", "+1/1d", "1e3/1d", ".5/1d", "5./1d", "1.0000000001/1d", "9223372036.854775808/1d", "99999999999999999999/1d",
		"50/30", "50/367d", "50/1s", "50 USD/30d", "5 0/1d", "50/30d/1", "1_0/1d", "1.+5/1d", "٣/1d"} {
		if got, ok := ParseBudget(bad); ok {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

// FuzzMembers: what is refused is refused as 400 or 422; what is taken can be stored and read
// again, and its document, given back, changes nothing.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"role":"admin"}`, `{"name":"a","tenant":"b","team":"c","role":"viewer","scopes":["d"],"plan":"e","rate":"1/s","quota":"1/m","budget":"1/m","expires":"1h"}`,
		`{"role":"worker","scopes":null,"name":""}`, `{"role":"viewer","expires":"2030-01-01T00:00:00.999999999+23:59"}`, `{"role":"viewer","name":"\ud800"}`, "{\"role\":\"viewer\",\"name\":\"\xff\"}",
		`{"role":"viewer","budget":"18446744073709551616/1d"}`, `{"role":"viewer","rate":"1000000/24h0m0s"}`, `null`, `[]`, `{"role":"viewer"}{}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key := Key{ID: "key_1"}
		if err := decode(t, &key, text); err != nil {
			p, _ := errors.AsType[*jobs.Problem](err)
			if p == nil || p.Status != 400 && p.Status != 422 || p.Status == 422 && len(p.Errors) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if Roles[key.Role] == nil || key.Name == "" || len(key.Name) > 64 || len(key.Scopes) > MaxScopes || (key.limits == nil) != (key.Rate+key.Quota == "") || !key.Expires.IsZero() && !key.Expires.After(noon) {
			t.Fatalf("%q was taken as %+v", text, key)
		}
		key.Tenant, key.Created = "default", noon
		doc, err := json.Marshal(key.Document(noon))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var m Members
		if err := json.Unmarshal(doc, &m); err != nil { // of the members that are known
			t.Fatalf("%q: %s: %v", text, doc, err)
		}
		again := key
		if err := m.Apply(&again, noon); err != nil || len(describe(&key, &again)) > 0 {
			t.Fatalf("%q: %s gives %+v, %v", text, doc, again, err)
		}
		stored, err := json.Marshal(document{[]Key{key}})
		var back document
		if err != nil || json.Unmarshal(stored, &back, json.RejectUnknownMembers(true)) != nil || len(describe(&key, &back.Keys[0])) > 0 {
			t.Fatalf("%q: %s gives %+v, %v", text, stored, back, err)
		}
	})
}

package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/catalog"
)

// TestUnknownOutcome: after a change whose outcome is not known, the next one goes by what is
// stored.
func TestUnknownOutcome(t *testing.T) {
	for _, applied := range []bool{false, true} {
		m := newMemory()
		c := open(t, m)
		m.fail, m.lose = errors.New("power loss"), applied
		if _, _, err := c.PutAPI(t.Context(), admin, "a", catalog.APIMembers{}); err == nil {
			t.Fatal("no error")
		}
		_, made, err := c.PutAPI(t.Context(), admin, "a", catalog.APIMembers{Title: "Second"})
		if err != nil || made == applied {
			t.Errorf("applied %v: made %v, %v", applied, made, err)
		}
		if a, err := c.API(admin, "a"); err != nil || a.Title != "Second" {
			t.Errorf("%v %v", a, err)
		}
	}
}

// TestTwoWriters: a change of another process is not overwritten; the change is made again on it.
func TestTwoWriters(t *testing.T) {
	m := newMemory()
	one, two := open(t, m), open(t, m)
	if _, _, err := one.PutAPI(t.Context(), admin, "a", catalog.APIMembers{}); err != nil {
		t.Fatal(err)
	}
	if _, made, err := two.PutAPI(t.Context(), admin, "a", catalog.APIMembers{}); err != nil || made {
		t.Errorf("made %v, %v", made, err)
	}
	if _, _, err := two.PutVersion(t.Context(), admin, "a", "v1", catalog.VersionMembers{OpenAPI: jobs.Value(document)}); err != nil {
		t.Fatal(err)
	}
	if err := one.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Version(admin, "a", "v1"); err != nil {
		t.Error(err)
	}
}

// TestDamagedDocuments: what can't be read does not keep the rest from being read.
func TestDamagedDocuments(t *testing.T) {
	m := newMemory()
	c := open(t, m)
	c.PutAPI(t.Context(), admin, "a", catalog.APIMembers{})
	for _, kind := range []string{"api", "api_version", "access"} {
		for _, name := range []string{"x", "a/x", "", "/"} {
			m.Put(context.Background(), &jobs.DocumentChange{Document: jobs.Document{Tenant: "default", Kind: kind, Name: name, Data: jobs.Value(`{"state":7`)}})
		}
	}
	again := open(t, m)
	if _, err := again.API(admin, "a"); err != nil {
		t.Error(err)
	}
	again.Gate("default", "a/x", admin)
	again.Gate("default", "a", admin)
	again.Gate("", "", &auth.Anonymous)
}

// TestOrderOfVersions: versions are in the order that people expect.
func TestOrderOfVersions(t *testing.T) {
	c := open(t, newMemory())
	c.PutAPI(t.Context(), admin, "a", catalog.APIMembers{})
	want := []string{"v1", "v1.2", "v1.10", "v2", "v10", "x"}
	for _, i := range []int{3, 5, 0, 4, 2, 1} {
		if _, _, err := c.PutVersion(t.Context(), admin, "a", want[i], catalog.VersionMembers{OpenAPI: jobs.Value(document)}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := c.API(admin, "a")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range a.Versions {
		got = append(got, v.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s", got)
	}
}

// FuzzVersion: any routes and any document give a version or a problem.
func FuzzVersion(f *testing.F) {
	f.Add(`[]`, document)
	f.Add(`[{"path":"/x/","upstream":"http://a.example","scopes":{"*":["s"]},"headers":{"A.b":"c"}}]`, document)
	f.Add(`[{"path":"/{a}/{a}","upstream":"http://a.example"}, 7]`, `"openapi: 3.1.0"`)
	f.Add(`[{"path":"/x/","path":"/y/"}]`, `{`)
	f.Add("[{\"\ue000\":1,\"a.b[0]\":\"\\ud83d\\ude00\"}]", `null`)
	f.Add(`{"routes":[]}`, `""`)
	c, err := catalog.Open(f.Context(), catalog.Options{Documents: newMemory()})
	if err != nil {
		f.Fatal(err)
	}
	c.PutAPI(f.Context(), admin, "a", catalog.APIMembers{})
	f.Fuzz(func(t *testing.T, routes, document string) {
		_, _, err := c.PutVersion(t.Context(), admin, "a", "v1", catalog.VersionMembers{OpenAPI: jobs.Value(document), Routes: jobs.Value(routes)})
		if p, ok := errors.AsType[*jobs.Problem](err); err != nil && (!ok || p.Title == "") {
			t.Errorf("%v", err)
		}
		if err == nil {
			c.DeleteVersion(t.Context(), admin, "a", "v1")
		}
	})
}

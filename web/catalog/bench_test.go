package catalog_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/catalog"
)

// memory keeps documents for a test.
type memory struct {
	mu   sync.Mutex
	all  map[[3]string]jobs.Value
	fail error // of the next Put
	lose bool  // that Put is applied nevertheless
}

func newMemory() *memory { return &memory{all: map[[3]string]jobs.Value{}} }

func (m *memory) List(_ context.Context, _, kind string) (list []jobs.Document, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, data := range m.all {
		if key[1] == kind {
			list = append(list, jobs.Document{Tenant: key[0], Kind: kind, Name: key[2], Data: data})
		}
	}
	return list, nil
}

func (m *memory) Put(_ context.Context, changes ...*jobs.DocumentChange) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range changes {
		if err := m.put(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) put(d *jobs.DocumentChange) error {
	err := m.fail
	m.fail = nil
	if err != nil && !m.lose {
		return err
	}
	key := [3]string{d.Tenant, d.Kind, d.Name}
	if was, there := m.all[key]; string(was) != string(d.Was) || there != (d.Was != nil) {
		return jobs.ErrConflict
	}
	if d.Data == nil {
		delete(m.all, key)
	} else {
		m.all[key] = d.Data
	}
	return err
}

const document = `{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{}}`

var admin = &auth.Identity{Tenant: "default", Role: auth.Admin, Name: "admin", Key: "key_admin"}

func open(t testing.TB, m *memory) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Options{Documents: m, Origin: "https://hub.example"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// BenchmarkGate asks about a version among 300 APIs of three versions, as a caller with access.
func BenchmarkGate(b *testing.B) {
	c := open(b, newMemory())
	caller := &auth.Identity{Tenant: "default", Role: auth.Submitter, Name: "caller", Key: "key_caller"}
	for i := range 300 {
		name := fmt.Sprintf("api%d", i)
		if _, _, err := c.PutAPI(b.Context(), admin, name, catalog.APIMembers{Approval: "auto"}); err != nil {
			b.Fatal(err)
		}
		for _, version := range []string{"v1", "v2", "v3"} {
			if _, _, err := c.PutVersion(b.Context(), admin, name, version, catalog.VersionMembers{OpenAPI: jobs.Value(document)}); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := c.Move(b.Context(), admin, name, "v3", catalog.Published, catalog.MoveMembers{}); err != nil {
			b.Fatal(err)
		}
		if i%2 == 0 && i < 200 {
			if _, _, err := c.Ask(b.Context(), caller, name, "v3", ""); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if v := c.Gate("default", "api100/v3", caller); !v.Passes() || v.Access == nil {
			b.Fatal(v)
		}
	}
}

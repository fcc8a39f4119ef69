package catalog

import (
	"context"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// Kinds of documents. The name of a version is that of its API and its own, with a slash between.
const (
	kindAPI     = "api"
	kindVersion = "api_version"
	kindAccess  = "access"
)

// Documents is where a catalogue is kept.
type Documents interface {
	// List returns the documents of one kind; of all tenants if the tenant is empty.
	List(ctx context.Context, tenant, kind string) ([]jobs.Document, error)

	// Put applies changes durably, each by itself. Its error is jobs.ErrConflict if a stored
	// document is not what its change expects.
	Put(ctx context.Context, changes ...*jobs.DocumentChange) error
}

// change is the change of one document, with what it becomes in a snapshot; nil for a document
// that is deleted.
type change struct {
	jobs.DocumentChange
	api     *API
	version *Version
	access  *Access
}

func (a *API) change(next *API) (change, error) {
	c := change{DocumentChange: jobs.DocumentChange{Document: jobs.Document{Tenant: next.Tenant, Kind: kindAPI, Name: next.Name}}, api: next}
	if a != nil {
		c.Was = a.stored
	}
	return c, c.fill(next, &next.stored)
}

func (v *Version) change(next *Version) (change, error) {
	c := change{DocumentChange: jobs.DocumentChange{Document: jobs.Document{Tenant: next.API.Tenant, Kind: kindVersion, Name: next.FullName()}}, version: next}
	if v != nil {
		c.Was = v.stored
	}
	return c, c.fill(next, &next.stored)
}

func (a *Access) change(next *Access) (change, error) {
	c := change{DocumentChange: jobs.DocumentChange{Document: jobs.Document{Tenant: next.Tenant, Kind: kindAccess, Name: next.ID}}, access: next}
	if a != nil {
		c.Was = a.stored
	}
	return c, c.fill(next, &next.stored)
}

func (c *change) fill(doc any, stored *jobs.Value) (err error) {
	c.Data, err = json.Marshal(doc, json.Deterministic(true))
	*stored = c.Data
	return err
}

// deletion is the change that deletes a document.
func deletion(tenant, kind, name string, was jobs.Value) change {
	return change{DocumentChange: jobs.DocumentChange{Document: jobs.Document{Tenant: tenant, Kind: kind, Name: name}, Was: was}}
}

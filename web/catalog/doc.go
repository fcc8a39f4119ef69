// Package catalog is the catalogue of APIs: what they are, who may call them, and how their
// versions come and go.
//
// What it promises:
//
//   - A version goes from draft to published, deprecated and retired, and never back (state.go).
//     A published version may be retired at once. Only a draft can be deleted alone. A sunset is
//     what callers are told; nothing happens by itself when it has passed.
//   - A change that breaks callers of a published or deprecated version is refused with a list of
//     what breaks. So is publishing a version that breaks an earlier one of the same major
//     number, like v1.3 after v1.2; v2 may break v1, and 0.5 may break 0.4.
//   - A document of the store is changed by compare-and-set. Of two changes at the same time one
//     is first, and the other one is made again on what the first has left.
//   - Verdicts about requests (Gate) come from a snapshot in memory: no lock, no read of the store.
//   - To callers of another tenant, what they may not see is as if it were not there. Visibility
//     all shows an API to them once it has a version that is not a draft. Where two APIs have the
//     same name, callers see that of their own tenant.
//   - Routes that are made here reach only what the egress guard allows, read no file and no
//     variable of the hub's machine, and never take requests from a route of the configuration
//     file or of another tenant.
//
// Access belongs to the key, or subject of a token, that has asked for it. It gives the scopes
// that the routes of the version need, and the limits of its plan. The team that owns an API, and
// admins of its tenant, need no access and no scopes.
//
// Call tree:
//
//	Open                             catalog.go    reads the documents
//	  load, snapshot                 snapshot.go
//	Catalog.PutAPI, DeleteAPI        apis.go       each is an edit: prepared on a snapshot, then stored
//	Catalog.PutVersion, Move, …      versions.go
//	  breaking                       breaking.go   openapi.Diff
//	  checkRoutes                    version_routes.go
//	Catalog.Ask, Decide              access.go
//	Catalog.Gate                     gate.go       the verdict about a request
//	Server.Routes                    routes.go     http_apis.go, http_versions.go, http_access.go
package catalog

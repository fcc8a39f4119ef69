// Package pages is the dashboard.
//
// # Promises
//
//   - Every page is complete without scripts; with them, its parts follow the log.
//   - A live part is drawn once for all viewers of a tenant, from the same component as the
//     page.
//   - Nothing is loaded from other sites, and no inline script is run.
//
// routes.go has all pages in one table, views.go all live views. Pages of one subject are
// methods of a type of their own (server.go), which embeds Server. A page is made by
//
//	mayPage → the page's method → its model, from the store, the hub and the engine → page
//
// and its live view by
//
//	hub → Render → draw… → the same model → rendered
package pages

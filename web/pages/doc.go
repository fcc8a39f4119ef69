// Package pages is the dashboard.
//
// # Promises
//
//   - Every page is whole without script; with it, its parts follow the log.
//   - A live part is drawn once for all of a tenant who look at it, from the same component
//     as the page.
//   - Nothing is loaded from elsewhere, and nothing inline is run.
//
// routes.go has all pages in one table, views.go all live views. Pages of one subject are
// methods of a type of their own (server.go), which shares what Server has. A page goes
//
//	mayPage → the page's method → its model, from the store, the hub and the engine → page
//
// and its live view
//
//	hub → Render → draw… → the same model → rendered
package pages

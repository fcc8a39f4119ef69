// Package rest is what the packages of the web server share: authentication and
// authorization, reading bodies and queries, writing answers and errors, and the limits of
// all these.
//
// # Promises
//
//   - There is one map from errors to statuses (answer.go), and every error is an
//     application/problem+json document (RFC 9457).
//   - A request with an invalid key or token is refused (identity.go, access.go).
//   - Bodies, answers and names have limits, all in one table (limits.go).
//   - A request that changes something is carried out even if its client disconnects
//     (disconnect.go).
//
// It imports none of the packages that it serves.
package rest

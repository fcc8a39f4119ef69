// Package rest is what the rooms of the web server share: who calls and what they may do,
// how a body and a query are read, how an answer or an error is written, and the bounds of
// all that.
//
// # Promises
//
//   - There is one map from errors to statuses (answer.go), and every error is an
//     application/problem+json document (RFC 9457).
//   - Nobody is let in whose key or token is not good, and nothing of it is said to others
//     (identity.go, may.go).
//   - Bodies, answers and names have bounds, all of them in one table (limits.go).
//   - What a call changes is carried out also when its client leaves (leaving.go).
//
// It imports no other room.
package rest

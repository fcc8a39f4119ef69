//go:build !sabotage_nofence

package sqlite

// fenced: a change applies only to a job in the state and with the lease that it names.
// A build with the tag sabotage_nofence applies all, so that the tests can be seen to fail.
const fenced = true

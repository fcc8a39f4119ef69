//go:build !sabotage_resume

package hub

// resumeLate is how many events a replay leaves out at its beginning. A build with the
// tag sabotage_resume leaves out one, so that the tests can be seen to fail.
const resumeLate = 0

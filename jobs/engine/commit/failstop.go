//go:build !sabotage_refsync

package commit

// failStop: after a commit of unknown outcome nothing more is stored. A build with the
// tag sabotage_refsync goes on, so that the tests can be seen to fail.
const failStop = true

//go:build !sabotage_nosync

package sqlite

// synchronous makes SQLite flush its log on every commit. A build with the tag
// sabotage_nosync does not, so that the tests of durability can be seen to fail.
const synchronous = "FULL"

//go:build sabotage_refsync

package commit

const failStop = false

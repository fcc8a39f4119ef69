//go:build sabotage_refsync

package jobs

const failStop = false

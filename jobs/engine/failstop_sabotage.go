//go:build sabotage_refsync

package engine

const failStop = false

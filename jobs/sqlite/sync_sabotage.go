//go:build sabotage_nosync

package sqlite

const synchronous = "OFF"

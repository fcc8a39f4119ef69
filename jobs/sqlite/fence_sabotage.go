//go:build sabotage_nofence

package sqlite

const fenced = false

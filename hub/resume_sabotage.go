//go:build sabotage_resume

package hub

const resumeLate = 1

//go:build !linux

package main

import "syscall"

// ownGroup gives a command its own process group, so that signals reach all processes that it
// starts.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

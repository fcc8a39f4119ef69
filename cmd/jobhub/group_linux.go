package main

import "syscall"

// ownGroup gives a command its own process group, so that signals reach all processes that it
// starts. The command is killed when the worker dies.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

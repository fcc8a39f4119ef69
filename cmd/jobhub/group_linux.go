package main

import "syscall"

// ownGroup gives a command a process group of its own, so that signals reach all that
// it starts. It dies with the worker.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

//go:build !unix

package web

func (w *wire) attempt(uintptr) bool { return true } // then a goroutine writes all of it

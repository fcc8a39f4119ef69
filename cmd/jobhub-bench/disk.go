package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a file of 4 KiB blocks, each flushed with fdatasync when it is written.
type disk struct {
	file  *os.File
	block []byte
	again int64 // blocks that are written over and over; 0 for a file that grows
	n     int64 // blocks written
}

// newDisk returns the reference for durable writes: a file that grows.
func newDisk(folder string) (*disk, error) { return openDisk(folder, "reference", 0) }

// newRing returns a file that has its full size already and is overwritten again and again. To
// flush it the file system does not have to store a new size. SQLite's log is such a file once
// it has been full.
func newRing(folder string) (*disk, error) { return openDisk(folder, "ring", 1000) }

func openDisk(folder, name string, again int64) (*disk, error) {
	f, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	d := &disk{file: f, block: make([]byte, 4<<10), again: again}
	for i := range d.block {
		d.block[i] = byte(i)
	}
	for i := range again {
		if _, err := f.WriteAt(d.block, i*int64(len(d.block))); err != nil {
			return nil, err
		}
	}
	return d, f.Sync()
}

// write writes and flushes one block.
func (d *disk) write() error {
	at := d.n
	if d.again > 0 {
		at %= d.again
	}
	d.n++
	if _, err := d.file.WriteAt(d.block, at*int64(len(d.block))); err != nil {
		return err
	}
	return syscall.Fdatasync(int(d.file.Fd()))
}

// check returns an error unless the file has the expected size.
func (d *disk) check() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	blocks := d.n
	if d.again > 0 {
		blocks = d.again
	}
	if size := blocks * int64(len(d.block)); info.Size() != size {
		return fmt.Errorf("the reference file has %d bytes and should have %d", info.Size(), size)
	}
	return nil
}

func (d *disk) close() { d.file.Close() }

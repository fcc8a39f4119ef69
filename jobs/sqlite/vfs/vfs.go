// Package vfs makes SQLite check the checksum of every page that it reads, and add one to every
// page that it writes. vfs.go is the only file with unsafe code: SQLite calls a VFS (its layer
// for files) by the rules of C, although it was translated to Go.
//
// The VFS is the default one with other functions for reading and writing. Of the
// database it checks the checksum at the end of each page, of the WAL the checksum that
// SQLite gives each frame, but checks only when it recovers. What is damaged fails the
// statement, before SQLite has used a byte of it.
package vfs

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

const vfsName = "jobhub"

// damagedPage is the error for a page that is damaged. After SQLITE_CORRUPT and
// SQLITE_IOERR a transaction could do no more; after this only the statement has failed.
const damagedPage = sqlite3.SQLITE_NOTADB

// file is the table of functions that SQLite calls for one file of ours. It begins with
// SQLite's own struct; behind it is what the functions need. It is in SQLite's memory, and
// so must not hold pointers to Go's.
type file struct {
	sqlite3.Tsqlite3_io_methods
	read, write, traits uintptr       // of the default VFS
	end                 atomic.Int64  // of a WAL: behind the newest frame that was written
	salt                atomic.Uint64 // of a WAL: names its generation
	damage              atomic.Int64  // number of the page or frame that was found damaged last
}

var layer struct {
	inner    string  // name of the default VFS
	table    uintptr // ours
	open     uintptr // of the default VFS
	register sync.Once

	mu    sync.Mutex       // protects the fields below
	files map[string]*file // by path
}

type (
	openFunc func(tls *libc.TLS, vfs, path, f uintptr, flags int32, outFlags uintptr) int32
	ioFunc   func(tls *libc.TLS, f, buffer uintptr, n int32, offset int64) int32
	infoFunc func(tls *libc.TLS, f uintptr) int32
)

// Register makes the VFS known to SQLite.
func Register() {
	layer.register.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		standard := (*sqlite3.Tsqlite3_vfs)(pointer(sqlite3.Xsqlite3_vfs_find(tls, 0)))
		name, err := libc.CString(vfsName)
		if err != nil {
			panic(err) // there is no memory
		}
		layer.inner, layer.open, layer.files = libc.GoString(standard.FzName), standard.FxOpen, map[string]*file{}
		layer.table = allocate(tls, unsafe.Sizeof(*standard))
		ours := (*sqlite3.Tsqlite3_vfs)(pointer(layer.table))
		*ours = *standard
		ours.FpNext, ours.FzName, ours.FxOpen = 0, name, address(openFunc(openFile))
		sqlite3.Xsqlite3_vfs_register(tls, layer.table, 0)
	})
}

// URI names a database for SQLite, and that its pages are checked.
func URI(path string) string { return uriWith(path, vfsName) }

// PlainURI names a database without checksums.
func PlainURI(path string) string { return uriWith(path, layer.inner) }

func uriWith(path, vfs string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute(path)), RawQuery: "vfs=" + vfs}
	return u.String()
}

// WALEnd is the generation of a database's WAL and where its newest frame ends, as
// written by this process.
func WALEnd(database string) (salt uint64, end int64) {
	layer.mu.Lock()
	defer layer.mu.Unlock()
	if f := layer.files[absolute(database)+"-wal"]; f != nil {
		return f.salt.Load(), f.end.Load()
	}
	return 0, 0
}

// LastDamage says what was found damaged last in a database or its WAL.
func LastDamage(database string) string {
	layer.mu.Lock()
	defer layer.mu.Unlock()
	for suffix, format := range map[string]string{"": "page %d of the database", "-wal": "frame %d of the WAL"} {
		if f := layer.files[absolute(database)+suffix]; f != nil && f.damage.Load() > 0 {
			return fmt.Sprintf(format, f.damage.Load())
		}
	}
	return "its structure"
}

// Forget frees what is known of a database that is closed.
func Forget(database string) {
	layer.mu.Lock()
	defer layer.mu.Unlock()
	tls := libc.NewTLS()
	defer tls.Close()
	for _, path := range []string{absolute(database), absolute(database) + "-wal"} {
		if f := layer.files[path]; f != nil {
			delete(layer.files, path)
			libc.Xfree(tls, uintptr(unsafe.Pointer(f)))
		}
	}
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func openFile(tls *libc.TLS, _, path, f uintptr, flags int32, outFlags uintptr) int32 {
	open := *(*openFunc)(unsafe.Pointer(&struct{ uintptr }{layer.open}))
	rc := open(tls, layer.table, path, f, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || flags&(sqlite3.SQLITE_OPEN_MAIN_DB|sqlite3.SQLITE_OPEN_WAL) == 0 {
		return rc
	}
	handle := (*sqlite3.Tsqlite3_file)(pointer(f))
	standard := (*sqlite3.Tsqlite3_io_methods)(pointer(handle.FpMethods))
	name := libc.GoString(path)
	layer.mu.Lock()
	defer layer.mu.Unlock()
	ours := layer.files[name]
	if ours == nil {
		ours = (*file)(pointer(allocate(tls, unsafe.Sizeof(file{}))))
		ours.Tsqlite3_io_methods = *standard
		ours.read, ours.write, ours.traits = standard.FxRead, standard.FxWrite, standard.FxDeviceCharacteristics
		ours.FiVersion = min(ours.FiVersion, 2) // without memory maps, which nobody could check
		ours.FxDeviceCharacteristics = address(infoFunc(wholePages))
		ours.FxRead, ours.FxWrite = address(ioFunc(readPage)), address(ioFunc(writePage))
		if flags&sqlite3.SQLITE_OPEN_WAL != 0 {
			ours.FxRead, ours.FxWrite = address(ioFunc(readFrame)), address(ioFunc(writeFrame))
		}
		layer.files[name] = ours
	}
	handle.FpMethods = uintptr(unsafe.Pointer(ours))
	return rc
}

// of returns the table of an open file.
func of(f uintptr) *file {
	return (*file)(pointer((*sqlite3.Tsqlite3_file)(pointer(f)).FpMethods))
}

func (f *file) standardRead() ioFunc {
	return *(*ioFunc)(unsafe.Pointer(&struct{ uintptr }{f.read}))
}
func (f *file) standardWrite() ioFunc {
	return *(*ioFunc)(unsafe.Pointer(&struct{ uintptr }{f.write}))
}

// wholePages are the traits of a file, without the one that SQLite may read parts of pages.
func wholePages(tls *libc.TLS, f uintptr) int32 {
	standard := *(*infoFunc)(unsafe.Pointer(&struct{ uintptr }{of(f).traits}))
	return standard(tls, f) &^ sqlite3.SQLITE_IOCAP_SUBPAGE_READ
}

// headerSize is what SQLite reads of the first page to learn of the others.
const headerSize = 100

// readPage reads from the database: pages, or parts of its header.
func readPage(tls *libc.TLS, f, buffer uintptr, n int32, offset int64) int32 {
	rc := of(f).standardRead()(tls, f, buffer, n, offset)
	switch {
	case rc != sqlite3.SQLITE_OK || offset+int64(n) <= headerSize:
		return rc
	case n != PageSize || offset%PageSize != 0 || !pageIntact(memory(buffer, n)):
		of(f).damage.Store(offset/PageSize + 1)
		return damagedPage
	}
	return rc
}

// writePage writes to the database. The bytes of the checksum are no part of what SQLite
// keeps in a page, so they are set in place.
func writePage(tls *libc.TLS, f, buffer uintptr, n int32, offset int64) int32 {
	if n == PageSize {
		SignPage(memory(buffer, n))
	}
	return of(f).standardWrite()(tls, f, buffer, n, offset)
}

// A WAL is a header and frames, which are a header and a page each.
const (
	WALHeader   = 32
	FrameHeader = 24
	FrameSize   = FrameHeader + PageSize
)

// readFrame reads from the WAL. SQLite reads pages from it in no other way than whole.
func readFrame(tls *libc.TLS, f, buffer uintptr, n int32, offset int64) int32 {
	read := of(f).standardRead()
	rc := read(tls, f, buffer, n, offset)
	if rc == sqlite3.SQLITE_OK && n == WALHeader && offset == 0 {
		of(f).salt.Store(binary.BigEndian.Uint64(memory(buffer, n)[16:]))
	}
	if rc != sqlite3.SQLITE_OK || n != PageSize {
		return rc
	}
	start := offset - FrameHeader
	scratch := tls.Alloc(FrameHeader + 8)
	defer tls.Free(FrameHeader + 8)
	before := start - 8 // the end of the header of the WAL
	if start > WALHeader {
		before = start - FrameSize + 16
	}
	if rc := read(tls, f, scratch, FrameHeader, start); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if rc := read(tls, f, scratch+FrameHeader, 8, before); rc != sqlite3.SQLITE_OK {
		return rc
	}
	header := memory(scratch, FrameHeader+8)
	if (start-WALHeader)%FrameSize != 0 || !frameIntact(header[FrameHeader:], header[:FrameHeader], memory(buffer, n)) {
		of(f).damage.Store((start-WALHeader)/FrameSize + 1)
		return damagedPage
	}
	return rc
}

// writeFrame writes to the WAL and notes how far it goes.
func writeFrame(tls *libc.TLS, f, buffer uintptr, n int32, offset int64) int32 {
	rc := of(f).standardWrite()(tls, f, buffer, n, offset)
	if rc == sqlite3.SQLITE_OK {
		switch {
		case n == PageSize:
			of(f).end.Store(offset + PageSize)
		case n == WALHeader && offset == 0:
			of(f).salt.Store(binary.BigEndian.Uint64(memory(buffer, n)[16:]))
			of(f).end.Store(WALHeader)
		}
	}
	return rc
}

// pointer and memory give access to memory that SQLite allocated; it is none of Go's.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

func memory(p uintptr, n int32) []byte { return unsafe.Slice((*byte)(pointer(p)), n) }

// allocate returns SQLite's memory, all zero.
func allocate(tls *libc.TLS, size uintptr) uintptr {
	p := libc.Xcalloc(tls, 1, libc.Tsize_t(size))
	if p == 0 {
		panic("there is no memory")
	}
	return p
}

// address is what SQLite calls a function by, which must not be a closure.
func address[F openFunc | ioFunc | infoFunc](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

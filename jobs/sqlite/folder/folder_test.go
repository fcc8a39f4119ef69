package folder

import (
	"errors"
	"log/slog"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("a locked folder is opened again: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	again, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	again.Close()
}

// TestRecord: the record has always the same size, as it is overwritten in place, and any
// flipped bit is found.
func TestRecord(t *testing.T) {
	r := record{Epoch: "k3f", Mark: "m", Self: "1:2", Database: "3:4", Boot: "b", Head: 7, Salt: 1<<64 - 1, End: 9, At: 10, Closed: true}
	text, err := r.encode()
	if err != nil || len(text) != recordSize {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	if back, err := decodeRecord(text); err != nil || back != r {
		t.Errorf("%+v, %v", back, err)
	}
	for i := range text {
		text[i] ^= 1
		if _, err := decodeRecord(text); err == nil {
			t.Fatalf("bit 0 of byte %d flipped, and the record is taken", i)
		}
		text[i] ^= 1
	}
}

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// member returns the text after a name in an event, up to one of the bytes in end.
// The members of an event come in a fixed order, with those of its job's data last: the
// first occurrence is the event's own.
func memberOf(event []byte, name, end string) []byte {
	_, rest, _ := bytes.Cut(event, []byte(name))
	n := bytes.IndexAny(rest, end)
	return rest[:max(n, 0)]
}

func seqOf(event []byte) (uint64, error) {
	seq, err := strconv.ParseUint(string(memberOf(event, `"seq":`, ",}")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("an event without seq: %s", event)
	}
	return seq, nil
}

// ageOf is the time from the commit of an event to at. The hub takes the time of a commit just
// before it writes, and cuts it to milliseconds. So the age includes the flush, and is up to
// 1 ms too long.
func ageOf(event []byte, at time.Time) (time.Duration, error) {
	committed, err := time.Parse(time.RFC3339, string(memberOf(event, `"at":"`, `"`)))
	if err != nil {
		return 0, fmt.Errorf("an event without its time: %s", event)
	}
	return at.Sub(committed), nil
}

// inRow checks that the events it gets are consecutive in the log.
func inRow() watcher {
	last := uint64(0)
	return func(event []byte, _ time.Time) error {
		seq, err := seqOf(event)
		if err == nil && last > 0 && seq != last+1 {
			err = fmt.Errorf("after event %d came %s", last, event)
		}
		last = seq
		return err
	}
}

package jwt

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// source has the keys of a provider and fetches them again in time. One goroutine, run, does
// all fetching; it begins with the first need for keys and ends with close.
type source struct {
	address string
	client  *http.Client
	logger  *slog.Logger

	context context.Context // ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // capacity 1; a fetch is wanted now

	latest atomic.Pointer[fetched] // nil before the first success

	mu       sync.Mutex // protects the fields below
	started  bool
	closed   bool
	finished chan struct{} // closed when the fetch that is under way has ended; nil if there is none
	last     time.Time     // when the last fetch ended; zero for never
	err      error         // of the last fetch
}

// fetched is a set of keys and the time until which it counts.
type fetched struct {
	keys  *keySet
	until time.Time
}

func newSource(o Options) *source {
	s := &source{address: o.JWKS, client: sameOrigin(o.Client), logger: o.Logger.With("issuer", o.Name), wake: make(chan struct{}, 1)}
	s.context, s.cancel = context.WithCancel(context.Background())
	return s
}

// loaded returns the keys that count now without waiting; nil if there are none.
func (s *source) loaded() *keySet {
	if f := s.latest.Load(); f != nil && time.Now().Before(f.until) {
		return f.keys
	}
	return nil
}

// current returns the keys that count now. If there are none, it waits for a fetch; if there are
// none still, the error is a *jobs.Problem with status 503.
func (s *source) current(ctx context.Context) (*keySet, error) {
	if keys := s.loaded(); keys != nil {
		return keys, nil
	}
	why := s.refetch(ctx)
	if keys := s.loaded(); keys != nil {
		return keys, nil
	}
	return nil, errUnavailable(why)
}

// refetch waits for a fetch: the one that is under way, or a new one unless the last has ended
// less than MinPause ago. It returns the error of the last fetch, or why it was not waited for.
func (s *source) refetch(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return context.Canceled
	case s.finished == nil && !s.last.IsZero() && time.Since(s.last) < MinPause:
		defer s.mu.Unlock()
		return s.err
	case s.finished == nil:
		s.beginLocked()
		if s.started {
			s.wake <- struct{}{} // empty: beginLocked has seen to it
		} else {
			s.started = true
			s.running.Go(s.run)
		}
	}
	finished := s.finished
	s.mu.Unlock()
	select {
	case <-finished:
	case <-s.context.Done():
		return context.Cause(s.context)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// beginLocked makes a fetch the one that is under way, unless one is, and takes back the wish for it.
func (s *source) beginLocked() {
	select {
	case <-s.wake:
	default:
	}
	if s.finished == nil {
		s.finished = make(chan struct{})
	}
}

// run fetches the keys, at once and then when their time is over or somebody wants it, until
// the source is closed.
func (s *source) run() {
	for failures := 0; ; {
		document, lifetime, err := s.fetch(s.context)
		if s.context.Err() != nil {
			return
		}
		pause := lifetime
		if err = s.publish(document, lifetime, err); err != nil {
			pause = min(MinPause<<min(failures, 10), MaxPause)
			failures++
			s.logger.Warn("keys of the issuer could not be fetched", "url", s.address, "error", err, "next_try_in", pause)
		} else {
			failures = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.context.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
		if s.context.Err() != nil {
			return
		}
		s.mu.Lock()
		s.beginLocked()
		s.mu.Unlock()
	}
}

// publish ends a fetch: it stores the keys, unless err, and wakes who waits for them. Keys that
// have not changed stay the same keySet. It returns err, or what is wrong with the document.
func (s *source) publish(document []byte, lifetime time.Duration, err error) error {
	now := time.Now()
	if err == nil {
		until := now.Add(lifetime + Grace)
		if old := s.latest.Load(); old != nil && old.keys.document == string(document) {
			s.latest.Store(&fetched{old.keys, until})
		} else {
			var keys *keySet
			if keys, err = decodeKeySet(document); err == nil {
				s.latest.Store(&fetched{keys, until})
				s.logger.Info("keys of the issuer changed", "url", s.address, "keys", len(keys.keys), "unusable", keys.unusable)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.err = now, err
	close(s.finished)
	s.finished = nil
	return err
}

// close ends a fetch that is under way and returns when the goroutine has ended.
func (s *source) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

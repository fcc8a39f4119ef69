package auth

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher is a long connection of a caller: a live connection or a long poll.
type watcher struct {
	who   Identity
	onEnd func(error)
}

// Watch calls ended once when an identity becomes invalid, with the error of Check: its key was
// revoked, its session was ended, or the first key was made. It does not report expiry; the
// caller has the time for that. ended must not block or use these Keys, and is not called
// after stop.
func (k *Keys) Watch(who Identity, ended func(error)) (stop func()) {
	w := &watcher{who, ended}
	k.watchMu.Lock()
	defer k.watchMu.Unlock()
	k.watchers[w] = struct{}{}
	k.notifyLocked(w, time.Now()) // it may have ended before
	return func() {
		k.watchMu.Lock()
		defer k.watchMu.Unlock()
		delete(k.watchers, w)
	}
}

// WhileValid returns a context that ends when an identity becomes invalid or expires; the cause
// says why.
func (k *Keys) WhileValid(ctx context.Context, who Identity) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := func() {}
	if !who.Expires.IsZero() {
		ctx, done = context.WithDeadlineCause(ctx, who.Expires, ErrExpired)
	}
	stop := k.Watch(who, cancel)
	return ctx, func() {
		stop()
		done()
		cancel(nil)
	}
}

// notify notifies the watchers whose identity has become invalid.
func (k *Keys) notify(now time.Time) {
	k.watchMu.Lock()
	defer k.watchMu.Unlock()
	for w := range k.watchers {
		k.notifyLocked(w, now)
	}
}

func (k *Keys) notifyLocked(w *watcher, now time.Time) {
	if err := k.check(w.who, now); err != nil && err != ErrExpired {
		delete(k.watchers, w)
		w.onEnd(err)
	}
}

// Follow reads what other processes change, until ctx ends: at once where the system reports
// changes of files, and each second.
func (k *Keys) Follow(ctx context.Context) {
	var changes <-chan fsnotify.Event
	var errs <-chan error
	if files, err := fsnotify.NewWatcher(); err == nil { // without it, once a second has to do
		defer files.Close()
		if k.withLock(func() error { return nil }) == nil && files.Add(k.path(lockFile)) == nil {
			changes, errs = files.Events, files.Errors
		}
	}
	each := time.NewTicker(refreshInterval)
	defer each.Stop()
	for {
		k.refresh(time.Now(), true)
		select {
		case <-changes:
		case <-errs:
		case <-each.C:
		case <-ctx.Done():
			return
		}
	}
}

package auth

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher is a caller who stays: a live connection, a request that is held.
type watcher struct {
	who   Identity
	onEnd func(error)
}

// Watch calls ended once when an identity is no good any more, and says why as Check does:
// its key was revoked, its session was ended, or keys came into being where there were
// none. That its time is over is left to whoever watches. ended must neither wait nor use
// these Keys, and is not called after stop.
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

// WhileValid is a context that ends when an identity is no good any more, its time included;
// the cause says why.
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

// notify tells those whose identity is no good any more.
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

// Follow looks for what other processes change, until ctx ends: at once where the system
// says that there is something, and each second.
func (k *Keys) Follow(ctx context.Context) {
	var changes <-chan fsnotify.Event
	var errs <-chan error
	if files, err := fsnotify.NewWatcher(); err == nil { // without it, a look each second has to do
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

package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"jobhub/jobs"
)

// Fragment is one element of a page that can be replaced by itself.
type Fragment struct {
	ID   string
	HTML []byte
}

// ViewKey names a view: a page of the dashboard, as a tenant sees it.
type ViewKey struct {
	Tenant string
	Page   string
	Of     string // what it shows, where there are several such pages
}

// Renderer renders a view as of the hub's position. last is Rendered.Memory of the rendering
// before; nil at first.
type Renderer func(ctx context.Context, view ViewKey, last any) (Rendered, error)

// Rendered is a view in one state.
type Rendered struct {
	Causes    Causes // what changes it
	Fragments []Fragment
	Pace      Pace
	Memory    any // passed to the next rendering, so that it need not read everything again
}

// Pace bounds the time from one rendering of a view to the next.
type Pace struct {
	Min time.Duration // also if there are causes; the hub's own minimum holds, too
	Max time.Duration // also if nothing does; 0 for no bound

	// Again is when a view is rendered once more after a cause: for views that show what follows
	// from it a little later. 0 for never.
	Again time.Duration
}

// After a rendering, every view pauses for renderPause, or renderPauseFactor times as long as
// the rendering took, so that an expensive view takes at most a tenth of a processor. This
// pause is never longer than maxRenderPause; Pace.Min may be.
const (
	renderPause       = 100 * time.Millisecond
	renderPauseFactor = 9
	maxRenderPause    = 10 * time.Second
)

// view is rendered once for all its viewers, while there are any.
type view struct {
	key     ViewKey
	viewers map[*Viewer]struct{} // guarded by Hub.mu
	stop    context.CancelFunc

	// The newest state, guarded by Hub.mu.
	version   uint64
	fragments []Fragment
	whole     *Patch
	changed   *Patch // of version against the one before
	err       error  // why it is not rendered any more; nil while it is
}

// Viewer watches one view. Its owner is woken and then calls Next.
type Viewer struct {
	hub         *Hub
	view        *view
	wake        func()
	seenVersion uint64
}

// SetRenderer sets the renderer of the hub's views. Call it once, before the first View.
func (h *Hub) SetRenderer(r Renderer) { h.render = r }

// View returns a viewer of a view; its first patch is the whole view. wake is called when
// Next has a new patch, and must not block. Close it after use.
func (h *Hub) View(key ViewKey, wake func()) *Viewer {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.views[key]
	if v == nil {
		ctx, stop := context.WithCancel(h.background)
		v = &view{key: key, viewers: map[*Viewer]struct{}{}, stop: stop}
		h.views[key] = v
		h.loops.Go(func() { h.renderLoop(ctx, v) })
	}
	w := &Viewer{hub: h, view: v, wake: wake}
	v.viewers[w] = struct{}{}
	return w
}

// Next returns the changes since the last call, nil if there are none. States in between are
// left out. An error says that the subject of the view is gone: there are no further patches.
func (w *Viewer) Next() (*Patch, error) {
	w.hub.mu.RLock()
	defer w.hub.mu.RUnlock()
	v := w.view
	before := w.seenVersion
	w.seenVersion = v.version
	switch {
	case v.err != nil:
		return nil, v.err
	case v.version == before:
		return nil, nil
	case v.version == before+1 && before > 0:
		return v.changed, nil
	}
	return v.whole, nil
}

// Viewers is the number of viewers of a view.
func (h *Hub) Viewers(key ViewKey) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if v := h.views[key]; v != nil {
		return len(v.viewers)
	}
	return 0
}

// Close removes the viewer. Without viewers, the view is no longer rendered.
func (w *Viewer) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.view.viewers, w)
	if len(w.view.viewers) == 0 && w.hub.views[w.view.key] == w.view {
		delete(w.hub.views, w.view.key)
		w.view.stop()
	}
}

// renderLoop renders a view when it changes, at its pace, until it has no viewers or its
// subject is gone.
func (h *Hub) renderLoop(ctx context.Context, v *view) {
	defer v.stop()
	var causes Causes
	var changed <-chan struct{}
	var signal *Signal
	var memory any
	defer func() {
		if signal != nil {
			signal.Close()
		}
	}()
	overdue := time.NewTimer(0) // by Pace.Max or Pace.Again
	defer overdue.Stop()
	for {
		caused := false
		select {
		case <-changed:
			caused = true
		case <-overdue.C:
		case <-ctx.Done():
			return
		}
		at, noticed, read := h.Position().Seq, h.notices.count.Load(), time.Now()
		h.Stats.Renders.Add(1)
		out, err := h.callRenderer(ctx, v.key, memory)
		pause := min(max(renderPause, renderPauseFactor*time.Since(read)), maxRenderPause)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
			h.endView(v, err)
			return
		}
		if err != nil {
			h.log.Error("rendering a view", "tenant", v.key.Tenant, "page", v.key.Page, "of", v.key.Of, "error", err)
			out.Pace = Pace{Max: time.Second}
		} else {
			memory = out.Memory
			h.publish(v, at, read, out.Fragments)
			if again := out.Pace.Again; caused && again > 0 && (out.Pace.Max == 0 || again < out.Pace.Max) {
				out.Pace.Max = again
			}
		}
		if err == nil && (signal == nil || !causes.equal(out.Causes)) {
			causes = out.Causes
			if signal != nil {
				signal.Close()
			}
			signal = h.Signal(causes)
			changed = signal.C
			if h.Position().Seq > at || h.notices.since(noticed, causes.Notices) { // what happened before the signal existed counts, too
				signal.notify(nil)
			}
		}
		overdue.Stop()
		if out.Pace.Max > 0 {
			overdue.Reset(out.Pace.Max)
		}
		select {
		case <-time.After(max(pause, out.Pace.Min)):
		case <-ctx.Done():
			return
		}
	}
}

// callRenderer calls the renderer and turns a panic into an error: the data of one job may
// cause one.
func (h *Hub) callRenderer(ctx context.Context, key ViewKey, memory any) (out Rendered, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = Rendered{}, fmt.Errorf("it panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return h.render(ctx, key, memory)
}

// endView wakes all viewers with the error that ends the view. Later viewers start a new one.
func (h *Hub) endView(v *view, why error) {
	h.mu.Lock()
	v.err = why
	if h.views[v.key] == v {
		delete(h.views, v.key)
	}
	viewers := slices.Collect(maps.Keys(v.viewers))
	h.mu.Unlock()
	for _, w := range viewers {
		w.wake()
	}
}

// publish makes a rendering the newest state of a view if it differs, and wakes the viewers.
func (h *Hub) publish(v *view, seq uint64, read time.Time, fragments []Fragment) {
	for _, w := range h.replace(v, seq, read, fragments) {
		w.wake()
	}
}

// replace returns the viewers to wake.
func (h *Hub) replace(v *view, seq uint64, read time.Time, fragments []Fragment) (viewers []*Viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := map[string][]byte{}
	for _, f := range v.fragments {
		old[f.ID] = f.HTML
	}
	var changed []Fragment
	for _, f := range fragments {
		if was, ok := old[f.ID]; !ok || !bytes.Equal(was, f.HTML) {
			changed = append(changed, f)
		}
	}
	if len(changed) == 0 && v.version > 0 {
		return nil
	}
	v.version++
	v.fragments = fragments
	v.whole, v.changed = &Patch{Fragments: fragments, Seq: seq, At: read, stats: &h.Stats}, &Patch{Fragments: changed, Seq: seq, At: read, stats: &h.Stats}
	return slices.Collect(maps.Keys(v.viewers))
}

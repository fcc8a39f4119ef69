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

// Renderer renders the view of that name, as of the hub's position. last is Rendered.Memory
// of the rendering before; nil at first.
type Renderer func(ctx context.Context, name string, last any) (Rendered, error)

// Rendered is a view in one state.
type Rendered struct {
	Filter    Filter // the events that change it
	Fragments []Fragment
	Again     time.Duration // render again after this time, also without an event; 0 for no
	Memory    any           // passed to the next rendering, so that it need not read everything again
}

// After a rendering, a view pauses for renderPause, or renderPauseFactor times as long as the
// rendering took, so that an expensive view takes at most a tenth of a processor. No pause is
// longer than maxRenderPause.
const (
	renderPause       = 100 * time.Millisecond
	renderPauseFactor = 9
	maxRenderPause    = 10 * time.Second
)

// view is rendered once for all its viewers, while there are any.
type view struct {
	name    string
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
func (h *Hub) View(name string, wake func()) *Viewer {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.views[name]
	if v == nil {
		ctx, stop := context.WithCancel(h.background)
		v = &view{name: name, viewers: map[*Viewer]struct{}{}, stop: stop}
		h.views[name] = v
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
func (h *Hub) Viewers(name string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if v := h.views[name]; v != nil {
		return len(v.viewers)
	}
	return 0
}

// Close removes the viewer. Without viewers, the view is no longer rendered.
func (w *Viewer) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.view.viewers, w)
	if len(w.view.viewers) == 0 && w.hub.views[w.view.name] == w.view {
		delete(w.hub.views, w.view.name)
		w.view.stop()
	}
}

// renderLoop renders a view when it changes, at most every renderPause, until it has no
// viewers or its subject is gone.
func (h *Hub) renderLoop(ctx context.Context, v *view) {
	defer v.stop()
	var filter Filter
	var changed <-chan struct{}
	var signal *Signal
	var memory any
	defer func() {
		if signal != nil {
			signal.Close()
		}
	}()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		at, read := h.Position().Seq, time.Now()
		h.Stats.Renders.Add(1)
		out, err := h.callRenderer(ctx, v.name, memory)
		pause := min(max(renderPause, renderPauseFactor*time.Since(read)), maxRenderPause)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
			h.endView(v, err)
			return
		}
		if err != nil {
			h.log.Error("rendering a view", "view", v.name, "error", err)
			out.Again = time.Second
		} else {
			memory = out.Memory
			h.publish(v, at, read, out.Fragments)
		}
		if err == nil && out.Filter != filter {
			filter = out.Filter
			if signal != nil {
				signal.Close()
			}
			signal = h.Signal(filter)
			changed = signal.C
			if h.Position().Seq > at { // events before the signal existed count, too
				signal.notify(nil)
			}
		}
		again.Stop()
		if out.Again > 0 {
			again.Reset(out.Again)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// callRenderer calls the renderer and turns a panic into an error: the data of one job may
// cause one.
func (h *Hub) callRenderer(ctx context.Context, name string, memory any) (out Rendered, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = Rendered{}, fmt.Errorf("it panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return h.render(ctx, name, memory)
}

// endView wakes all viewers with the error that ends the view. Later viewers start a new one.
func (h *Hub) endView(v *view, why error) {
	h.mu.Lock()
	v.err = why
	if h.views[v.name] == v {
		delete(h.views, v.name)
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

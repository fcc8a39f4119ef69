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

// Renderer renders a view of that name, as of the hub's position. last is what the
// rendering before it left in Rendered.Memory; nil at first.
type Renderer func(ctx context.Context, name string, last any) (Rendered, error)

// Rendered is a view in one state.
type Rendered struct {
	Filter    Filter // whose events change it
	Fragments []Fragment
	Again     time.Duration // render once more after this, also without an event; 0 if not needed
	Memory    any           // for the next rendering, which thus need not read all again
}

// renderPause is the least time between two renderings of a view, and renderShare how
// many times longer than a rendering takes it is: a view that costs much must not take more
// than a tenth of a processor, however much happens. A pause ends after renderRest.
const (
	renderPause       = 100 * time.Millisecond
	renderPauseFactor = 9
	maxRenderPause    = 10 * time.Second
)

// view is rendered once for all who watch it, while anyone does.
type view struct {
	name    string
	viewers map[*Viewer]struct{} // guarded by Hub.mu
	stop    context.CancelFunc

	// The newest state, guarded by Hub.mu.
	version   uint64
	fragments []Fragment
	whole     *Patch
	changed   *Patch // of version against the one before
	err       error  // why nothing more comes; nil while it is drawn
}

// Viewer watches one view. Its owner is woken and then asks Next.
type Viewer struct {
	hub         *Hub
	view        *view
	wake        func()
	seenVersion uint64
}

// SetRenderer sets what renders the hub's views. Call it once, before the first View.
func (h *Hub) SetRenderer(r Renderer) { h.render = r }

// View begins to watch a view; the whole of it comes first, if it was drawn already.
// wake is called when Next has something new, and must not wait. Close it after use.
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

// Next returns what changed since the last call, nil if nothing did. Of several states only
// the newest is given. An error says that what the view is of is gone, and nothing more comes.
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

// Viewers is how many watch a view.
func (h *Hub) Viewers(name string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if v := h.views[name]; v != nil {
		return len(v.viewers)
	}
	return 0
}

// Close ends watching. The last to leave ends the rendering.
func (w *Viewer) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.view.viewers, w)
	if len(w.view.viewers) == 0 && w.hub.views[w.view.name] == w.view {
		delete(w.hub.views, w.view.name)
		w.view.stop()
	}
}

// renderLoop renders a view at once when it changed, and then at most every renderPause, until
// nobody watches it or what it is of is gone.
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
			if h.Position().Seq > at { // what came before the signal has to be looked at
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

// callRenderer calls the renderer. A panic, which the data of one job may cause, is an error.
func (h *Hub) callRenderer(ctx context.Context, name string, memory any) (out Rendered, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = Rendered{}, fmt.Errorf("it panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return h.render(ctx, name, memory)
}

// endView tells all who watch a view that it can't be drawn any more. Who comes later begins anew.
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

// publish makes a rendering the newest state of a view, if it differs.
func (h *Hub) publish(v *view, seq uint64, read time.Time, fragments []Fragment) {
	for _, w := range h.replaceLocked(v, seq, read, fragments) {
		w.wake()
	}
}

// replaceLocked returns those who are to be woken.
func (h *Hub) replaceLocked(v *view, seq uint64, read time.Time, fragments []Fragment) (viewers []*Viewer) {
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

package hub

import (
	"bytes"
	"context"
	"time"
)

// Fragment is one element of a page that can be replaced by itself.
type Fragment struct {
	ID   string
	HTML []byte
}

// Renderer renders a view of that name, as of the hub's position.
type Renderer func(ctx context.Context, name string) (Rendered, error)

// Rendered is a view in one state.
type Rendered struct {
	Filter    Filter // whose events change it
	Fragments []Fragment
	Again     time.Duration // render once more after this, also without an event; 0 if not needed
}

// renderPause is the least time between two renderings of a view.
const renderPause = 100 * time.Millisecond

// view is rendered once for all who watch it, while anyone does.
type view struct {
	name    string
	viewers map[*Viewer]struct{} // guarded by Hub.mu
	stop    context.CancelFunc

	// The newest state, guarded by Hub.mu.
	version   uint64
	seq       uint64
	fragments []Fragment
	changed   []Fragment // of version against the one before
}

// Viewer watches one view. Its owner waits on Wake and then asks Next.
type Viewer struct {
	hub  *Hub
	view *view
	wake chan struct{}
	seen uint64
}

// Draw sets what renders the hub's views. Call it once, before the first View.
func (h *Hub) Draw(r Renderer) { h.render = r }

// View begins to watch a view; the whole of it comes first. Close it after use.
func (h *Hub) View(name string) *Viewer {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.views[name]
	if v == nil {
		ctx, stop := context.WithCancel(h.background)
		v = &view{name: name, viewers: map[*Viewer]struct{}{}, stop: stop}
		h.views[name] = v
		h.loops.Go(func() { h.draw(ctx, v) })
	}
	w := &Viewer{hub: h, view: v, wake: make(chan struct{}, 1)}
	v.viewers[w] = struct{}{}
	if v.version > 0 {
		w.wake <- struct{}{}
	}
	return w
}

// Wake has an element when Next has something.
func (w *Viewer) Wake() <-chan struct{} { return w.wake }

// Next returns the fragments that changed since the last call, and the position they
// show. Of several states only the newest is given.
func (w *Viewer) Next() (fragments []Fragment, seq uint64) {
	w.hub.mu.RLock()
	defer w.hub.mu.RUnlock()
	v := w.view
	before := w.seen
	w.seen = v.version
	switch v.version {
	case before:
		return nil, v.seq
	case before + 1:
		if before > 0 {
			return v.changed, v.seq
		}
	}
	return v.fragments, v.seq
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

// draw renders a view at once when it changed, and then at most every renderPause.
func (h *Hub) draw(ctx context.Context, v *view) {
	cursor := h.Cursor()
	defer func() { cursor.Close() }()
	var filter Filter
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-cursor.Wake():
		case <-again.C:
		case <-ctx.Done():
			return
		}
		at := h.Position().Seq
		out, err := h.render(ctx, v.name)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.log.Error("rendering a view", "view", v.name, "error", err)
			out.Again = time.Second
		} else {
			h.show(v, at, out.Fragments)
		}
		if out.Filter != filter {
			filter = out.Filter
			cursor.Close()
			cursor.Subscribe("", Subscription{Filter: filter, Progress: ProgressLatest})
		}
		cursor.rest(at)
		again.Stop()
		if out.Again > 0 {
			again.Reset(out.Again)
		}
		select {
		case <-time.After(renderPause):
		case <-ctx.Done():
			return
		}
	}
}

// rest takes all up to at as seen, and keeps the wake-up if there is more.
func (c *Cursor) rest(at uint64) {
	c.Skip(at)
	c.advance(at)
}

// show makes a rendering the newest state of a view, if it differs.
func (h *Hub) show(v *view, seq uint64, fragments []Fragment) {
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
	v.seq = seq
	if len(changed) == 0 && v.version > 0 {
		return
	}
	v.version++
	v.fragments, v.changed = fragments, changed
	for w := range v.viewers {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

package pages

import (
	"bytes"
	"context"
	"time"

	"jobhub/hub"
	"jobhub/web/view"
)

// rendered is a view of these parts, which events of the filter change, or the time.
func rendered(ctx context.Context, f hub.Filter, again time.Duration, parts []view.Fragment) (hub.Rendered, error) {
	out := hub.Rendered{Filter: f, Again: again, Fragments: make([]hub.Fragment, len(parts))}
	for i, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return out, err
		}
		out.Fragments[i] = hub.Fragment{ID: p.ID, HTML: readable(b.Bytes())}
	}
	return out, nil
}

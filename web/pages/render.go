package pages

import (
	"bytes"
	"context"
	"time"

	"jobhub/hub"
	"jobhub/web/view"
)

// How often views are rendered, besides the hub's own bounds.
var (
	onEvents    = hub.Pace{}
	everyBucket = hub.Pace{Max: hub.BucketWidth} // for what changes with time, like rates
	everySecond = hub.Pace{Max: time.Second}     // for what changes without an event, like workers
)

// lookupAge is how long views reuse what is expensive to look up.
const lookupAge = 5 * time.Second

// rendered is a view of these parts, drawn again after events of the filter and at this pace.
func rendered(ctx context.Context, f hub.Filter, pace hub.Pace, parts []view.Fragment) (hub.Rendered, error) {
	out := hub.Rendered{Filter: f, Pace: pace, Fragments: make([]hub.Fragment, len(parts))}
	for i, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return out, err
		}
		out.Fragments[i] = hub.Fragment{ID: p.ID, HTML: readable(b.Bytes())}
	}
	return out, nil
}

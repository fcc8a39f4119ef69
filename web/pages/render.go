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
	everyBucket = hub.Pace{Max: hub.BucketWidth} // what time changes, like rates
	everySecond = hub.Pace{Max: time.Second}     // what changes without an event, like workers
)

// lookupAge is for how long views keep what they look up for their renderings at great cost.
const lookupAge = 5 * time.Second

// rendered is a view of these parts, which events of the filter change, or the time.
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

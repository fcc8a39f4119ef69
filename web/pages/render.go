package pages

import (
	"bytes"
	"context"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/view"
)

// How often views are rendered, besides the hub's own bounds.
var (
	onEvents    = hub.Pace{}
	everyBucket = hub.Pace{Max: hub.BucketWidth} // for what changes with time, like rates
	everySecond = hub.Pace{Max: time.Second}     // for times of what is in progress
)

// lookupAge is how long views reuse what is expensive to look up.
const lookupAge = 5 * time.Second

// on is the cause of a view that only events change.
func on(f hub.Filter) hub.Causes { return hub.Causes{Filters: []hub.Filter{f}} }

// onAll is the cause of a view that all events of a tenant change, and these notices.
func onAll(tenant string, notices ...jobs.Notice) hub.Causes {
	return hub.Causes{Filters: []hub.Filter{everything(tenant)}, Notices: notices}
}

// rendered is a view of these parts, rendered again after its causes and at this pace.
func rendered(ctx context.Context, causes hub.Causes, pace hub.Pace, parts []view.Fragment) (hub.Rendered, error) {
	out := hub.Rendered{Causes: causes, Pace: pace, Fragments: make([]hub.Fragment, len(parts))}
	for i, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return out, err
		}
		out.Fragments[i] = hub.Fragment{ID: p.ID, HTML: readable(b.Bytes())}
	}
	return out, nil
}

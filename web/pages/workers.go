package pages

import (
	"slices"
	"time"

	"jobhub/jobs/engine"
	"jobhub/web/view"
)

func serves(w engine.WorkerInfo, queue string) bool {
	return len(w.Queues) == 0 || slices.Contains(w.Queues, queue)
}

func workerOf(w engine.WorkerInfo) view.Worker {
	w.Seen = w.Seen.Truncate(time.Second) // so that a beat without news changes the page once a second at most
	return view.Worker{WorkerInfo: w}
}

package demo

import (
	"context"
	"math/rand/v2"
)

type scheduleDocument struct {
	Cron     string         `json:"cron"`
	TimeZone string         `json:"time_zone,omitzero"`
	Job      map[string]any `json:"job"`
	Paused   bool           `json:"paused"`
}

// schedules of the demo by name: one is paused, as for the holidays.
func schedules(api string, rng *rand.Rand) map[string]scheduleDocument {
	report := func(title string, rows int) map[string]any {
		return map[string]any{"kind": "http", "queue": "reports", "input": callInput{"POST", api + "/reports", reportRequest{title, rows}}}
	}
	_, suppliers := offers(api, rng, 0)
	return map[string]scheduleDocument{
		"sales-report":   {Cron: "* * * * *", Job: report("Sales of the last minute", 1+rng.IntN(mostRows/2))},
		"compare-offers": {Cron: "*/2 * * * *", Job: map[string]any{"kind": "fanout", "queue": "offers", "input": suppliers}},
		"month-end":      {Cron: "0 6 1 * *", TimeZone: "Europe/Berlin", Job: report("Month's end", mostRows), Paused: true},
	}
}

// putSchedules makes the schedules. What they submit, the hub submits: it does not count.
func (d *demo) putSchedules(ctx context.Context) error {
	for name, s := range schedules(d.api, stream(d.seed, "schedules")) {
		if _, err := d.send(ctx, "PUT", "/v1/schedules/"+name, "", s); err != nil {
			return err
		}
	}
	return nil
}

package demo

import (
	"context"
	"math/rand/v2"

	"jobhub/web/client"
)

// schedules of the demo. One is paused, to show that state.
func schedules(api string, rng *rand.Rand) []client.Schedule {
	report := func(title string, rows int) client.Submission {
		return client.Submission{Kind: "http", Queue: "reports", Input: callInput{"POST", api + "/reports", reportRequest{title, rows}}}
	}
	_, suppliers := offers(api, rng, 0)
	return []client.Schedule{
		{Name: "sales-report", Cron: "* * * * *", Job: report("Sales of the last minute", 1+rng.IntN(mostRows/2))},
		{Name: "compare-offers", Cron: "*/2 * * * *", Job: client.Submission{Kind: "fanout", Queue: "offers", Input: suppliers}},
		{Name: "month-end", Cron: "0 6 1 * *", TimeZone: "Europe/Berlin", Job: report("Month's end", mostRows), Paused: true},
	}
}

// putSchedules creates the schedules. The hub submits their jobs, so these are not counted.
func (d *demo) putSchedules(ctx context.Context) error {
	for _, s := range schedules(d.api, stream(d.seed, "schedules")) {
		if _, err := d.client.PutSchedule(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

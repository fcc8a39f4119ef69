package cron_test

import (
	"testing"

	"jobhub/jobs/cron"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"* * * * *":             "every minute",
		"*/15 * * * *":          "every 15 minutes",
		"5/15 * * * *":          "every 15 minutes from :05",
		"*/7 * * * *":           "at :00, :07, :14, :21, :28, :35, :42, :49 and :56 of every hour",
		"@hourly":               "every hour",
		"5 * * * *":             "every hour at :05",
		"0 */6 * * *":           "every day at 00:00, 06:00, 12:00 and 18:00",
		"0 */2 * * *":           "every 2 hours from 00:00",
		"30 1/2 * * *":          "every 2 hours from 01:30",
		"@daily":                "every day at 00:00",
		"30 9,17 * * *":         "every day at 09:30 and 17:30",
		"0 3 * * 1-5":           "at 03:00 on weekdays",
		"0 3 * * sat,7":         "at 03:00 at weekends",
		"0 3 * * MON":           "at 03:00 on Mondays",
		"@weekly":               "at 00:00 on Sundays",
		"@monthly":              "at 00:00 on the 1st of the month",
		"@yearly":               "at 00:00 on the 1st of the month in January",
		"0 12 L * *":            "at 12:00 on the last day of the month",
		"0 0 1-7,22,23,31 * *":  "at 00:00 on the 1st to 7th, 22nd, 23rd and 31st of the month",
		"0 0 1,15 * 5":          "at 00:00 on the 1st and 15th of the month and on Fridays",
		"0 0 */10 * 5":          "at 00:00 on the 1st, 11th, 21st and 31st of the month, only on Fridays",
		"0 0 1 * 0-6":           "every day at 00:00",
		"0 0 1-31 * 1":          "every day at 00:00",
		"* 9-16 * * 1-5":        "every minute from 09:00 to 16:59 on weekdays",
		"*/10 */3 * * *":        "every 10 minutes of every 3rd hour",
		"*/10 1,5 * * *":        "every 10 minutes in the hours from 01:00 and 05:00",
		"*/20 4 * * *":          "every day at 04:00, 04:20 and 04:40",
		"0 8 * apr,oct-dec mon": "at 08:00 on Mondays in April, October, November and December",
		"13 11 11-13 * *":       "at 11:13 on the 11th to 13th of the month",
		"10,50 */2 * * *":       "at :10 and :50 of every 2nd hour",
	} {
		e, err := cron.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Words(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

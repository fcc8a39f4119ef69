package jobs

import (
	"strconv"
	"strings"
	"time"
)

// Rate is N starts in each period Per.
type Rate struct {
	N   int      `json:"n"`
	Per Duration `json:"per"`
}

var ratePeriods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// String writes a rate as 10/s, 100/m or 1000/h, and with another period as 5/30s.
func (r Rate) String() string {
	for unit, per := range ratePeriods {
		if time.Duration(r.Per) == per {
			return strconv.Itoa(r.N) + "/" + unit
		}
	}
	return strconv.Itoa(r.N) + "/" + time.Duration(r.Per).String()
}

// ParseRate reads what String writes: up to 1,000,000 in up to a day.
func ParseRate(text string) (r Rate, ok bool) {
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1_000_000 {
		return r, false
	}
	per, known := ratePeriods[unit]
	if !known {
		if per, err = time.ParseDuration(unit); err != nil || per <= 0 || per > 24*time.Hour {
			return r, false
		}
	}
	return Rate{N: n, Per: Duration(per)}, true
}

package limit

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"time"
	"unique"

	"jobhub/jobs"
)

// Per says whose requests a rule counts together.
type Per string

const (
	PerConsumer Per = "consumer" // each consumer; each address where there is no consumer
	PerAddress  Per = "address"  // each IPv4 address, each IPv6 /64
	PerRoute    Per = "route"    // all callers of the set together; the default
)

// Rule is a rate or a concurrency: exactly one of the two is set.
type Rule struct {
	Rate        jobs.Rate // N requests in Per, from 1 to 1,000,000,000 in 1 ms to 366 days
	Concurrency int       // requests that run at once, from 1 to 1,000,000,000
	Per         Per       // empty is PerRoute
}

// Set is the limits of one route, plan or key. In a plan PerRoute counts all its consumers
// together.
type Set struct {
	Scope string // names the set for good and differs from all others, like "route /api/orders/": state belongs to it
	Name  string // begins the names of its policies in headers, like "route" or "plan"
	Rules []Rule
	Quota Quota // the zero Quota is none
}

const (
	maxNumber = 1_000_000_000
	minRate   = time.Millisecond
	maxRate   = 366 * day
	day       = 24 * time.Hour
)

// RuleSet is a Set that was checked. It holds no state.
type RuleSet struct{ rules []*rule }

// seed is of the hashes by which states are spread over shards.
var seed = maphash.MakeSeed()

type kind uint8

const (
	kindRate kind = iota
	kindConcurrency
	kindQuota
)

// rule is one rule of a RuleSet.
type rule struct {
	kind    kind
	per     Per
	scope   string
	name    string                // of its policy
	text    string                // for people: "100 in 1m for each consumer"
	id      unique.Handle[string] // equal for the same rule of the same scope
	scopeID unique.Handle[string]

	hash  uint64 // of id
	rate  rate
	quota Quota // N is the number of a concurrency, too
}

// Compile checks a set. Its error is a *jobs.Problem with status 422 whose members are under
// /limits/{index} and /quota.
func Compile(s Set) (*RuleSet, error) {
	var errs []error
	set := &RuleSet{}
	if !asciiText(s.Name) || s.Name == "" {
		errs = append(errs, jobs.Invalid("/name", "must be of visible ASCII characters without quotes and backslashes"))
	}
	seen := map[string]int{}
	for i, given := range s.Rules {
		at := "/limits/" + strconv.Itoa(i)
		r, err := compileRule(s, given, at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, twice := seen[r.name]; twice {
			errs = append(errs, jobs.Invalid(at, "counts the same as limits[%d]; keep the stricter one of the two", other))
			continue
		}
		seen[r.name] = i
		set.rules = append(set.rules, r)
	}
	if s.Quota != (Quota{}) {
		if err := s.Quota.check(); err != nil {
			errs = append(errs, err)
		} else {
			window := windowText(s.Quota.Window)
			set.rules = append(set.rules, &rule{
				kind: kindQuota, per: PerConsumer, scope: s.Scope, quota: s.Quota,
				name: s.Name + "-quota-" + window, text: s.Quota.String(),
				id: unique.Make(s.Scope + "\x00quota\x00" + window),
			})
		}
	}
	if err := jobs.JoinProblems(errs...); err != nil {
		return nil, err
	}
	for _, r := range set.rules {
		r.hash, r.scopeID = maphash.Comparable(seed, r.id), unique.Make(r.scope)
	}
	return set, nil
}

func compileRule(s Set, given Rule, at string) (*rule, error) {
	r := &rule{per: given.Per, scope: s.Scope}
	whose := "all callers together"
	switch given.Per {
	case PerConsumer:
		whose = "each consumer"
	case PerAddress:
		whose = "each address"
	case PerRoute, "":
		r.per = PerRoute
	default:
		return nil, jobs.Invalid(at+"/per", "must be consumer, address or route, not %q", given.Per)
	}
	rated := given.Rate != jobs.Rate{}
	switch per := time.Duration(given.Rate.Per); {
	case rated && given.Concurrency != 0:
		return nil, jobs.Invalid(at, "has both a rate and a concurrency; make two limits of them")
	case rated && (given.Rate.N < 1 || given.Rate.N > maxNumber || per < minRate || per > maxRate):
		return nil, jobs.Invalid(at+"/rate", "must be from 1 to %d requests in 1ms to 366d; to let nobody call, require a scope that nobody has", maxNumber)
	case rated:
		window := windowText(per)
		r.kind, r.rate = kindRate, newRate(given.Rate.N, per)
		r.name = s.Name + "-" + string(r.per) + "-" + window
		r.text = fmt.Sprintf("%d in %s for %s", given.Rate.N, window, whose)
		r.id = unique.Make(s.Scope + "\x00rate\x00" + string(r.per) + "\x00" + strconv.Itoa(given.Rate.N) + "/" + window)
	case given.Concurrency < 1 || given.Concurrency > maxNumber:
		return nil, jobs.Invalid(at, "must have a rate like 100/1m or a concurrency from 1 to %d; to let nobody call, require a scope that nobody has", maxNumber)
	default:
		r.kind, r.quota.N = kindConcurrency, int64(given.Concurrency)
		r.name = s.Name + "-" + string(r.per) + "-concurrency"
		r.text = fmt.Sprintf("%d at once for %s", given.Concurrency, whose)
		r.id = unique.Make(s.Scope + "\x00concurrency\x00" + string(r.per))
	}
	return r, nil
}

// asciiText reports whether s can stand in a string of a structured header field as it is.
func asciiText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// Quota is N requests of a consumer in each window of time.
type Quota struct {
	N      int64         // from 1 to 999,999,999,999,999, the largest number in a header
	Window time.Duration // whole seconds, from a minute to 366 days; aligned to UTC
}

const (
	maxQuota  = 999_999_999_999_999
	minWindow = time.Minute
	maxWindow = 366 * day
)

// ParseQuota reads a quota like 10000/1d: the unit of its window is m, h, d or w.
func ParseQuota(text string) (q Quota, ok bool) {
	count, window, _ := strings.Cut(text, "/")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || window == "" {
		return q, false
	}
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day}
	unit := units[window[len(window)-1]]
	times := uint64(1)
	if number := window[:len(window)-1]; number != "" {
		if times, err = strconv.ParseUint(number, 10, 20); err != nil {
			return q, false
		}
	}
	q = Quota{N: n, Window: time.Duration(times) * unit}
	return q, q.check() == nil
}

// String writes a quota as ParseQuota reads it.
func (q Quota) String() string { return strconv.FormatInt(q.N, 10) + "/" + windowText(q.Window) }

func (q Quota) check() error {
	if q.N < 1 || q.N > maxQuota || q.Window < minWindow || q.Window > maxWindow || q.Window%time.Second != 0 {
		return jobs.Invalid("/quota", "must be like 10000/1d: from 1 to %d requests in a window from 1m to 366d; to let nobody call, require a scope that nobody has", int64(maxQuota))
	}
	return nil
}

// weekStart is the first Monday of 1970 in Unix seconds: windows are counted from it.
const weekStart = 4 * 24 * 60 * 60

// end returns when the window of a moment ends, in Unix seconds.
func (q Quota) end(now time.Time) int64 {
	window := int64(q.Window / time.Second)
	past := (now.Unix() - weekStart) % window
	if past < 0 {
		past += window
	}
	return now.Unix() - past + window
}

// windowText writes a duration with one unit where that is possible: 1d, 90m, 60s as 1m.
func windowText(d time.Duration) string {
	for _, unit := range []struct {
		text string
		of   time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d >= unit.of && d%unit.of == 0 {
			return strconv.FormatInt(int64(d/unit.of), 10) + unit.text
		}
	}
	return d.String()
}

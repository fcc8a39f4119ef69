// Package usage counts calls and answers who made how many, of what, and when.
//
// What it promises:
//
//   - Sums are exact: each call is in each answer that asks for its time, once. All times are
//     UTC. Questions are rounded outwards to whole minutes, hours or days; an answer says to which.
//   - Percentiles are within 2 % of the exact ones, or half a microsecond, for calls up to a day.
//     A percentile of a long time is that of all calls in it, not a mean of percentiles.
//   - Errors are calls that were answered with 500 and above, or not at all. The word status
//     is the code; it is 0 for no answer.
//   - Tenants are never mixed: what they used is kept apart, and a question is about one.
//   - Minutes are kept for 2 hours and hours for 90 days; days are added up from hours. (Options)
//   - A restart loses nothing, a crash at most what was counted in the last 10 seconds. If the
//     store fails, what is not stored stays in memory. It is for reports; what callers have to
//     pay is counted elsewhere.
//   - A document that can't be read, because it is damaged or of a later version, is
//     logged, left as it is until its time is over, and missing in answers. It stops nothing.
//   - Memory is bounded: an hour has at most Options.MaxSeries different series of words. The
//     calls of further ones are counted under the consumer (other), or under (other) for all words
//     but the status, so that no sum loses them. No tenant can take all: see admission. If all
//     hours together take more than Options.MaxBytes, the consumers of the oldest days become
//     (other), too. Words are cut after 200 bytes.
//   - Record takes a few hundred ns and never waits for the store. Its locks are for some consumers and
//     routes each.
//
// Several processes may write to one store: they add to each other's documents by
// compare-and-set. Each sees what others have counted when it meets their change, or after a
// restart.
//
// Call tree:
//
//	Usage.Record                  record.go
//	└── admission.admit           admit.go      which series are counted by themselves
//	Usage.run                     usage.go      every 10 seconds
//	├── Usage.Flush               flush.go
//	│   ├── Usage.collect         usage.go      shards → fresh of the spans of a minute and an hour
//	│   ├── Usage.readyLocked     load.go       reads the store, once
//	│   ├── Usage.foldOldest      summary.go    takes consumers out of the oldest days
//	│   ├── Usage.save            flush.go      span.advance: base + fresh → data (encode.go, decode.go)
//	│   └── Usage.remove          flush.go      what is kept no longer
//	└── Usage.prepare             summary.go    adds up days that are over
//	Usage.Answer                  handler.go    GET /v1/usage
//	└── Usage.Ask                 ask.go
//	    ├── Usage.plan            question.go   checks the question
//	    ├── Usage.parts           ask.go        the blocks to read
//	    └── groups.add, .rows     groups.go     adds up their rows; histogram.go
package usage

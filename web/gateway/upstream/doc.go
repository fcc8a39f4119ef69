// Package upstream sends the requests of a route to one of several upstreams, its members.
//
// What it promises:
//
//   - A request goes to a member by weight: at random, or by a key, the same member for the same
//     key. When a member joins, leaves or changes its weight, only its share of the keys moves.
//     A member with weight 0, one that is ill, or one whose breaker is open gets no new requests.
//   - A request is sent again only where that is safe: nothing of it was sent, or its method is
//     safe, or it carries an Idempotency-Key. "Nothing" is exact: not one byte was written to a
//     connection, and none will be (see Track). An answer 502, 503 or 504 is tried again for safe
//     methods only. Nothing is tried again once an answer began, the time is over, the start of
//     the body is no longer kept, or the budget is used up: over 10 s, at most 20 % more requests
//     than came, plus 10. A try after one of which nothing was sent is not in the budget.
//   - The timeout holds for all tries of a request together. The time in which a request is
//     being sent does not count, as a large body may take long.
//   - If no member can be used, the error is *Unavailable, with status 503. A pool never falls
//     back to members that it knows to be ill.
//   - A member is ill after 2 checks in a row that failed, and well after 2 that succeeded; at
//     first it is well. Checks have a deadline and read at most 64 KiB.
//   - The breaker of a member opens after so many failures in its window, if these were the last
//     requests in a row or at least a tenth of all: a busy member with a few errors stays in use.
//     A failure is a request without a whole answer, or an answer 5xx. After its open time one
//     request at a time probes the member; a success closes the breaker. What was sent before a
//     change of state does not count after it.
//   - A pool that replaces another keeps the state of the members that stay (Keep).
//
// Call tree:
//
//	NewPool, Keep, Start           pool.go
//	└── check                      health.go     asks one member, again and again
//	Pool.RoundTrip                 roundtrip.go  the tries of a request
//	├── choose                     choose.go     a member for a try
//	│   └── member.acquire         member.go
//	│       └── circuit.acquire    breaker.go
//	├── attempt                    roundtrip.go  one try
//	│   ├── traced                 sent.go       what was sent
//	│   ├── bodyOnce               body.go       what was read of its body
//	│   └── patience               patience.go   the time that is left
//	├── budget.take                budget.go
//	└── answer                     body.go       the body of the answer
//	Pool.Pick                      pool.go       a member for the attempt of a job
//	Split.Key                      split.go      the key of a request
package upstream

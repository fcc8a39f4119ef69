// Package limit decides whether a request may pass: by rates, by how many requests run at
// once, and by durable quotas.
//
// What it promises, in one process:
//
//   - A rate of N in Per lets exactly N of a caller's requests pass in each window of Per, however
//     many come in parallel. A window begins with the first request after the one before. So what
//     is left never grows within a window, and it is all there again at its end. (Two windows
//     that meet may see up to 2N in a span of Per, as every bucket that lets N pass at once may.)
//   - All or nothing: a request that one rule refuses uses up nothing of any other. Checking and
//     taking are one step; no parallel request sees half of it.
//   - A quota is never exceeded, also when the process is killed. Units are reserved in the
//     store before they are used, so a crash can lose the rest of a block and never give it
//     twice. If the store fails, requests under a quota are refused with 503.
//   - The headers never contradict the verdict: r=0 of a policy means that the next request of
//     that caller at that moment would be refused; after r=k of the policy with the least, exactly k pass.
//     Retry-After is rounded up, so that a retry after it passes if nobody else was faster.
//   - A new configuration keeps counts: state belongs to a set's scope and to the rule. A rate
//     that changed starts anew. What runs at once, and what is used of a quota, is counted on
//     under a changed number. A rate or concurrency that was removed (Use) is forgotten.
//   - Memory is bounded. State that equals fresh state is dropped. Addresses are counted per
//     IPv4 address and per IPv6 /64; beyond Options.MaxAddresses the one closest to fresh of
//     some is forgotten, so that whoever has a million networks cannot shut out others.
//     Consumers are never forgotten; beyond Options.MaxConsumers new ones get 503.
//
// A limit of zero is an error of configuration (Compile). Windows of quotas are aligned to UTC:
// hours and days are those of UTC, weeks begin on Monday, and windows of other lengths are
// counted from Monday 1970-01-05. Where a request has no consumer, what counts per consumer
// counts its address.
//
// Call tree:
//
//	Compile                        rule.go      checks a Set, names its policies
//	Limiter.Use                    limiter.go   forgets what was counted for removed rules
//	Limiter.Decide, .Explain       decide.go
//	├── Limiter.sweep              limiter.go   drops what equals fresh state, one shard at a time
//	├── decision.find              decide.go    whose state each rule needs, and in which shard it is
//	├── decision.look              decide.go    under the locks of these shards: what each rule says
//	│   ├── shard.makeRoomLocked   shard.go
//	│   ├── rate.look              window.go
//	│   └── writer.ask             writer.go    reserves units of quotas, many in one QuotaStore.Save
//	├── decision.take              decide.go
//	└── Verdict                    verdict.go   problem, headers, Release
package limit

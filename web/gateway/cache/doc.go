// Package cache stores the answers of upstreams and gives them to later requests, as a shared
// cache of HTTP (RFC 9111, with RFC 5861 and 9211).
//
// What it promises:
//
//   - An answer never reaches another consumer, unless it says Cache-Control: public. Who asks is
//     part of the key: the caller that the hub knows, and each header for the upstream that tells
//     who somebody is (Authorization, Cookie, X-Api-Key, X-User-Id, …). Without a known caller
//     (see With) nothing is stored or given.
//   - Key, Vary and Authorization are those of the request as the upstream gets it, because
//     a Transport stands below the proxy that rewrites requests: scheme, host, path and query are
//     taken byte for byte, and headers that many servers obey without saying so (X-Forwarded-Host,
//     X-Host, Origin, …) belong to the key, too. A request whose headers change its method, or
//     that has a body, is passed on and nothing of its answer stored.
//   - Nothing is stored that has Set-Cookie, Vary: *, private, no-store or a trailer, that is a
//     part or a stream of events, or that broke off. An answer whose end is only the end of its
//     connection can break off unseen, and is not stored either.
//   - A miss streams to its client while it is stored. A slow client delays nobody: of an answer
//     up to Options.EntryBytes are read ahead. A larger one is passed on and not stored.
//   - Equal requests at the same time make one request to the upstream. Where its answer turns out
//     to be not for all of them, the others are sent at once, each on its own, and for a while
//     such requests are no longer collapsed. If the first client leaves before the answer
//     begins, the next one's request is sent; if it leaves later, the others get the rest.
//   - Where an answer says nothing about its freshness, Policy.TTL holds, for the statuses of
//     heuristic. What the answer says is never exceeded, and stale answers are given only where
//     it or the request allows them.
//   - An unsafe request that succeeds forgets the answers of its URI, for all consumers, and so
//     do Location and Content-Location of the same origin. An answer that was on its way meanwhile
//     is not stored.
//   - Memory is bounded by Options.Bytes for what is stored, headers included, and a quarter of
//     it for what is on its way. One-time requests do not displace what is used often (S3-FIFO).
//
// Range requests, and conditional ones other than If-None-Match and If-Modified-Since, are
// passed on.
//
// Call tree:
//
//	With                           transport.go  says who asks
//	Transport.RoundTrip            transport.go
//	├── bypass                     request.go    what is not for the cache
//	├── Transport.keysOf           key.go
//	├── Cache.find                 index.go      the newest answer that matches
//	├── entry.check                entry.go      may it be given?
//	├── entry.answer               answer.go     from memory; 304; Age, Cache-Status
//	├── Cache.join                 flight.go     one request for many
//	│   ├── flight.fetch           flight.go     asks the upstream, or revalidates
//	│   │   ├── storable           entry.go
//	│   │   └── flight.pump        pump.go       the body, for all members and the store
//	│   └── flight.wait            flight.go     the others
//	├── Cache.store                index.go
//	│   └── queues.evict           queue.go      S3-FIFO by bytes
//	└── Cache.Invalidate           invalidate.go
package cache

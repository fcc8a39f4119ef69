// Package gateway makes existing HTTP APIs asynchronous: a route is a path of the hub
// that stands for one or several upstreams.
//
// What it promises:
//
//   - A synchronous request is passed straight through, streaming both ways, and never
//     becomes a job. An asynchronous one becomes a job whose answer is what the synchronous
//     request would have got.
//   - Path and query reach the upstream byte for byte as they came, but for the parameter
//     async and what the route strips. A path that two readers could take for different
//     routes is refused.
//   - Of the headers, those of one connection are dropped both ways, upgrades too, and what
//     tells the upstream where a request comes from is the word of the hub and of the proxies
//     that it trusts.
//   - The caller's Authorization and Cookie reach an upstream only if the route says so, and
//     the hub's own keys, tokens and cookies never do.
//
// route.go says what a route is, table.go which one a path belongs to, header.go and
// url.go what the upstream gets, proxy.go and body.go pass through, spec.go makes jobs.
package gateway

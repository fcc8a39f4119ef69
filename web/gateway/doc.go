// Package gateway makes existing HTTP APIs asynchronous: a route maps a path of the hub to one
// or several upstreams.
//
// What it promises:
//
//   - A synchronous request is proxied, streaming both ways, and never becomes a job. An
//     asynchronous one becomes a job whose response is that of the synchronous request.
//   - Path and query reach the upstream byte for byte, except for the parameter async and the
//     prefix that the route strips. A path that could be read as belonging to different routes
//     is refused.
//   - Hop-by-hop headers are dropped in both directions, upgrades included. The headers about
//     the origin of a request (X-Forwarded-…) are set by the hub and by proxies that it trusts.
//   - The caller's Authorization and Cookie reach an upstream only if the route allows it. The
//     hub's own keys, tokens and cookies never do.
//
// route.go defines a route, table.go finds the one for a path, header.go and url.go make the
// upstream's request, proxy.go and body.go proxy it, spec.go makes a job of it.
package gateway

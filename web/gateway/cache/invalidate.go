package cache

import (
	"net/http"
	"net/url"
	"strings"
)

// Invalidate forgets what is stored for the URI of an answer's request, and for its Location and
// Content-Location of the same origin, if its method is unsafe and the answer no error (RFC 9111,
// 4.4). Transports do this themselves. It is for answers that come another way, like those of a
// route that stores nothing; res.Request must be as the upstream got it.
func (c *Cache) Invalidate(res *http.Response) {
	req := res.Request
	if req == nil || isSafe(req.Method) || res.StatusCode < 200 || res.StatusCode >= 400 {
		return
	}
	c.forget(req.URL)
	for _, name := range []string{"Location", "Content-Location"} {
		u, err := req.URL.Parse(res.Header.Get(name))
		if err != nil || res.Header.Get(name) == "" {
			continue
		}
		if !sameHost(u, req) {
			continue
		}
		u.Scheme, u.Host = req.URL.Scheme, req.URL.Host
		c.forget(u)
	}
}

// sameHost reports whether a URI has the origin of a request, as the upstream has it or as the
// hub's client.
func sameHost(u *url.URL, req *http.Request) bool {
	return strings.EqualFold(u.Host, req.URL.Host) && u.Scheme == req.URL.Scheme || req.Host != "" && strings.EqualFold(u.Host, req.Host) ||
		strings.EqualFold(u.Host, req.Header.Get("X-Forwarded-Host"))
}

func (c *Cache) forget(u *url.URL) {
	key := uriKey(nil, u)
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.resources[key]
	if r == nil {
		return
	}
	r.generation++
	for at, f := range c.flights {
		if f.resource == r {
			delete(c.flights, at) // what comes later asks anew
		}
	}
	for _, s := range r.slots {
		c.counters.invalidated.Add(int64(len(s.entries)))
		for len(s.entries) > 0 {
			c.removeLocked(s.entries[0])
		}
		if s.pass != nil {
			c.removeLocked(s.pass)
		}
	}
}

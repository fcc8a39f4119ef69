package config

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/jobs/httpheader"
	"jobhub/web/limit"
)

const (
	year      = 365 * 24 * time.Hour
	maxNumber = 1_000_000_000
)

// Decode reads a configuration. name is the file name for errors, which are of type Errors.
func Decode(name string, data []byte) (*Config, error) {
	r := &reader{file: name}
	c := &Config{Queues: map[string]Queue{}, Plans: map[string]*limit.RuleSet{}, Source: data, name: name, lines: map[int]int{}}
	if doc := r.document(data); doc != nil {
		r.mapping(doc, "", map[string]field{
			"hosts":      r.texts(&c.Hosts, r.host),
			"origins":    r.texts(&c.Origins, r.origin),
			"key_header": func(n *yaml.Node, at string) { c.KeyHeader = r.keyHeader(n, at) },
			"egress": func(n *yaml.Node, at string) {
				r.mapping(n, at, map[string]field{"allow": func(n *yaml.Node, at string) { r.ranges(n, at, &c.EgressAllow) }})
			},
			"trusted_proxies": func(n *yaml.Node, at string) { r.ranges(n, at, &c.Proxies) },
			"dashboard_host": func(n *yaml.Node, at string) {
				if text, ok := r.text(n, at); ok && r.host(n, at, text) {
					c.Dashboard = text
				}
			},
			"mask": r.texts(&c.Mask, func(n *yaml.Node, at, text string) bool {
				if httpheader.IsToken(text) {
					return true
				}
				r.fail(n, at, "must be the name of a header or query parameter, like X-Corp-Secret, not %q", text)
				return false
			}),
			"http": func(n *yaml.Node, at string) {
				fields, end := r.outbound(&c.HTTP.Outbound, &c.HTTP.MaxInput)
				r.mapping(n, at, fields)
				end()
			},
			"workers": func(n *yaml.Node, at string) {
				r.mapping(n, at, map[string]field{"lease": func(n *yaml.Node, at string) { c.Lease, _ = r.duration(n, at, time.Second, time.Hour) }})
			},
			"limits": func(n *yaml.Node, at string) {
				r.mapping(n, at, map[string]field{"connections_per_address": r.limit(&c.Limits.ConnectionsPerAddress), "queues": r.limit(&c.Limits.Queues), "kinds": r.limit(&c.Limits.Kinds)})
			},
			"otel": func(n *yaml.Node, at string) {
				r.mapping(n, at, map[string]field{"endpoint": func(n *yaml.Node, at string) { c.Otel = r.collector(n, at) }})
			},
			"queues": func(n *yaml.Node, at string) {
				r.each(n, at, func(key, value *yaml.Node, at string) { c.Queues[key.Value] = r.queue(key, value, at, c) })
			},
			"auth": func(n *yaml.Node, at string) { r.auth(n, at, c) },
			"plans": func(n *yaml.Node, at string) {
				r.each(n, at, func(key, value *yaml.Node, at string) { r.plan(key, value, at, c) })
			},
			"routes": func(n *yaml.Node, at string) {
				r.list(n, at, func(n *yaml.Node, at string) { r.route(n, at, c) })
			},
		})
	}
	for i := range c.Routes { // a route without its own sizes has those of http
		route := &c.Routes[i]
		route.Outbound.MaxAnswer = cmp.Or(route.Outbound.MaxAnswer, c.HTTP.MaxAnswer)
		route.MaxInput = cmp.Or(route.MaxInput, c.HTTP.MaxInput)
	}
	if len(r.errs) == 0 {
		r.checkRoutes(c)
		r.checkMethods(c)
	}
	if len(r.errs) > 0 {
		r.errs.sort()
		return nil, r.errs
	}
	return c, nil
}

// texts reads a list of texts without duplicates; check reports whether one is valid.
func (r *reader) texts(to *[]string, check func(n *yaml.Node, at, text string) bool) field {
	return func(n *yaml.Node, at string) {
		r.list(n, at, func(n *yaml.Node, at string) {
			text, ok := r.text(n, at)
			switch {
			case !ok || !check(n, at, text):
			case slices.Contains(*to, text):
				r.fail(n, at, "%s is listed twice; keep one", text)
			default:
				*to = append(*to, text)
			}
		})
	}
}

var hostName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?)*$`)

func (r *reader) host(n *yaml.Node, at, text string) bool {
	if net.ParseIP(text) == nil && (!hostName.MatchString(text) || len(text) > 253) {
		r.fail(n, at, "must be a name like hub.example.com, without scheme and port, not %q", text)
		return false
	}
	return true
}

func (r *reader) origin(n *yaml.Node, at, text string) bool {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || text != u.Scheme+"://"+u.Host || text != strings.ToLower(text) || strings.Contains(text, "*") {
		r.fail(n, at, "must be an origin as browsers send it, like https://app.example.com or http://localhost:3000, not %q", text)
		return false
	}
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		r.fail(n, at, "must not have :%s; browsers leave it out", port)
		return false
	}
	return true
}

// keyHeader reads the name of the header for keys. It must have no other use, since its value is
// read as a key and not passed on.
func (r *reader) keyHeader(n *yaml.Node, at string) string {
	text, ok := r.text(n, at)
	name := http.CanonicalHeaderKey(text)
	taken := []string{"Authorization", "Cookie", "Host", "Origin", "Prefer", "Idempotency-Key", "Upgrade", "Connection", "Accept", "User-Agent", "Traceparent", "Tracestate", "Forwarded", "Last-Event-Id", "Range", "Expect"}
	switch {
	case !ok:
	case !httpheader.IsToken(text):
		r.fail(n, at, "must be the name of a header like Jobhub-Key, not %q", text)
	case slices.Contains(taken, name) || httpheader.IsHopByHop(name) || hasPrefix(name, "Content-", "Accept-", "If-", "Sec-", "X-Forwarded-", "Access-Control-"):
		r.fail(n, at, "must not be %s, which has a meaning of its own; choose a name like Jobhub-Key", name)
	default:
		return text
	}
	return ""
}

func hasPrefix(name string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func (r *reader) ranges(n *yaml.Node, at string, to *[]netip.Prefix) {
	r.list(n, at, func(n *yaml.Node, at string) {
		text, ok := r.text(n, at)
		if !ok {
			return
		}
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			r.fail(n, at, "must be a range like 10.0.0.0/8 or 127.0.0.1/32, not %q", text)
		case prefix != prefix.Masked():
			r.fail(n, at, "has host bits set; write %s", prefix.Masked())
		default:
			*to = append(*to, prefix)
		}
	})
}

// limit reads a positive number.
func (r *reader) limit(to *int) field {
	return func(n *yaml.Node, at string) { *to, _ = r.number(n, at, 1, maxNumber) }
}

func (r *reader) queue(key, n *yaml.Node, at string, c *Config) (q Queue) {
	if !jobs.WellFormedName(key.Value) {
		r.fail(key, at, "must have a name of "+jobs.NameRule)
		return q
	}
	fields := map[string]field{
		"concurrency": r.limit(&q.Concurrency), "capacity": r.limit(&q.Capacity), "per_key": r.limit(&q.PerKey),
		"rate": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok {
				if q.Rate, ok = jobs.ParseRate(text); !ok {
					r.fail(n, at, "must be like 10/s, 100/m or 5/30s, not %q", text)
				}
			}
		},
		"queue_timeout": func(n *yaml.Node, at string) { q.QueueTimeout, _ = r.duration(n, at, time.Millisecond, 10*year) },
		"callbacks": func(n *yaml.Node, at string) {
			r.list(n, at, func(n *yaml.Node, at string) { q.Callbacks = append(q.Callbacks, r.callback(n, at, c)) })
		},
	}
	r.mapping(n, at, fields)
	return q
}

func (r *reader) callback(n *yaml.Node, at string, file *Config) (c jobs.Callback) {
	r.mapping(n, at, map[string]field{
		"url": func(n *yaml.Node, at string) {
			if u, ok := r.url(n, at); ok {
				c.URL = u.String()
				file.callbackURLs = append(file.callbackURLs, callbackURL{n.Line, at, c.URL})
			}
		},
		"events": r.texts(&c.Events, func(n *yaml.Node, at, text string) bool {
			for t := jobs.JobScheduled; t <= jobs.JobCancelled; t++ {
				if text == t.String() && t.Lasting() {
					return true
				}
			}
			r.fail(n, at, "must be a change of a job's state, like job.succeeded or job.failed, not %q", text)
			return false
		}),
		"secret": func(n *yaml.Node, at string) {
			one := func(n *yaml.Node, at string) {
				text, ok := r.text(n, at)
				if !ok {
					return
				}
				c.Secrets = append(c.Secrets, jobs.Secret(text))
				if _, err := jobs.Secret(text).Key(); err != nil { // the error does not contain the secret
					r.fail(n, at, "%s, as from: echo whsec_$(openssl rand -base64 32)", err)
				}
			}
			if n.Kind != yaml.SequenceNode {
				one(n, at)
				return
			}
			if r.list(n, at, one); len(n.Content) < 1 || len(n.Content) > 2 {
				r.fail(n, at, "must be a secret, or a list of the new one and the old one")
			}
		},
	})
	if n.Kind == yaml.MappingNode && c.URL == "" && !r.failedIn(at) {
		r.fail(n, at, "needs a url")
	}
	return c
}

// collector reads the base URL of an OpenTelemetry collector.
func (r *reader) collector(n *yaml.Node, at string) string {
	text, ok := r.text(n, at)
	u, err := url.Parse(text)
	switch {
	case !ok:
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		r.fail(n, at, "must be a URL like http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		r.fail(n, at, "must not have a user name, password, ? or #; set credentials in the variable OTEL_EXPORTER_OTLP_HEADERS")
	default:
		return text
	}
	return ""
}

// failedIn reports whether there is an error below at.
func (r *reader) failedIn(at string) bool {
	return slices.ContainsFunc(r.errs, func(e Error) bool { return strings.HasPrefix(e.At, at) })
}

// url reads the URL of an HTTP API.
func (r *reader) url(n *yaml.Node, at string) (*url.URL, bool) {
	text, ok := r.text(n, at)
	if !ok {
		return nil, false
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		r.fail(n, at, "must be a URL like http://127.0.0.1:9000")
	case u.User != nil:
		r.fail(n, at, "must not have a user name and password; callers send an Authorization header")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		r.fail(n, at, "must not have a #")
	case strings.HasSuffix(u.Host, ":"):
		r.fail(n, at, "has no port after the colon")
	default:
		return u, true
	}
	return nil, false
}

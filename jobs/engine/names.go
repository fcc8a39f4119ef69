package engine

import (
	"cmp"
	"sync"

	"jobhub/jobs"
)

// NameLimits are how many queues and kinds a tenant can name; zero for the default.
type NameLimits struct {
	Queues int
	Kinds  int // of those without a handler in the process, since its start: the store keeps no list of kinds
}

// names counts the queues and kinds of each tenant.
type names struct {
	mu     sync.Mutex // protects the fields below
	limits NameLimits
	queues map[string]map[string]struct{} // by tenant
	kinds  map[string]map[string]struct{}
}

func newNames() *names {
	n := &names{queues: map[string]map[string]struct{}{}, kinds: map[string]map[string]struct{}{}}
	n.limit(NameLimits{})
	return n
}

func (n *names) limit(l NameLimits) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.limits = NameLimits{cmp.Or(l.Queues, DefaultQueues), cmp.Or(l.Kinds, DefaultKinds)}
}

// mention adds a queue and a kind to those of a tenant; an empty name is ignored. If one of
// them exceeds its limit, neither is added.
func (n *names) mention(tenant, queue, kind string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if most := n.limits.Queues; tooMany(n.queues[tenant], queue, most) {
		return tooManyNames("queues", most)
	}
	if most := n.limits.Kinds; tooMany(n.kinds[tenant], kind, most) {
		return tooManyNames("kinds", most)
	}
	add(n.queues, tenant, queue)
	add(n.kinds, tenant, kind)
	return nil
}

// know adds a queue that exists already, whatever the limit.
func (n *names) know(tenant, queue string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	add(n.queues, tenant, queue)
}

func (n *names) has(tenant, queue string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.queues[tenant][queue]
	return known
}

func tooMany(known map[string]struct{}, name string, most int) bool {
	_, old := known[name]
	return name != "" && !old && len(known) >= most
}

func add(to map[string]map[string]struct{}, tenant, name string) {
	if name == "" {
		return
	}
	if to[tenant] == nil {
		to[tenant] = map[string]struct{}{}
	}
	to[tenant][name] = struct{}{}
}

func tooManyNames(what string, most int) error {
	p := jobs.NewProblem(jobs.LimitExceeded, "Too many "+what, "There are %d %s already, as many as there may be. Use one of them, or raise limits.%s in the hub's configuration.", most, what, what)
	p.Status = 422
	return p
}

// SetLimits changes how many queues and kinds a tenant can name. What is there stays.
func (e *Engine) SetLimits(l NameLimits) { e.names.limit(l) }

// mention counts the queue and the kind of a submission. Kinds with a handler in this process
// do not count.
func (e *Engine) mention(s *jobs.Spec) error {
	if s.ByEngine.Trusted {
		return nil
	}
	kind := s.Kind
	if _, ok := e.attempts.handler(kind); ok {
		kind = ""
	}
	return e.names.mention(s.Tenant, s.Queue, kind)
}

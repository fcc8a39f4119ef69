package jobs

import (
	"cmp"
	"sync"
)

// NameLimits are how many queues and kinds a tenant can name; zero for the default.
type NameLimits struct {
	Queues int
	Kinds  int // of those without a handler in the process, since its start: the store keeps no list of kinds
}

// names are the queues and kinds that tenants have mentioned.
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

// mention takes in a queue and a kind of a tenant, each if it is not empty. It refuses both
// if one of them is one too many.
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

// know takes in a queue that is there, however many there are.
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
	p := newProblem(LimitExceeded, "Too many "+what, "There are %d %s already, as many as there may be. Use one of them, or raise limits.%s in the hub's configuration.", most, what, what)
	p.Status = 422
	return p
}

// SetLimits changes how many queues and kinds a tenant can name. What is there stays.
func (e *Engine) SetLimits(l NameLimits) { e.names.limit(l) }

// mention takes in what a submission names. Kinds that have a handler here are no
// invention of the caller.
func (e *Engine) mention(s *Spec) error {
	if s.inside {
		return nil
	}
	kind := s.Kind
	if _, ok := e.handler(kind); ok {
		kind = ""
	}
	return e.names.mention(s.Tenant, s.Queue, kind)
}

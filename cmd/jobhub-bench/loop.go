package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// onTheWay is how long an event may take to the slowest client in a closed loop.
const onTheWay = 500 * time.Millisecond

// loop closes the loop between a publisher and an audience: at any time, the number of events
// that are published but have not reached the slowest client is about what that client gets
// in onTheWay. So a server of any speed is always busy, and its queues stay short.
type loop struct {
	audience *audience

	mu     sync.Mutex // protects the fields below
	room   *sync.Cond // signals a change
	sent   uint64     // published, or about to be
	least  uint64     // events that the slowest client has
	window uint64
	over   bool
}

func newLoop(a *audience) *loop {
	l := &loop{audience: a, window: 16}
	l.room = sync.NewCond(&l.mu)
	return l
}

// grant waits until events may be published, and returns how many: at most most, and 0 when
// the loop has ended.
func (l *loop) grant(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		free := int64(l.least+l.window) - int64(l.sent)
		if l.over {
			return 0
		}
		if least := int64(min(l.window/8, uint64(most))); free >= max(least, 1) { // several at once
			n := int(min(free, int64(most)))
			l.sent += uint64(n)
			return n
		}
		l.room.Wait()
	}
}

// follow reads the counters of the audience until the loop has ended.
func (l *loop) follow(ctx context.Context) {
	tuned, before := time.Now(), uint64(0)
	for {
		_, least, _ := l.audience.heard()
		l.mu.Lock()
		l.least = least
		if passed := time.Since(tuned); passed > onTheWay/2 {
			rate := float64(least-before) / passed.Seconds()
			l.window = min(max(uint64(rate*onTheWay.Seconds()), 4), 50_000)
			tuned, before = time.Now(), least
		}
		l.over = l.over || ctx.Err() != nil || l.audience.failed() != nil
		over := l.over
		l.mu.Unlock()
		l.room.Broadcast()
		if over {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// end lets publishers stop.
func (l *loop) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.room.Broadcast()
}

// speed is the result of a closed loop.
type speed struct {
	delivered      float64 // events a second, by all clients together
	size           float64 // bytes of an event
	perFrame       float64 // events in a frame
	server, client float64 // seconds of CPU in a second
}

// measure runs a closed loop: publish is called until it returns, which it does when
// grant gives nothing. Then every client must have got every event exactly once.
func (l *loop) measure(ctx context.Context, pid int, warmup, length time.Duration, publish func() error) (s speed, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { l.follow(ctx) })
	published := make(chan error, 1)
	background.Go(func() { published <- publish(); l.end() })
	defer func() {
		l.end()
		background.Wait()
	}()
	if err := l.running(ctx, warmup, published); err != nil {
		return s, err
	}
	type look struct {
		at      time.Time
		events  uint64
		server  int64
		process time.Duration
	}
	see := func() (k look, err error) {
		u, err := usageOf(pid)
		k.at, k.server, k.process = time.Now(), u.ticks, ownTime()
		k.events, _, _ = l.audience.heard()
		return k, err
	}
	begin, err := see()
	if err != nil {
		return s, err
	}
	if err := l.running(ctx, length, published); err != nil {
		return s, err
	}
	end, err := see()
	if err != nil {
		return s, err
	}
	l.end()
	if err := <-published; err != nil {
		return s, err
	}
	if err := l.audience.await(ctx, l.sent); err != nil {
		return s, err
	}
	total, bytes := uint64(0), uint64(0)
	first := l.audience.members[0].size.Load()
	for i, m := range l.audience.members {
		if size := m.size.Load(); size != first {
			return s, fmt.Errorf("client %d got events of %d bytes in all, and client 0 of %d", i, size, first)
		}
		total, bytes = total+m.counter.events, bytes+m.counter.bytes
	}
	took := end.at.Sub(begin.at).Seconds()
	return speed{
		delivered: float64(end.events-begin.events) / took,
		size:      float64(bytes) / float64(total),
		perFrame:  float64(total) / float64(l.audience.frameCount()),
		server:    float64(end.server-begin.server) / 100 / took,
		client:    (end.process - begin.process).Seconds() / took,
	}, nil
}

// running waits while the publisher publishes.
func (l *loop) running(ctx context.Context, t time.Duration, published chan error) error {
	select {
	case <-time.After(t):
		return l.audience.failed()
	case err := <-published:
		published <- err
		if err == nil {
			err = l.audience.failed()
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ownTime is the CPU time of this process.
func ownTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

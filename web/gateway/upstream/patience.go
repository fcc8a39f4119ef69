package upstream

import (
	"context"
	"sync"
	"time"
)

// timeoutError is the error of a request whose timeout is over. It implements net.Error.
type timeoutError struct{}

func (timeoutError) Error() string   { return "the upstream did not answer in time" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// patience ends a request when its time is over: that of all tries, but not the time in which
// the request is being sent.
type patience struct {
	end context.CancelCauseFunc

	mu    sync.Mutex // protects the fields below
	left  time.Duration
	timer *time.Timer // runs since begun; nil if there is no timeout
	begun time.Time
	runs  bool
	over  bool // by the timer or by stop
}

func newPatience(timeout time.Duration, end context.CancelCauseFunc) *patience {
	p := &patience{end: end, left: timeout}
	if timeout > 0 {
		p.begun, p.runs = time.Now(), true
		p.timer = time.AfterFunc(timeout, p.expire)
	}
	return p
}

func (p *patience) expire() {
	p.mu.Lock()
	expired := p.runs && !p.over && time.Since(p.begun) >= p.left
	p.over = p.over || expired
	p.mu.Unlock()
	if expired {
		p.end(timeoutError{})
	}
}

// pause stops the clock while the request is sent.
func (p *patience) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs {
		p.runs = false
		p.timer.Stop()
		p.left = max(p.left-time.Since(p.begun), 1)
	}
}

// resume lets the clock go on.
func (p *patience) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil && !p.runs && !p.over {
		p.begun, p.runs = time.Now(), true
		p.timer.Reset(p.left)
	}
}

// stop ends the clock as the answer has begun. It returns false if the time was over before.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return true
	}
	if p.over {
		return false
	}
	p.over = true
	p.timer.Stop()
	return true
}

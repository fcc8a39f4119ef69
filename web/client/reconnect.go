package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	stable     = 10 * time.Second // a connection that lasts this long was successful
)

// reconnect is the hub's request to reconnect after that time.
type reconnect time.Duration

func (r reconnect) Error() string {
	return fmt.Sprintf("the hub asks to reconnect in %s", time.Duration(r))
}

// again reports whether to connect again after a connection ended with err.
func again(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		switch p.Status {
		case 0:
			return p.retry
		case 408, 425, 429:
			return true
		}
		return p.Status >= 500
	}
	if errors.Is(err, errProtocol) || errors.Is(err, websocket.ErrMessageTooBig) {
		return false // the next connection would fail in the same way
	}
	switch code := websocket.CloseStatus(err); {
	case code >= 4100 && code < 4200: // it would fail again with the same token; see expired
		return false
	case code >= 4400 && code < 4500:
		return false
	case code == 1002, code == 1003, code == 1007, code == 1008, code == 1009, code == 1010: // an error of this client, which would happen again
		return false
	}
	return true
}

// expired reports whether a connection ended with err because its token was refused.
func expired(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Status == http.StatusUnauthorized || p.Status == 0 && p.Code == "unauthorized"
	}
	code := websocket.CloseStatus(err)
	return code >= 4100 && code < 4200
}

// renew drops a token that the hub refused, so that the next connection fetches another. It
// returns false if the refused token was new, as another one would be refused too.
func (w *watcher) renew(err error) bool {
	if !expired(err) || w.options.Token == nil || w.renewed {
		return false
	}
	w.token = ""
	return true
}

// pause returns how long to wait before the next connection: the time that the hub asked
// for, plus a random part of a time that doubles with each failure, so that the clients of a
// restarted hub don't all connect at once.
func (w *watcher) pause(err error) time.Duration {
	most := min(firstPause<<w.failures, maxPause)
	w.failures = min(w.failures+1, 16)
	pause := rand.N(most)
	if r, ok := errors.AsType[reconnect](err); ok {
		pause += time.Duration(r)
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		pause += p.RetryAfter
	}
	return pause
}

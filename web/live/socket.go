package live

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/limit"
	"jobhub/web/rest"
)

const (
	subprotocol = "jobhub.v1"
	pingEvery   = 25 * time.Second
)

// socket is one WebSocket connection. One goroutine reads messages and handles them;
// another one sends live events, and exists only while there is something to send:
//
//	run ─ handle ─ serve ─ subscribe …          (the block: subscribed … live)
//	hub's worker ─ wake ─ deliver                (chunks of events, patches of a view)
//	timer ─ beat                                 (ping, end of the credentials)
//
// Code that sends or moves the cursor holds mu.
type socket struct {
	subscriber
	id      string
	remote  string
	address netip.Addr // of remote
	since   time.Time
	conn    *websocket.Conn
	wire    *wire
	timer   *time.Timer

	due   atomic.Bool // the hub has something
	about atomic.Pointer[about]
	sent  atomic.Int64 // time of the last write, in Unix nanoseconds

	expires atomic.Int64 // expiry of the credentials, in Unix nanoseconds; 0 for never

	mu      sync.Mutex     // protects the fields below, the cursor, and sending
	replies framer         // empty whenever the connection is unlocked
	limits  *limit.Verdict // of opening the connection; nil before the caller is known
	closing bool
	waiting bool     // for a hello with credentials
	first   *message // the subscription of the query, opened after the hello
	warned  bool     // the client was warned that the credentials expire
	warnAt  time.Time
	unhear  func() // stops listening for the end of the credentials; nil if nothing listens
	viewID  string
	viewer  *hub.Viewer
}

var errGone = errors.New("the connection is gone")

// socket is GET /v1/ws.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) error {
	if !strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Upgrade"), ",")), "websocket") { // the library checks the rest
		w.Header().Set("Upgrade", "websocket")
		return upgradeProblem(http.StatusUpgradeRequired, "This address speaks WebSocket only, subprotocol "+subprotocol+".")
	}
	who, expired, err := s.caller(r)
	waiting := err == rest.ErrAnonymous
	var first *message
	if err == nil || waiting {
		first, err = queryMessage(r)
	}
	if err != nil {
		return err
	}
	var limits *limit.Verdict
	if !waiting && !expired {
		limits = s.Limit(r.Context(), w.Header(), rest.ClientAddress(r), who)
		if err := limits.Err(); err != nil {
			return err
		}
	}
	if !s.Gate.Enter(&s.sockets) {
		release(limits)
		return jobs.Unavailable("Shutting down", "The hub is shutting down; reconnect in a few seconds.")
	}
	c := &socket{id: rand.Text()[:10], remote: r.RemoteAddr, address: rest.ClientAddress(r), since: time.Now(), waiting: waiting, first: first, limits: limits}
	c.replies.socket = c
	c.subscriber = subscriber{Server: s, out: &c.replies}
	if c.cursor, err = s.follow(r.Context(), c.wake); err != nil { // before the 101, so that no event after it is missed
		release(limits)
		s.sockets.Done()
		return err
	}
	c.mu.Lock()
	if c.accept(w, r) != nil {
		release(limits)
		s.sockets.Done()
		return nil
	}
	s.counters.opened.add("ws")
	stays := s.join(c)
	if expired {
		c.closeLocked(statusExpired, "get a new token")
	} else if !waiting {
		c.identified(who)
		c.welcome() // here, as it needs a deep stack, and the stack of run lives as long as the connection
	}
	c.describe()
	c.timer = time.AfterFunc(time.Hour, c.beat)
	c.timer.Reset(c.nextBeat(time.Now()))
	c.unlock()
	if !stays {
		c.goAway(0)
	}
	go c.run() // Server.Close waits for it; net/http's own goroutine and buffers end here
	return nil
}

// accept upgrades the request to a WebSocket, or answers why it can't.
func (c *socket) accept(w http.ResponseWriter, r *http.Request) (err error) {
	c.wire = &wire{stall: c.StallLimit, slow: c.cursor.Suspend, closed: c.counters.closed}
	u := &upgrade{ResponseWriter: w, wire: c.wire}
	c.conn, err = websocket.Accept(u, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol},
		InsecureSkipVerify: true, // admit has checked Host and Origin, more strictly
		OnPingReceived:     c.pong,
	})
	if err != nil {
		c.Fail(w, r, upgradeProblem(u.status, strings.TrimSpace(string(u.refusal))))
		return err
	}
	c.conn.SetReadLimit(rest.MaxMessage)
	return nil
}

func upgradeProblem(status int, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Not a WebSocket handshake", "%s", detail)
	if p.Status = status; status == http.StatusUpgradeRequired {
		p.Code, p.Title, p.Type = jobs.Unsupported, "Upgrade required", "urn:jobhub:problem:unsupported"
	}
	return p
}

// run serves a connection until its end. Each message is handled by a goroutine of its own,
// one after the other: a deep stack would live as long as the connection.
func (c *socket) run() {
	defer c.sockets.Done()
	defer c.part(c)
	defer c.end()
	served := make(chan error)
	for {
		frame, err := c.read()
		if err == nil {
			go func() {
				var err error
				defer func() { served <- err }()
				defer c.recovered(func() { c.close(websocket.StatusInternalError, "internal error"); err = errGone })
				err = c.handle(c.Stopped, frame)
			}()
			err = <-served
		}
		if err != nil {
			break
		}
	}
	if c.wire.verdict != 0 {
		c.close(c.wire.verdict, "")
	}
}

// recovered ends only the connection after a panic, not the hub: the data of one job may
// cause it.
func (c *socket) recovered(end func()) {
	if p := recover(); p != nil {
		c.Logger.Error("a WebSocket connection panicked", "panic", p, "stack", string(debug.Stack()))
		end()
	}
}

// welcome sends the first message, and opens the subscription of the query if there is one.
func (c *socket) welcome() error {
	c.say(appendWelcome(nil, c.id, jobs.Position{Epoch: c.Hub.Epoch(), Seq: c.cursor.Seq()}))
	if first := c.first; first != nil {
		c.first = nil
		err := c.open(c.Stopped, *first, true)
		if errors.Is(err, errGone) || c.Stopped.Err() != nil {
			return errGone
		}
		if err != nil {
			c.refuse(*first, err)
		}
	}
	return c.replies.flush()
}

// read returns the client's next message.
func (c *socket) read() ([]byte, error) {
	kind, frame, err := c.conn.Read(context.Background()) // ended by closing the connection
	switch {
	case err != nil:
		return nil, err
	case kind != websocket.MessageText:
		c.close(websocket.StatusUnsupportedData, "this protocol has text frames only")
	case !utf8.Valid(frame): // RFC 6455 section 8.1; the library leaves this to us
		c.close(websocket.StatusInvalidFramePayloadData, "the message is not UTF-8")
	default:
		return frame, nil
	}
	return nil, errGone
}

// end frees what a connection holds.
func (c *socket) end() {
	c.wire.endWrites(rest.CloseTimeout)
	c.wire.drain() // until the client has closed, too
	c.wire.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.stopListening()
	c.timer.Stop()
	c.cursor.Close()
	c.unwatch()
	release(c.limits)
	c.conn.CloseNow()
}

// release ends a connection for the limits of its caller, which may be nil.
func release(limits *limit.Verdict) {
	if limits != nil {
		limits.Release()
	}
}

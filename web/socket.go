package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"jobhub/hub"
	"jobhub/jobs"
)

const (
	subprotocol     = "jobhub.v1"
	maxMessage      = 256 << 10 // bytes of a client's frame
	maxFrame        = 64 << 10  // bytes gathered into one frame, unless a single object is larger
	maxSubs         = 1000      // of one connection
	maxSnapshot     = 1000      // jobs in the snapshot of a wide subscription
	pingEvery       = 25 * time.Second
	stallLimit      = 30 * time.Second
	spreadReconnect = 2 * time.Second
)

// socket is one WebSocket connection. One goroutine reads frames; all else happens in
// the one that runs loop:
//
//	read ─frames→ loop → handle → subscribe …   (blocks: subscribed … live)
//	              loop → pump                    (events, as the cursor is woken)
//	              loop → patch                   (the dashboard's view)
//
// What has to be sent is gathered in out and leaves in one frame.
type socket struct {
	*Server
	conn   *websocket.Conn
	tenant string
	cursor *hub.Cursor
	viewID string
	viewer *hub.Viewer
	out    []byte
}

var errGone = errors.New("the connection is gone")

// socket is GET /v1/ws.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		s.fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Upgrade required", Code: jobs.Unsupported, Status: http.StatusUpgradeRequired,
			Detail: "This address speaks WebSocket only, subprotocol " + subprotocol + "."})
		return
	}
	first, err := queryMessage(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !s.enter() {
		s.fail(w, r, jobs.Unavailable("Shutting down", "The hub is shutting down; come back in a moment."))
		return
	}
	defer s.sockets.Done()
	c := &socket{Server: s, tenant: tenant(r), cursor: s.Hub.Cursor()} // before the 101, so that nothing after it is missed
	defer c.cursor.Close()
	if c.conn, err = websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol},
		InsecureSkipVerify: true, // admit has checked Host and Origin, more strictly
	}); err != nil {
		return
	}
	defer c.conn.CloseNow()
	c.conn.SetReadLimit(maxMessage)
	ctx, cancel := context.WithCancel(s.stopped)
	defer cancel()
	frames := make(chan []byte)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(frames)
		c.read(ctx, frames)
	}()
	c.loop(ctx, frames, first)
	cancel()
	c.conn.CloseNow()
	<-done
}

// queryMessage is the subscription in the query string, if there is one.
func queryMessage(r *http.Request) (*message, error) {
	bad := func(format string, args ...any) (*message, error) {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed query", format, args...)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("The query can't be read: %v.", err)
	}
	if len(query) == 0 {
		return nil, nil
	}
	m := &message{Type: "subscribe", ID: "q"}
	var position since
	for name, values := range query {
		value := values[0]
		if len(values) > 1 {
			return bad("The parameter %s stands there more than once.", name)
		}
		switch name {
		case "job":
			m.Job = appendText(nil, value)
		case "queue":
			m.Queue = &value
		case "tag":
			m.Tag = &value
		case "kind":
			m.Kind = &value
		case "all", "snapshot":
			if value != "0" && value != "1" {
				return bad("%s takes 1 or 0.", name)
			}
			if name == "all" {
				m.All = value == "1"
			} else {
				m.Snapshot = value == "1"
			}
		case "progress":
			m.Progress = value
		case "epoch":
			position.Epoch = value
			m.Since = &position
		case "seq":
			seq, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return bad("seq takes a whole number.")
			}
			position.Seq = seq
			m.Since = &position
		default:
			return bad("There is no parameter %s; there are job, queue, tag, kind, all, snapshot, progress, epoch and seq.", name)
		}
	}
	_, err = m.subscription("")
	if errors.Is(err, jobs.ErrNotFound) {
		err = nil // said over the connection, as for an unknown id
	}
	return m, err
}

// read passes on the client's frames until the connection ends.
func (c *socket) read(ctx context.Context, frames chan<- []byte) {
	for {
		kind, frame, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			c.conn.Close(websocket.StatusUnsupportedData, "this protocol has text frames only")
			return
		}
		if !utf8.Valid(frame) { // RFC 6455 section 8.1; the library leaves this to us
			c.conn.Close(websocket.StatusInvalidFramePayloadData, "the frame is not UTF-8")
			return
		}
		select {
		case frames <- frame:
		case <-ctx.Done():
			return
		}
	}
}

func (c *socket) loop(ctx context.Context, frames <-chan []byte, first *message) {
	defer c.unwatch()
	c.line(appendWelcome(nil, rand.Text()[:10], c.Hub.Position()))
	if first != nil {
		if err := c.dispatch(ctx, *first, true); err != nil {
			return
		}
	}
	ping := time.NewTimer(pingEvery)
	defer ping.Stop()
	for {
		if len(c.out) > 0 {
			ping.Reset(pingEvery)
		}
		if c.flush(ctx) != nil {
			return
		}
		var changed <-chan struct{}
		if c.viewer != nil {
			changed = c.viewer.Wake()
		}
		var err error
		select {
		case frame, ok := <-frames:
			if !ok {
				return
			}
			err = c.handle(ctx, frame)
		case <-c.cursor.Wake():
			err = c.pump(ctx, math.MaxUint64)
		case <-changed:
			if fragments, seq := c.viewer.Next(); len(fragments) > 0 {
				c.line(appendPatch(nil, c.viewID, seq, fragments))
			}
		case <-ping.C:
			if err = c.pump(ctx, math.MaxUint64); err == nil {
				c.line([]byte(`{"type":"ping","seq":` + strconv.FormatUint(c.cursor.Seq(), 10) + `}`))
			}
		case <-c.drain:
			after := mathrand.Int64N(spreadReconnect.Milliseconds())
			c.line([]byte(`{"type":"reconnect","after_ms":` + strconv.FormatInt(after, 10) + `}`))
			if c.flush(ctx) == nil {
				c.conn.Close(websocket.StatusServiceRestart, "the hub restarts")
			}
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			if !errors.Is(err, errGone) && ctx.Err() == nil {
				c.Logger.Error("a WebSocket connection failed", "error", err)
				c.conn.Close(websocket.StatusInternalError, "internal error")
			}
			return
		}
	}
}

// line adds one object to what is to be sent.
func (c *socket) line(object []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, '\n')
	}
	c.out = append(c.out, object...)
}

// flush sends what was gathered.
func (c *socket) flush(ctx context.Context) error {
	if len(c.out) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stallLimit)
	defer cancel()
	err := c.conn.Write(ctx, websocket.MessageText, c.out)
	if cap(c.out) > 4*maxFrame {
		c.out = nil
	}
	c.out = c.out[:0]
	if err != nil {
		return errGone
	}
	return nil
}

func (c *socket) events(ctx context.Context, events []*hub.Event) error {
	for _, e := range events {
		if c.line(e.JSON()); len(c.out) >= maxFrame {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pump sends the events that the subscriptions select, up to limit.
func (c *socket) pump(ctx context.Context, limit uint64) error {
	for {
		events, more, err := c.cursor.Next(ctx, limit, 512)
		if errors.Is(err, jobs.ErrTrimmed) {
			if err := c.gap(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := c.events(ctx, events); err != nil || !more {
			return err
		}
	}
}

// gap tells each subscription that it missed events and gives it the state anew.
func (c *socket) gap(ctx context.Context) error {
	from := c.cursor.Seq()
	c.cursor.Skip(c.Hub.Position().Seq)
	for id, sub := range c.cursor.All() {
		if err := c.snapshot(ctx, id, sub, func(pos jobs.Position) []byte { return appendGap(nil, id, from, pos.Seq, "expired") }); err != nil {
			return err
		}
	}
	return nil
}

// handle serves the messages of one frame.
func (c *socket) handle(ctx context.Context, frame []byte) error {
	for line := range bytes.SplitSeq(frame, []byte{'\n'}) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		m, err := decodeMessage(line)
		if err != nil {
			c.line(appendError(nil, m.ID, err))
			continue
		}
		if err := c.dispatch(ctx, m, false); err != nil {
			return err
		}
	}
	return nil
}

// dispatch serves one message. Its error ends the connection; all that is the
// client's is answered with an error message instead.
func (c *socket) dispatch(ctx context.Context, m message, query bool) error {
	err := c.serve(ctx, m, query)
	if errors.Is(err, errGone) || ctx.Err() != nil {
		return errGone
	}
	if err != nil {
		if problemOf(err).Status >= 500 {
			c.Logger.Error("serving a message", "type", m.Type, "error", err)
		}
		c.line(appendError(nil, m.ID, err))
	}
	return nil
}

func (c *socket) serve(ctx context.Context, m message, query bool) error {
	if m.ID == "" && m.Type != "ping" && m.Type != "hello" {
		return jobs.NewProblem(jobs.BadMessage, "Malformed message", "A message of type %q needs an id.", m.Type)
	}
	switch m.Type {
	case "subscribe":
		if m.View != nil {
			return c.watch(ctx, m)
		}
		return c.subscribe(ctx, m, query)
	case "unsubscribe":
		if m.ID == c.viewID && c.viewer != nil {
			c.unwatch()
		} else if !c.cursor.Unsubscribe(m.ID) {
			return jobs.NewProblem(jobs.NotFound, "Not found", "There is no subscription %s.", m.ID)
		}
		c.line(appendReply(nil, m.ID, []byte("{}")))
	case "submit":
		return c.submit(ctx, m)
	case "cancel", "get":
		id, err := m.jobID()
		if err != nil {
			return err
		}
		read := c.Store.Job
		if m.Type == "cancel" {
			read = c.Engine.Cancel
		}
		job, pos, err := read(ctx, c.tenant, id)
		if err != nil {
			return err
		}
		c.line(appendReply(nil, m.ID, appendJob(nil, &job, pos)))
	case "hello", "refresh": // without keys there is nothing to check
		if m.ID != "" {
			c.line(appendReply(nil, m.ID, []byte("{}")))
		}
	case "ping":
		t := m.T
		if t == nil {
			t = jobs.Value("null")
		}
		c.line(append(append([]byte(`{"type":"pong","t":`), t...), '}'))
	default:
		return jobs.NewProblem(jobs.Unsupported, "Unknown message", "There is no message of type %q.", m.Type)
	}
	return nil
}

// submit accepts a job and, with watch, subscribes to it from its first event on.
func (c *socket) submit(ctx context.Context, m message) error {
	if m.Job == nil {
		return jobs.NewProblem(jobs.BadMessage, "Malformed submit", "job takes the job to submit, as an object.")
	}
	spec, err := jobs.DecodeSpec(m.Job)
	if err != nil {
		return err
	}
	spec.Tenant = c.tenant
	if m.Key != "" {
		if spec.Key, err = socketKey(c.tenant, m); err != nil {
			return err
		}
	}
	if m.Watch {
		if err := c.mayOpen(m.ID); err != nil {
			return err
		}
	}
	if err := c.takesJobs(); err != nil {
		return err
	}
	accepted, err := c.Engine.Submit(ctx, spec)
	if err != nil {
		return err
	}
	c.line(appendReply(nil, m.ID, c.acceptedBody(accepted)))
	if !m.Watch {
		return nil
	}
	watch := message{Type: "subscribe", ID: m.ID, Job: appendText(nil, accepted.Job.ID.String()), Snapshot: accepted.Replayed}
	if !accepted.Replayed {
		watch.Since = &since{c.Hub.Epoch(), accepted.Job.Seq}
	}
	return c.subscribe(ctx, watch, false)
}

// watch subscribes the dashboard's page to its view.
func (c *socket) watch(ctx context.Context, m message) error {
	if m.Job != nil || m.Queue != nil || m.Tag != nil || m.Kind != nil || m.All {
		return jobs.NewProblem(jobs.BadMessage, "Malformed subscribe", "A view has no other filter.")
	}
	if err := c.mayOpen(m.ID); err != nil {
		return err
	}
	if c.viewer != nil {
		return jobs.NewProblem(limitExceeded, "One view at a time", "Unsubscribe from %s first.", c.viewID)
	}
	if err := c.findView(ctx, c.tenant, *m.View); err != nil {
		return err
	}
	c.viewID, c.viewer = m.ID, c.Hub.View(*m.View)
	return nil
}

func (c *socket) unwatch() {
	if c.viewer != nil {
		c.viewer.Close()
		c.viewer, c.viewID = nil, ""
	}
}

// mayOpen says why there can't be another subscription of that id, or nothing.
func (c *socket) mayOpen(id string) error {
	if c.cursor.Subscribed(id) || (c.viewer != nil && c.viewID == id) {
		return jobs.NewProblem(duplicateID, "Duplicate id", "A subscription %s exists already; choose another id.", id)
	}
	if c.cursor.Len() >= maxSubs {
		return jobs.NewProblem(limitExceeded, "Too many subscriptions", "A connection holds at most %d.", maxSubs)
	}
	return nil
}

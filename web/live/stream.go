package live

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// stream is one client of server-sent events (WHATWG HTML section 9.2): the messages of
// the live protocol as data, each with the position to resume from as its id.
type stream struct {
	subscriber
	body     http.ResponseWriter
	control  *http.ResponseController
	ctx      context.Context // of the request, and of the caller's credentials
	epoch    string
	begun    bool
	gathered []byte
}

// events is GET /v1/events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	r, last := lastEventID(r)
	who, err := s.Identify(r)
	var m *message
	if err == nil && who.Grant == nil {
		err = rest.Allow(who, auth.Watch)
	}
	if err == nil {
		m, err = queryMessage(r)
	}
	if err == nil && m == nil {
		err = jobs.NewProblem(jobs.BadMessage, "Malformed query", "Give exactly one of job, queue, kind, tag and all.")
	}
	if err != nil {
		return err
	}
	if last != "" {
		m.Since = positionOf(last)
	}
	limits := s.Limit(r.Context(), w.Header(), rest.ClientAddress(r), who)
	defer limits.Release()
	if err := limits.Err(); err != nil {
		return err
	}
	if !s.Gate.Enter(&s.sockets) {
		return jobs.Unavailable("Shutting down", "The hub is shutting down; reconnect in a few seconds.")
	}
	defer s.sockets.Done()
	ctx, cancel := s.WhileValid(r.Context(), who)
	defer cancel()
	defer context.AfterFunc(s.Stopped, cancel)()

	woken := make(chan struct{}, 1)
	cursor, err := s.follow(ctx, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer cursor.Close()
	e := &stream{ctx: ctx, body: w, control: http.NewResponseController(w), epoch: s.Hub.Epoch()}
	interrupted := make(chan struct{})
	spare := context.AfterFunc(ctx, func() { // a write may still be waiting for the client
		e.control.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer func() {
		if !spare() {
			<-interrupted
		}
		e.control.SetWriteDeadline(time.Time{}) // the end of the answer is still to be written
	}()
	e.subscriber = subscriber{Server: s, who: who, out: e, cursor: cursor}
	if err := e.subscribe(ctx, *m, true); err != nil { // by now a long block may have been sent in part
		if !e.begun && !errors.Is(err, errGone) {
			return err
		}
		return nil
	}
	if r.Method == http.MethodHead {
		e.begin()
		return nil
	}
	s.counters.opened.add("sse")
	if err := e.run(ctx, woken); err != nil && !errors.Is(err, errGone) && ctx.Err() == nil {
		s.Logger.Error("a stream of events failed", "error", err)
	}
	return nil
}

// lastEventID returns the id of the event after which a client wants to resume, and the
// request without it. Some replacements of EventSource can set no header and use a parameter.
func lastEventID(r *http.Request) (*http.Request, string) {
	id := r.Header.Get("Last-Event-ID")
	query := r.URL.Query()
	if !query.Has("lastEventId") {
		return r, id
	}
	id = cmp.Or(id, query.Get("lastEventId"))
	query.Del("lastEventId")
	without := r.Clone(r.Context())
	without.URL.RawQuery = query.Encode()
	return without, id
}

// positionOf reads the id of an event. A malformed id becomes a position that can't be resumed.
func positionOf(id string) *since {
	epoch, text, _ := strings.Cut(id, ":")
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return &since{}
	}
	return &since{epoch, seq}
}

func (e *stream) run(ctx context.Context, woken <-chan struct{}) error {
	ping := time.NewTimer(pingEvery)
	defer ping.Stop()
	for ctx.Err() == nil {
		if e.Auth != nil && e.Auth.Check(e.who, time.Now()) != nil {
			return errGone // its next request is refused
		}
		chunk, err := e.cursor.Next(ctx)
		switch {
		case errors.Is(err, jobs.ErrTrimmed):
			err = e.gap(ctx)
		case err == nil && chunk != nil:
			err = e.chunk(chunk)
		}
		if err != nil {
			return err
		}
		select {
		case <-e.Gate.Closing:
			return e.goAway()
		default:
		}
		if chunk != nil {
			continue
		}
		if err := e.flush(); err != nil {
			return err
		}
		ping.Reset(pingEvery)
		select {
		case <-woken:
		case <-ping.C:
			e.gathered = append(e.id(e.gathered, e.cursor.SkipUnmatched()), '\n')
		case <-e.Gate.Closing:
			return e.goAway()
		case <-ctx.Done():
			return errGone
		}
	}
	return errGone
}

// goAway tells the client to come back later.
func (e *stream) goAway() error {
	after := rand.N(spreadReconnect).Milliseconds()
	e.gathered = append(strconv.AppendInt(append(e.gathered, "retry: "...), after, 10), '\n')
	e.line(appendNumber(nil, "reconnect", "after_ms", after), nowhere)
	return e.flush()
}

func (e *stream) id(b []byte, seq uint64) []byte {
	b = append(append(append(b, "id: "...), e.epoch...), ':')
	return append(strconv.AppendUint(b, seq, 10), '\n')
}

func (e *stream) line(object []byte, at uint64) {
	if at != nowhere {
		e.gathered = e.id(e.gathered, at)
	}
	e.gathered = append(append(append(e.gathered, "data: "...), object...), "\n\n"...)
}

func (e *stream) full() bool { return len(e.gathered) >= rest.MaxFrame }

func (e *stream) flush() error {
	if len(e.gathered) == 0 {
		return nil
	}
	err := e.write(e.gathered)
	if e.gathered = e.gathered[:0]; cap(e.gathered) > 4*rest.MaxFrame {
		e.gathered = nil
	}
	return err
}

func (e *stream) chunk(chunk *hub.Chunk) error {
	if err := e.flush(); err != nil {
		return err
	}
	e.counters.sent(chunk)
	return e.write(chunk.Encoded(hub.ServerSentEvents, func(chunk *hub.Chunk) (b []byte) {
		for _, event := range chunk.Events {
			b = e.id(b, event.Seq)
			b = append(append(append(b, "data: "...), event.JSON()...), "\n\n"...)
		}
		return b
	}))
}

func (e *stream) begin() {
	e.begun = true
	h := e.body.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
}

// write sends bytes at once.
func (e *stream) write(b []byte) error {
	if !e.begun {
		e.begin()
	}
	if e.ctx.Err() != nil {
		return errGone
	}
	if _, err := e.body.Write(b); err != nil {
		return errGone
	}
	if err := e.control.Flush(); err != nil {
		return errGone
	}
	return nil
}

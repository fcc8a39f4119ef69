package trial

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/client"
)

// Socket is a connection to the hub's WebSocket, without the client's help.
type Socket struct {
	*websocket.Conn
	due []jsontext.Value // of the frame last read
}

// Said is a message of the hub.
type Said struct {
	client.Message
	ID string `json:"id"`
}

// Dial opens a connection with subscriptions in its query. It ends with the test.
func (h *Hub) Dial(query string) *Socket {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), Patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, h.URL+"/v1/ws?"+query, &websocket.DialOptions{Subprotocols: []string{"jobhub.v1"}})
	if err != nil {
		h.T.Fatal(err)
	}
	conn.SetReadLimit(64 << 20)
	h.T.Cleanup(func() { conn.CloseNow() })
	return &Socket{Conn: conn}
}

// Next returns the next message.
func (s *Socket) Next(ctx context.Context) (m Said, err error) {
	for len(s.due) == 0 {
		_, frame, err := s.Conn.Read(ctx)
		if err != nil {
			return m, err
		}
		for d := jsontext.NewDecoder(bytes.NewReader(frame)); ; {
			v, err := d.ReadValue()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return m, err
			}
			s.due = append(s.due, v.Clone())
		}
	}
	v := s.due[0]
	s.due = s.due[1:]
	return m, json.Unmarshal(v, &m)
}

// Events are those messages that are events.
func Events(messages []Said) (out []Said) {
	for _, m := range messages {
		if m.Event() {
			out = append(out, m)
		}
	}
	return out
}

// Whole reads all of the log.
func (h *Hub) Whole(ctx context.Context, epoch string) []Said {
	h.T.Helper()
	s := h.Dial("all=1&progress=all&seq=0&epoch=" + epoch)
	var all []Said
	for {
		m, err := s.Next(ctx)
		if err != nil {
			h.T.Fatal(err)
		}
		if m.Type == client.Subscribed && (m.Recovered == nil || !*m.Recovered) {
			h.T.Fatalf("the log can't be read from its beginning: %s", m.Reason)
		}
		if m.Type == client.Live {
			return Events(all)
		}
		all = append(all, m)
	}
}

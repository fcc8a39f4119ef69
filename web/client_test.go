package web_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/coder/websocket"
)

// client is a WebSocket connection that keeps a transcript.
type client struct {
	*world
	conn    *websocket.Conn
	objects []string // of the frame read last, not yet asked for
	talk    []string
}

// dial connects and takes the welcome.
func (w *world) dial(query string, headers ...string) *client {
	w.t.Helper()
	c := w.connect(query, headers...)
	if m := c.next(); m["type"] != "welcome" {
		w.t.Fatalf("first came %v", m)
	}
	return c
}

// connect opens a WebSocket; headers are names and values by turns.
func (w *world) connect(query string, headers ...string) *client {
	w.t.Helper()
	header, offered := http.Header{}, []string{"jobhub.v1"}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Sec-WebSocket-Protocol" {
			offered = append(offered, headers[i+1])
		} else {
			header.Set(headers[i], headers[i+1])
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), w.patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, w.url+"/v1/ws"+query, &websocket.DialOptions{HTTPClient: w.client, HTTPHeader: header, Subprotocols: offered})
	if err != nil {
		w.t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	w.t.Cleanup(func() { conn.CloseNow() })
	return &client{world: w, conn: conn}
}

// send sends one frame.
func (c *client) send(format string, args ...any) {
	c.t.Helper()
	text := fmt.Sprintf(format, args...)
	c.talk = append(c.talk, "> "+strings.ReplaceAll(text, "\n", "\n> "))
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// line is the next object, as it came.
func (c *client) line() (string, error) {
	if len(c.objects) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), c.patience)
		defer cancel()
		kind, frame, err := c.conn.Read(ctx)
		if err != nil {
			return "", err
		}
		if kind != websocket.MessageText {
			return "", fmt.Errorf("a frame of kind %v", kind)
		}
		c.objects = strings.Split(string(frame), "\n")
	}
	text := c.objects[0]
	c.objects = c.objects[1:]
	c.talk = append(c.talk, "< "+text)
	return text, nil
}

// next is the next object.
func (c *client) next() map[string]any {
	c.t.Helper()
	text, err := c.line()
	if err != nil {
		c.t.Fatalf("%v, after\n%s", err, strings.Join(c.talk, "\n"))
	}
	return decoded(c.t, text)
}

// until reads up to and with the next object of a type.
func (c *client) until(kind string) map[string]any {
	c.t.Helper()
	for {
		if m := c.next(); m["type"] == kind {
			return m
		}
	}
}

// quiet checks that nothing else has been sent: a ping is answered next.
func (c *client) quiet() {
	c.t.Helper()
	talk := len(c.talk)
	c.send(`{"type":"ping","t":"quiet?"}`)
	if m := c.next(); m["type"] != "pong" {
		c.t.Errorf("expected nothing more, got %v", m)
	}
	c.talk = c.talk[:talk]
}

// closed reads to the end and returns the close code.
func (c *client) closed() websocket.StatusCode {
	c.t.Helper()
	for {
		if _, err := c.line(); err != nil {
			if code := websocket.CloseStatus(err); code != -1 {
				return code
			}
			c.t.Fatal(err)
		}
	}
}

var (
	anID   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	aTime  = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ"`)
	aConn  = regexp.MustCompile(`"conn":"[A-Z2-7]{10}"`)
	blanks = regexp.MustCompile(`(?m)\s+$`)
)

// transcript is the talk without what differs from run to run: ids are numbered as
// they come, times and names of the log and the connection are blotted out.
func (c *client) transcript() string {
	names := map[string]string{}
	text := anID.ReplaceAllStringFunc(strings.Join(c.talk, "\n")+"\n", func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprintf("JOB-%d", len(names)+1)
		}
		return names[id]
	})
	text = aTime.ReplaceAllString(text, `"TIME"`)
	text = aConn.ReplaceAllString(text, `"conn":"CONN"`)
	text = blanks.ReplaceAllString(text, "") + "\n"
	return strings.ReplaceAll(text, `"epoch":"`+c.hub.Epoch()+`"`, `"epoch":"EPOCH"`)
}

// block reads one block of a subscription, from subscribed or gap to live, and fails
// if there is anything between.
func (c *client) block(id string) (head map[string]any, inner []map[string]any, live map[string]any) {
	c.t.Helper()
	for head = c.next(); head["type"] != "subscribed" && head["type"] != "gap"; head = c.next() {
	}
	if head["id"] != id {
		c.t.Fatalf("a block of %v, want %s", head["id"], id)
	}
	for {
		switch m := c.next(); m["type"] {
		case "live":
			if m["id"] != id {
				c.t.Fatalf("the block of %s ends with %v", id, m)
			}
			return head, inner, m
		case "state":
			if m["id"] != id || m["seq"] != head["seq"] && head["type"] == "subscribed" {
				c.t.Errorf("in the block of %s at %v: %v", id, head["seq"], m)
			}
			inner = append(inner, m)
		default:
			inner = append(inner, m)
		}
	}
}

func typesOf(messages []map[string]any) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprint(&b, m["type"], " ")
	}
	return strings.TrimSpace(b.String())
}

package web_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"jobhub/web/auth"
)

// show connects with credentials in an offered subprotocol; without any if empty.
func (w *world) show(query, credentials string) *client {
	w.t.Helper()
	protocols := []string{"jobhub.v1"}
	if credentials != "" {
		protocols = strings.Split(offered(credentials), ", ")
	}
	conn, _, err := websocket.Dial(w.t.Context(), w.url+"/v1/ws"+query, &websocket.DialOptions{HTTPClient: w.client, Subprotocols: protocols})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.CloseNow() })
	return &client{world: w, conn: conn}
}

// keyed runs a test with a clock of its own, on a hub that wants credentials. admin is
// a key.
func keyed(t *testing.T, test func(t *testing.T, w *world, admin string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		w.bearer = w.key(auth.Admin, "default")
		test(t, w, w.bearer)
		w.close()
	})
}

func TestNothingIsSentBeforeHello(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		id := w.submit(`{"kind":"nobody","queue":"q"}`)
		c := w.show("?queue=q&snapshot=1", "")
		w.submit(`{"kind":"nobody","queue":"q"}`)
		time.Sleep(9 * time.Second)
		c.send(`{"type":"hello","id":"h","token":"%s"}`, admin)
		if m := c.next(); m["type"] != "welcome" || number(t, m, "seq") != 2 {
			t.Errorf("first came %v", m)
		}
		if _, inner, _ := c.block("q"); typesOf(inner) != "state state" {
			t.Errorf("the subscription of the query has %v", inner)
		}
		if m := c.next(); m["type"] != "reply" || m["id"] != "h" {
			t.Errorf("hello was answered with %v", m)
		}
		w.do("POST", "/v1/jobs/"+id+"/cancel", "").want(200)
		if m := c.next(); m["type"] != "job.cancelled" || m["job"] != id {
			t.Errorf("after hello came %v", m)
		}
		c.conn.CloseNow()
	})
}

func TestWhoSaysNoHello(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		c := w.show("?all=1", "")
		from := time.Now()
		c.send(`{"type":"subscribe","id":"s","all":true}`)
		if code := c.closed(); code != 4401 || len(c.talk) != 1 {
			t.Errorf("who says something else is closed with %d after %v", code, c.talk)
		}
		c = w.show("?all=1", "")
		if code := c.closed(); code != 4408 || time.Since(from) != 10*time.Second {
			t.Errorf("closed with %d after %s, want 4408 after 10s", code, time.Since(from))
		}
		for token, want := range map[string]websocket.StatusCode{"jh_nobodys": 4401, "jht_e30.AAAA": 4401} {
			c := w.show("?all=1", "")
			c.send(`{"type":"hello","id":"h","token":"%s"}`, token)
			if m := c.next(); m["type"] != "error" || m["id"] != "h" || m["code"] != "unauthorized" {
				t.Errorf("%s: %v", token, m)
			}
			if code := c.closed(); code != want {
				t.Errorf("%s: closed with %d, want %d", token, code, want)
			}
		}
	})
}

func TestTokensOfConnectionsExpire(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		id := w.submit(`{"kind":"nobody","queue":"q","tags":["t"]}`)
		grant := `{"jobs":["` + id + `"],"actions":["watch","cancel"],"ttl":"10m"}`
		c := w.show("?job="+id, w.token(grant))
		c.until("live")
		from := time.Now()
		if m := c.until("expiring"); time.Since(from) != 9*time.Minute || number(t, m, "in_ms") != 60_000 {
			t.Errorf("after %s came %v", time.Since(from), m)
		}
		c.send(`{"type":"refresh","id":"r1","token":"%s"}`, w.token(`{"queues":["elsewhere"],"actions":["watch"]}`))
		if m := c.until("error"); m["id"] != "r1" || m["code"] != "forbidden" {
			t.Errorf("a token that does not cover the subscription: %v", m)
		}
		c.send(`{"type":"refresh","id":"r2","token":"%s"}`, w.token(grant))
		if m := c.until("reply"); m["id"] != "r2" {
			t.Errorf("refresh: %v", m)
		}
		from = time.Now()
		c.until("expiring")
		if time.Since(from) != 9*time.Minute {
			t.Errorf("after a refresh the warning came after %s", time.Since(from))
		}
		if code := c.closed(); code != 4100 || time.Since(from) != 10*time.Minute {
			t.Errorf("closed with %d after %s", code, time.Since(from))
		}

		old := w.token(grant)
		time.Sleep(10 * time.Minute)
		if code := w.show("?job="+id, old).closed(); code != 4100 {
			t.Errorf("the connection of a browser with an expired token is closed with %d", code)
		}
		c = w.show("", "")
		c.send(`{"type":"hello","token":"%s"}`, old)
		c.until("error")
		if code := c.closed(); code != 4100 {
			t.Errorf("hello with a token that has expired: %d", code)
		}
	})
}

func TestRevokedKeyEndsItsConnections(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		key, text, err := w.keys.Create(auth.Key{Role: auth.Viewer, Name: "screen"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c := w.show("?all=1", text)
		c.until("live")
		stream := w.stream("/v1/events?all=1", "Authorization", "Bearer "+text)
		if _, err := w.keys.Revoke(key.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		if code := c.closed(); code != 4403 || time.Since(from) > time.Second {
			t.Errorf("closed with %d after %s", code, time.Since(from))
		}
		stream.rest() // it ends, too
		w.with(text, "GET", "/v1/events?all=1", "").want(http.StatusUnauthorized)
	})
}

func TestWhatATokenMayDoLive(t *testing.T) {
	keyed(t, func(t *testing.T, w *world, admin string) {
		mine := w.submit(`{"kind":"nobody","queue":"q","tags":["t"]}`)
		other := w.submit(`{"kind":"nobody","queue":"other"}`)
		c := w.show("", w.token(`{"tags":["t"],"actions":["watch"]}`))
		c.until("welcome")
		for message, want := range map[string]string{
			`"type":"subscribe","tag":"t"`:               "",
			`"type":"subscribe","job":"` + mine + `"`:    "",
			`"type":"subscribe","job":"` + other + `"`:   "not_found",
			`"type":"subscribe","queue":"q"`:             "forbidden",
			`"type":"subscribe","all":true`:              "forbidden",
			`"type":"subscribe","kind":"nobody"`:         "forbidden",
			`"type":"subscribe","view":"overview"`:       "forbidden",
			`"type":"get","job":"` + mine + `"`:          "",
			`"type":"get","job":"` + other + `"`:         "not_found",
			`"type":"cancel","job":"` + mine + `"`:       "forbidden",
			`"type":"cancel","job":"` + other + `"`:      "not_found",
			`"type":"submit","job":{"kind":"nobody"}`:    "forbidden",
			`"type":"refresh","token":"` + "jht_x" + `"`: "unauthorized",
		} {
			c.send(`{"id":"m",%s}`, message)
			for m := c.next(); ; m = c.next() {
				if m["type"] == "error" {
					if m["code"] != want || m["id"] != "m" {
						t.Errorf("%s: %v, want %q", message, m, want)
					}
					break
				}
				if m["type"] == "live" || m["type"] == "reply" {
					if want != "" {
						t.Errorf("%s: %v, want %s", message, m, want)
					}
					break
				}
			}
			if strings.Contains(message, "subscribe") && want == "" {
				c.send(`{"type":"unsubscribe","id":"m"}`)
				c.until("reply")
			}
		}
		if head := w.store.Head().Seq; head != 2 {
			t.Errorf("%d events: something was changed", head)
		}
		c.conn.CloseNow()
	})
}

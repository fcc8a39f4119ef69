package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"jobhub/web"
	"jobhub/web/gateway"
)

// speaks is an upstream that answers each request with the bytes that its path names, and
// then closes the connection; the rest of /wait comes when it is let go.
func speaks(t *testing.T, answers map[string]string, rest chan string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				io.WriteString(c, answers[req.URL.Path])
				if req.URL.Path == "/wait" {
					io.WriteString(c, <-rest)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// stripped is the route /up/ to the root of an upstream.
func stripped(t *testing.T, upstream string) gateway.Route {
	route := routeTo(t, "/up/", upstream)
	route.Strip = "/up"
	return route
}

// TestAnswerThatBreaksOff: an answer of which a part is missing is no success, whoever asked
// for it, and what depends on it is not run.
func TestAnswerThatBreaksOff(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	cut := map[string]string{"/length": ok + "Content-Length: 100\r\n\r\nhello", "/empty": ok + "Content-Length: 5\r\n\r\n", "/chunk": ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9\r\nhe"}
	w := start(t)
	at := speaks(t, cut, nil)
	w.Apply(web.Settings{}, []gateway.Route{stripped(t, "http://"+at)})
	var items []string
	for path := range cut {
		items = append(items, fmt.Sprintf(`{"id":%q,"method":"GET","path":"/up%s"},{"method":"GET","path":"/healthz","depends_on":[%q]}`, path, path, path))
	}
	body := `{"requests":[` + strings.Join(items, ",") + `]}`
	id := w.do("GET", "/up/length", "", "Prefer", "respond-async").want(http.StatusAccepted).json()["id"].(string)
	w.await(id, "failed")
	job := w.do("GET", "/v1/jobs/"+id+"/response", "").problem(502, "upstream_unreachable")
	for _, prefer := range []string{"", "respond-async"} {
		r := w.do("POST", "/v1/batch", body, "Prefer", prefer)
		if prefer != "" {
			id := r.want(http.StatusAccepted).json()["id"].(string)
			w.await(id, "succeeded")
			r = w.do("GET", "/v1/jobs/"+id+"/response", "")
		}
		for i, one := range r.want(200).responses() {
			want := []int{502, 424}[i%2]
			if fmt.Sprint(one["status"]) != fmt.Sprint(want) {
				t.Errorf("%q: item %d: %v, want %d", prefer, i, one, want)
			}
			p, _ := one["body"].(map[string]any)
			if i%2 == 0 && (p["code"] != job["code"] || p["type"] != job["type"] || p["detail"] != job["detail"]) {
				t.Errorf("%q: item %d says %v, a job says %v", prefer, i, p, job)
			}
		}
	}
}

// TestAnswerAsItComes: what an upstream has sent of an answer reaches the client before the
// rest of it comes, also if its length is known.
func TestAnswerAsItComes(t *testing.T) {
	w := start(t)
	rest := make(chan string)
	at := speaks(t, map[string]string{"/wait": "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhello"}, rest)
	w.Apply(web.Settings{}, []gateway.Route{stripped(t, "http://"+at)})
	res, err := http.Get(w.url + "/up/wait")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	begin := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, begin); err != nil || string(begin) != "hello" {
		t.Fatalf("%q, %v", begin, err)
	}
	rest <- "world"
	if end, err := io.ReadAll(res.Body); err != nil || string(end) != "world" {
		t.Errorf("%q, %v", end, err)
	}
}

// TestRouteProblemNamesTheRequest: a problem of a route that strips its path names the path that was
// asked for.
func TestRouteProblemNamesTheRequest(t *testing.T) {
	w := start(t)
	w.Apply(web.Settings{}, []gateway.Route{stripped(t, "http://127.0.0.1:1")})
	if p := w.do("GET", "/up/none", "").want(502).json(); p["instance"] != "/up/none" {
		t.Errorf("%v", p)
	}
}

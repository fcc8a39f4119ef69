package web_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/webhook"
	"jobhub/web"
	"jobhub/web/gateway"
)

// foreign is a hub and an upstream that answers every request with the same bytes, whatever
// they are. It is the upstream of the route /u, and the receiver of all callbacks.
type foreign struct {
	*world
	upstream string
	answer   atomic.Pointer[[]byte]
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func startForeign(t testing.TB) *foreign {
	t.Helper()
	f := &foreign{world: start(t)}
	f.engine.Handle("http", call.HTTP(call.Options{Allow: loopback}))
	f.engine.Handle("fanout", call.Fanout(call.Options{Allow: loopback}))
	f.engine.Handle(jobs.KindWebhook, webhook.Handler(webhook.Options{Allow: loopback}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	f.upstream = "http://" + listener.Addr().String()
	at, err := url.Parse(f.upstream)
	if err != nil {
		t.Fatal(err)
	}
	f.Apply(web.Settings{}, []gateway.Route{{Path: "/u", Upstream: at}, {Path: "/never", Upstream: at, Async: gateway.Never}})
	return f
}

// serve reads one request and writes the answer, whose end is that of the connection.
func (f *foreign) serve(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	io.Copy(io.Discard, req.Body)
	conn.Write(*f.answer.Load())
}

// visit is one pass through everything that an answer of the upstream can reach.
type visit struct {
	*foreign
	t testing.TB
}

// send asks the hub, and returns what it answers; a status of 0 if that is no HTTP.
func (v visit) send(method, path, body string, headers ...string) (status int, header http.Header, answer []byte) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.client.Transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, nil
	}
	return res.StatusCode, res.Header, answer
}

// strictly checks that text is what any reader of JSON takes.
func (v visit) strictly(what string, text []byte) jsontext.Value {
	v.t.Helper()
	value := jsontext.Value(bytes.TrimSuffix(text, []byte{'\n'}))
	if !utf8.Valid(value) || !value.IsValid() || bytes.ContainsAny(value, "\r\n") || jobs.TooDeep(value, jobs.MaxDepth+8) {
		v.t.Fatalf("%s is not strict JSON in one line: %.600q", what, text)
	}
	return value
}

// json asks for a document of the hub's own.
func (v visit) json(method, path, body string, want int, headers ...string) jsontext.Value {
	v.t.Helper()
	status, _, answer := v.send(method, path, body, headers...)
	if status != want {
		v.t.Fatalf("%s %s: %d, want %d: %.600q", method, path, status, want, answer)
	}
	return v.strictly(method+" "+path, answer)
}

// accepted submits something and returns the id of its job.
func (v visit) accepted(method, path, body string, headers ...string) jobs.ID {
	v.t.Helper()
	doc := v.json(method, path, body, http.StatusAccepted, headers...)
	_, rest, _ := bytes.Cut(doc, []byte(`"id":"`))
	id, err := jobIDOf(string(rest[:36]))
	if err != nil {
		v.t.Fatal(err)
	}
	return id
}

// ended waits for a job.
func (v visit) ended(id jobs.ID) jobs.Job {
	v.t.Helper()
	job, err := v.engine.Wait(v.t.Context(), jobs.DefaultTenant, id)
	if err != nil {
		v.t.Fatal(err)
	}
	return job
}

// tried waits until no delivery of a job is at work or about to be.
func (v visit) tried(parent jobs.ID) (deliveries []jobs.ID) {
	v.t.Helper()
	for {
		head := v.store.Head().Seq
		page, err := v.store.List(v.t.Context(), jobs.Filter{Tenant: jobs.DefaultTenant, Parent: parent, Kind: jobs.KindWebhook})
		if err != nil {
			v.t.Fatal(err)
		}
		open := false
		deliveries = nil
		for _, j := range page.Jobs {
			open = open || j.State == jobs.Queued || j.State == jobs.Running
			deliveries = append(deliveries, j.ID)
		}
		if !open && len(deliveries) > 0 {
			return deliveries
		}
		if err := v.store.Wait(v.t.Context(), head); err != nil {
			v.t.Fatal(err)
		}
	}
}

// shown looks at a job in every way there is.
func (v visit) shown(id jobs.ID) {
	v.t.Helper()
	self := "/v1/jobs/" + id.String()
	v.json("GET", self, "", 200)
	v.json("GET", "/jobs/"+id.String()+"/input", "", 200)
	v.json("GET", "/jobs/"+id.String()+"/result", "", 200)
	v.page("/jobs/" + id.String())
	v.batch(`{"method":"GET","path":"` + self + `"},{"method":"GET","path":"` + self + `/response"}`)
	v.replayed("?job=" + id.String())
}

func (v visit) page(path string) {
	v.t.Helper()
	status, _, html := v.send("GET", path, "")
	if status != 200 || !utf8.Valid(html) || bytes.IndexByte(html, 0) >= 0 {
		v.t.Fatalf("page %s: %d, UTF-8: %v", path, status, utf8.Valid(html))
	}
}

func (v visit) batch(requests string) {
	v.t.Helper()
	v.json("POST", "/batch", `{"requests":[`+requests+`]}`, 200)
}

// replayed reads all events of a subscription over both kinds of connection.
func (v visit) replayed(query string) {
	v.t.Helper()
	from := fmt.Sprintf("%s&epoch=%s&seq=0", query, v.store.Head().Epoch)
	c := (&world{t: v.t, url: v.url}).raw(from)
	defer c.Close()
	for live := false; !live; {
		op, text := c.frame()
		if op != opText {
			v.t.Fatalf("opcode %d: %q", op, text)
		}
		for line := range strings.Lines(text) {
			v.strictly("a message of "+query, []byte(line))
			live = live || strings.HasPrefix(line, `{"type":"live"`)
		}
	}
	s := (&world{t: v.t, url: v.url, client: v.client, patience: patience}).stream("/v1/events" + from)
	for live := false; !live; {
		_, data := s.part()
		if data != "" {
			v.strictly("an event of "+query, []byte(data))
		}
		live = strings.HasPrefix(data, `{"type":"live"`)
	}
}

// all sends the upstream's answer through every way there is.
func (v visit) all(answer []byte) {
	v.t.Helper()
	v.answer.Store(&answer)
	once := `"retry":{"max_attempts":1},"callbacks":[{"url":"` + v.upstream + `/hook"}]`
	one := v.accepted("POST", "/v1/jobs", `{"kind":"http","input":{"url":"`+v.upstream+`/"},`+once+`}`)
	many := v.accepted("POST", "/v1/jobs", `{"kind":"fanout","input":{"policy":"settled","targets":[{"name":"a","url":"`+v.upstream+`/"},{"name":"b","url":"`+v.upstream+`/"}]},`+once+`}`)
	routed := v.accepted("GET", "/u/x?async=true", "")
	later := v.accepted("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/never/x"},{"method":"POST","path":"/u/x?async=true"},{"method":"GET","path":"/v1/jobs/`+one.String()+`"}]}`)
	v.send("GET", "/never/x", "") // whatever it is, it came and the hub lives
	v.batch(`{"method":"GET","path":"/never/x"},{"method":"GET","path":"/u/x","headers":{"Prefer":"wait=20"}},{"method":"GET","path":"/u/x?async=true","headers":{"Prefer":"wait=20"}}`)
	for _, id := range []jobs.ID{one, many, routed, later} {
		if job := v.ended(id); job.Kind == "fanout" && job.Attempt != 1 {
			v.t.Fatalf("a fan-out was tried %d times: %s", job.Attempt, job.Result)
		}
		v.shown(id)
		v.send("GET", "/v1/jobs/"+id.String()+"/response", "")
	}
	for _, id := range append(v.tried(one), v.tried(many)...) {
		v.shown(id)
	}
	again := v.accepted("POST", "/v1/jobs/"+one.String()+"/retry", "")
	v.ended(again)
	for _, id := range []jobs.ID{many, later} {
		v.page("/batches/" + id.String())
		v.page("/batches/" + id.String() + "?item=1")
	}
	v.json("GET", "/v1/jobs?limit=20", "", 200)
	v.json("GET", "/v1/queues", "", 200)
	for _, path := range []string{"/", "/jobs", "/batches", "/callbacks", "/queues"} {
		v.page(path)
	}
}

// everywhere looks at what shows all jobs.
func (v visit) everywhere() {
	v.t.Helper()
	_, _, text := v.send("GET", "/jobs/export.ndjson", "")
	for line := range bytes.Lines(text) {
		v.strictly("a line of the export", line)
	}
	if _, _, text := v.send("GET", "/jobs/export.csv", ""); !utf8.Valid(text) || len(text) == 0 {
		v.t.Fatal("the CSV is not UTF-8")
	}
	v.replayed("?all=1")
	v.json("GET", "/healthz", "", 200)
	v.json("GET", "/readyz", "", 200)
}

// answered is an answer over HTTP with that type and body.
func answered(contentType, body string, headers ...string) string {
	text := "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	if contentType != "" {
		text += "Content-Type: " + contentType + "\r\n"
	}
	for _, h := range headers {
		text += h + "\r\n"
	}
	return text + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
}

// FuzzForeignAnswers: nothing that an upstream answers ends the hub or breaks what it shows.
func FuzzForeignAnswers(f *testing.F) {
	hub := startForeign(f)
	answers := foreignAnswers()
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		f.Add([]byte(answers[name]))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the answer was %.300q", answer)
			}
		})
		visit{hub, t}.all(answer)
	})
	visit{hub, f}.everywhere()
}

// TestAnswersThatEndNothing: a status that ends no exchange is the upstream's fault, however
// it was asked.
func TestAnswersThatEndNothing(t *testing.T) {
	f := startForeign(t)
	v := visit{f, t}
	for _, name := range []string{"status 42", "status 99", "status 101"} {
		answer := []byte(foreignAnswers()[name])
		f.answer.Store(&answer)
		if status, _, _ := v.send("GET", "/never/x", ""); status != http.StatusBadGateway {
			t.Errorf("%s: through a route the answer is %d, want 502", name, status)
		}
		id := v.accepted("POST", "/v1/jobs", `{"kind":"http","input":{"url":"`+f.upstream+`/"}}`)
		if job := v.ended(id); job.Response != nil || job.State != jobs.Failed || job.Reason != jobs.Rejected {
			t.Errorf("%s: %s %s, %+v", name, job.State, job.Reason, job.Response)
		}
		if status, header, _ := v.send("GET", "/v1/jobs/"+id.String()+"/response", ""); status != 502 || header.Get("AsyncResult") != "502" {
			t.Errorf("%s: the response is %d %v", name, status, header)
		}
	}
}

// TestForeignBodies: what an answer is in the document of its job.
func TestForeignBodies(t *testing.T) {
	f := startForeign(t)
	v := visit{f, t}
	for name, want := range map[string]string{
		"fine":                  `{"a":[1,2.50,"x"]}`,
		"member twice":          `"{\"a\":1,\"a\":2}"`,
		"half a surrogate":      `"{\"a\":\"\\ud800\"}"`,
		"Latin-1":               `{"base64":"eyJuIjoiY2Fm6SJ9"}`,
		"63 levels":             nested("[", "]", 63),
		"64 levels":             `"` + nested("[", "]", 64) + `"`,
		"bad type, fine body":   `{"a":1}`,
		"line breaks in JSON":   "", // not JSON, because of the 2 after the CR
		"escaped zero":          `{"\u0000":"\u0000"}`,
		"mark of UTF-8":         `"` + "\ufeff" + `{\"a\":1}"`,
		"image":                 `{"base64":"iVBORw0KGgoA"}`,
		"huge number":           `[1e999999,-0,0.1e-999999,` + strings.Repeat("9", 5000) + `]`,
		"zeros":                 `"a\u0000b\u0000"`,
		"without a type":        `{"base64":"Y2Fm6Q=="}`,
		"unsaid gzip":           "",
		"type of bytes":         `"{\"a\":1}"`,
		"name with odd letters": `{}`,
	} {
		answer := []byte(foreignAnswers()[name])
		f.answer.Store(&answer)
		id := v.accepted("POST", "/v1/jobs", `{"kind":"http","input":{"url":"`+f.upstream+`/"}}`)
		v.ended(id)
		doc := v.json("GET", "/v1/jobs/"+id.String(), "", 200)
		if want = `"body":` + want; !bytes.Contains(doc, []byte(want)) {
			t.Errorf("%s: want %s in %s", name, want, doc)
		}
	}
}

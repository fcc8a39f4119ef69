package web_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"jobhub/web/auth"
)

func readOpenAPI(w *world) *document { return readDocument(w, "/openapi.json", jsonschema.Draft2020) }

// operations calls do for each operation of the document, like "GET /v1/jobs".
func (d *document) operations(do func(name string, path, operation place)) {
	paths := d.at("paths")
	for _, path := range paths.names() {
		for _, method := range paths.at(path).names() {
			if method != "parameters" {
				do(strings.ToUpper(method)+" "+path, paths.at(path), paths.at(path).at(method))
			}
		}
	}
}

// TestOpenAPIDescribesEveryRoute and none that is not served.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	served := append(routes(t), routesIn(t, "catalog/routes.go")...)
	for i, pattern := range served { // as OpenAPI writes them
		served[i] = strings.NewReplacer("{$}", "", "/static/", "/static/{file}").Replace(pattern)
	}
	var described []string
	ids := map[string]bool{}
	readOpenAPI(start(t)).operations(func(name string, _, operation place) {
		described = append(described, name)
		if id := operation.text("operationId"); id == "" || ids[id] {
			t.Errorf("%s has no operationId of its own", name)
		} else {
			ids[id] = true
		}
		if !slices.Contains(served, name) {
			t.Errorf("%s is described but not served", name)
		}
	})
	for _, pattern := range served {
		if !slices.Contains(described, pattern) {
			t.Errorf("%s is served but not described", pattern)
		}
	}
}

// TestOpenAPIExamples sends every example to a hub and compares what it answers with
// what the document says: status, headers, body. Answers under x-keyed are those of a hub
// with keys to who shows none.
func TestOpenAPIExamples(t *testing.T) {
	open, keyed := start(t), start(t)
	keyed.bearer = keyed.key(auth.Admin, "default")
	doc := readOpenAPI(open)
	doc.operations(func(name string, path, operation place) {
		t.Run(name, func(t *testing.T) {
			examples := examplesOf(t, operation)
			good := false
			for _, e := range examples {
				good = good || e.status < 400 || name == "GET /v1/ws" // whose 101 the tests of frames see
				w := open
				if e.keyed() || strings.Contains(name, " /v1/keys") { // the first key would close the hub
					w = keyed
				}
				t.Run(fmt.Sprint(e.status, " ", e.name), func(t *testing.T) { e.send(t, w, name, path, operation) })
			}
			if !good {
				t.Error("has no example that goes well")
			}
		})
	})
}

// example is what the document says of one call.
type example struct {
	name   string
	status int
	answer place // the response
	media  string
	body   any // of the answer
}

func (e example) keyed() bool { return e.answer.at("x-keyed").value == true }

// examplesOf are the examples of an operation, which have the names of those of its answers;
// without any, the one call that is answered without a body.
func examplesOf(t *testing.T, operation place) (all []example) {
	t.Helper()
	responses := operation.at("responses")
	for _, status := range responses.names() {
		code, err := strconv.Atoi(status)
		if err != nil { // a range
			continue
		}
		response := responses.at(status)
		for _, media := range response.at("content").names() {
			examples := response.at("content").at(media).at("examples")
			for _, name := range examples.names() {
				all = append(all, example{name, code, response, media, examples.at(name).at("value").value})
			}
		}
		if response.at("content").value == nil && code < 400 && code > 199 {
			all = append(all, example{"plain", code, response, "", nil})
		}
	}
	for _, media := range operation.at("requestBody").at("content").names() {
		content := operation.at("requestBody").at("content").at(media)
		for _, name := range append(content.at("examples").names(), content.at("x-refused").names()...) {
			if !slices.ContainsFunc(all, func(e example) bool { return e.name == name }) {
				t.Errorf("the body %s has no answer of that name", name)
			}
		}
	}
	return all
}

func (e example) send(t *testing.T, w *world, name string, path, operation place) {
	stand := newStand(w)
	method, target, _ := strings.Cut(name, " ")
	var headers []string
	query := ""
	for _, list := range []place{path.at("parameters"), operation.at("parameters")} {
		for _, i := range list.names() {
			parameter := list.at(i)
			value := e.parameter(t, parameter)
			if value == "" {
				continue
			}
			value = stand.in(value)
			switch key := parameter.text("name"); parameter.text("in") {
			case "path":
				target = strings.Replace(target, "{"+key+"}", value, 1)
			case "query":
				query += "&" + key + "=" + value
			case "header":
				headers = append(headers, key, value)
			}
		}
	}
	if query != "" {
		target += "?" + query[1:]
	}
	media, body := e.request(operation)
	if e.body != nil {
		want, err := jsonschema.UnmarshalJSON(strings.NewReader(stand.in(marshal(t, e.body))))
		if err != nil {
			t.Fatal(err)
		}
		e.body = want
	}
	if media != "" {
		headers = append(headers, "Content-Type", media)
	}
	body = stand.in(body)
	if e.media == "text/event-stream" {
		e.follow(t, w.stream(target, headers...))
		return
	}
	send := w.do
	if e.keyed() {
		send = func(method, path, body string, headers ...string) reply {
			return w.with("", method, path, body, headers...)
		}
	}
	r := send(method, target, body, headers...)
	r.t = t
	r.want(e.status)
	if e.media != "" && !strings.HasPrefix(r.header.Get("Content-Type"), e.media) {
		t.Errorf("Content-Type %q, want %s", r.header.Get("Content-Type"), e.media)
	}
	for _, header := range e.answer.at("headers").names() {
		if e.answer.at("headers").at(header).at("required").value == true && r.header.Get(header) == "" {
			t.Errorf("no header %s", header)
		}
	}
	if !strings.HasSuffix(e.media, "json") || e.media == "application/x-ndjson" {
		return
	}
	got, err := jsonschema.UnmarshalJSON(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	schema := e.answer.at("content").at(e.media).at("schema")
	for what, value := range map[string]any{"the answer": got, "the example": e.body} {
		if err := schema.check(value); err != nil {
			t.Errorf("%s: %v\n%s", what, err, r.body)
		}
	}
	if at := unlike(e.body, got, ""); at != "" {
		t.Errorf("the answer differs from the example at %s: %s", at, r.body)
	}
}

// follow reads a stream until it is live, and compares what it has with the example.
func (e example) follow(t *testing.T, s *eventSource) {
	s.reply.t = t
	s.want(e.status).has("Content-Type", e.media)
	text := ""
	for !strings.Contains(text, `"type":"live"`) {
		text += s.block()
	}
	fields := regexp.MustCompile(`(?m)^(\w+): (?:\{("type":"[^"]+").*|.*)$`)
	resumed := regexp.MustCompile(`"recovered".*`).FindString
	want := fields.ReplaceAllString(e.body.(string), "$1 $2")
	if got := fields.ReplaceAllString(text, "$1 $2"); got != want || resumed(text) != resumed(e.body.(string)) {
		t.Errorf("the stream begins with\n%s, which is not like the example\n%s", text, e.body)
	}
}

// TestOpenAPISecurity: the document says of each operation whether it needs a key, and
// what is answered without a good one.
func TestOpenAPISecurity(t *testing.T) {
	patterns := strings.NewReplacer("{$}", "", "/static/", "/static/{file}")
	who := map[string]string{}
	for pattern, roles := range rights {
		who[patterns.Replace(pattern)] = roles
	}
	readOpenAPI(start(t)).operations(func(name string, _, operation place) {
		roles, served := who[name]
		if !served {
			return
		}
		none, given := operation.at("security").value.([]any)
		if open := given && len(none) == 0; open != (roles == "all" && name != "GET /v1/ws") {
			t.Errorf("%s is for %s, and its security is %v", name, roles, operation.at("security").value)
		}
		responses := operation.at("responses")
		for _, status := range []string{"401", "403"} {
			if strings.Contains(name, " /v1/") && responses.at(status).value == nil {
				t.Errorf("%s says nothing of %s", name, status)
			}
		}
		if name == "GET /metrics" && responses.at("401").value == nil {
			t.Errorf("%s does not say what comes without a key", name)
		}
	})
}

// parameter is the example's value of a parameter; of a required one, else the first.
func (e example) parameter(t *testing.T, parameter place) string {
	examples := parameter.at("examples")
	value := examples.at(e.name).at("value").value
	if value == nil && parameter.at("required").value == true {
		for _, first := range []string{"again", "queued", "known", "ended"} { // a JSON object has no first member
			if value = examples.at(first).at("value").value; value != nil {
				break
			}
		}
		if value == nil && len(examples.names()) == 1 {
			value = examples.at(examples.names()[0]).at("value").value
		}
		if value == nil {
			t.Fatalf("%s has no example for %s", parameter.pointer, e.name)
		}
	}
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// request is the example's body, if it has one.
func (e example) request(operation place) (media, body string) {
	content := operation.at("requestBody").at("content")
	for _, media := range content.names() {
		value := content.at(media).at("examples").at(e.name).at("value").value
		if value == nil {
			value = content.at(media).at("x-refused").at(e.name).value
		}
		if all := content.at(media).at("examples"); value == nil && len(all.names()) > 0 && operation.at("requestBody").at("required").value == true {
			value = all.at(all.names()[0]).at("value").value
		}
		if text, ok := value.(string); ok && !strings.HasSuffix(media, "/json") {
			return media, text
		}
		if value != nil {
			return media, marshal(operation.t, value)
		}
	}
	return "", ""
}

func marshal(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// compared are the members in which an answer must be as its example to the letter; the
// others need only be there.
var compared = []string{"type", "title", "detail", "status", "code", "pointer", "errors", "state", "reason", "kind", "queue", "directive", "progress", "progress_state", "paused", "say"}

// unlike says where got lacks what the example shows, or nothing.
func unlike(example, got any, at string) string {
	switch e := example.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return at
		}
		for name, value := range e {
			if _, ok := g[name]; !ok {
				return at + "/" + name
			}
			if _, scalar := value.(string); scalar && slices.Contains(compared, name) && !reflect.DeepEqual(value, g[name]) {
				return at + "/" + name
			}
			if where := unlike(value, g[name], at+"/"+name); where != "" {
				return where
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(e) > 0 && len(g) == 0 {
			return at
		}
		if len(e) > 0 {
			return unlike(e[0], g[0], at+"/0")
		}
	}
	return ""
}

// stand replaces the ids in an example by real ones: jobs, a worker, its lease.
type stand struct {
	w        *world
	replaced map[string]string
}

func newStand(w *world) *stand { return &stand{w, map[string]string{}} }

const (
	exampleQueued    = "0197f0a2-5c1e-7000-8000-0000000000a1"
	exampleCancelled = "0197f0a2-5c1e-7000-8000-0000000000f1"
	exampleEchoed    = "0197f0a2-5c1e-7000-8000-0000000000e1"
	exampleRetried   = "0197f0a2-5c1e-7000-8000-0000000000d1"
	exampleLater     = "0197f0a2-5c1e-7000-8000-0000000000a2"
	exampleBatch     = "0197f0a2-5c1e-7000-8000-0000000000b1" // a request of it failed
	exampleWorker    = "wk_ajvrhl4l2u7opztx"
	exampleKey       = "key_ajvrhl4l2u7o"
	exampleCallback  = "7225f113a8e84f56b0ceb237"
	examplePending   = "acc_5f0c2b7d9e1a4c6830d2f4b6"
	exampleActive    = "acc_9a3e5c7f1b2d4e6a8c0f2b4d"
	exampleAccess    = "acc_0123456789abcdef01234567" // pending
	exampleGranted   = "acc_0123456789abcdef01234568"
	exampleLease     = "0197f0a2-5c1e-7000-8000-0000000000c1.w_c4hlxxq6yqp3b7rt"
)

func (s *stand) in(text string) string {
	for sample, build := range map[string]func() string{
		exampleQueued: func() string { return s.w.submit(`{"kind":"hello"}`) },
		exampleCancelled: func() string {
			id := s.w.submit(`{"kind":"hello"}`)
			s.w.do("DELETE", "/v1/jobs/"+id, "").want(200)
			return id
		},
		exampleRetried: func() string {
			id := s.w.submit(`{"kind":"hello"}`)
			s.w.do("DELETE", "/v1/jobs/"+id, "").want(200)
			s.w.do("POST", "/v1/jobs/"+id+"/retry", "").want(202)
			return id
		},
		exampleLater: func() string { return s.w.submit(`{"kind":"hello","delay":"1h"}`) },
		"invoice-7": func() string {
			s.w.do("POST", "/v1/jobs", `{"kind":"hello","input":{"invoice":"invoice-7"},"unique":{"by":["kind","input"]}}`)
			return "invoice-7"
		},
		exampleEchoed: func() string {
			id := s.w.submit(`{"kind":"echo","input":{"say":"hello"}}`)
			s.w.await(id, "succeeded")
			return id
		},
		exampleBatch: func() string {
			id := s.w.do("POST", "/batch?async=true", `{"requests":[{"method":"GET","path":"/v1/jobs/`+unknownID+`"}]}`).want(202).text("id")
			s.w.await(id, "succeeded")
			return id
		},
		exampleKey: func() string {
			key, _, err := s.w.keys.Create(auth.Key{Role: auth.Submitter, Team: "orders", Scopes: []string{"orders.read"}}, time.Now())
			if err != nil {
				s.w.t.Fatal(err)
			}
			return key.ID
		},
		exampleWorker: s.worker,
		exampleLease: func() string {
			s.worker()
			return s.replaced[exampleLease]
		},
		"nightly": func() string {
			s.w.do("PUT", "/v1/schedules/nightly", `{"cron":"0 3 * * *","time_zone":"Europe/Berlin","job":{"kind":"report"}}`)
			return "nightly"
		},
		"sample-new":      func() string { return exampleName("new") },
		"sample-drafts":   func() string { return s.w.exampleAPI(false) },
		"sample-invoices": func() string { return s.w.exampleAPI(true) },
		"sample-offers":   func() string { return s.w.exampleAPI(true) },
		examplePending:    func() string { return s.w.exampleAccess("") },
		exampleActive:     func() string { return s.w.exampleAccess("approve") },
		exampleCallback:   func() string { s.w.disable("https://a.example/hook"); return exampleCallback },
		"reports":         func() string { s.w.submit(`{"kind":"nobody","queue":"reports"}`); return "reports" },
		"payments":        func() string { return s.w.prepareAPI("PUBLISHED", s.w.submit(`{"kind":"nobody"}`)) },
		exampleAccess: func() string {
			return strings.TrimPrefix(s.w.prepareAPI("/access/PENDING", s.w.submit(`{"kind":"nobody"}`)), "/access/")
		},
		exampleGranted: func() string {
			return strings.TrimPrefix(s.w.prepareAPI("/access/GRANTED", s.w.submit(`{"kind":"nobody"}`)), "/access/")
		},
	} {
		if !strings.Contains(text, sample) {
			continue
		}
		if _, built := s.replaced[sample]; !built {
			s.replaced[sample] = build()
		}
		text = strings.ReplaceAll(text, sample, s.replaced[sample])
	}
	return text
}

// worker is one that runs a job while another one waits.
func (s *stand) worker() string {
	kind := "hello"
	k := s.w.worker(4, kind)
	s.w.submit(`{"kind":"hello"}`)
	for _, job := range k.poll(1, "0s").leased() {
		s.replaced[exampleLease] = job["lease"].(string)
	}
	s.w.submit(`{"kind":"hello"}`)
	s.replaced[exampleWorker] = k.id
	return k.id
}

// TestOpenAPILint: others' tools find nothing to complain about either.
func TestOpenAPILint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, []byte(start(t).do("GET", "/openapi.json", "").body), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := node(t, "node_modules/@redocly/cli/bin/cli.js", "lint", file)
	if err != nil || !strings.Contains(out, "is valid") || strings.Contains(out, "You have") {
		t.Errorf("redocly lint: %v\n%s", err, out)
	}
}

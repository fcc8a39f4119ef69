package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// worker is an outside worker, played call by call.
type worker struct {
	*world
	id string
}

func (w *world) worker(slots int, kinds ...string) *worker {
	w.t.Helper()
	list, err := json.Marshal(kinds)
	if err != nil {
		w.t.Fatal(err)
	}
	return &worker{w, w.do("POST", "/v1/workers", fmt.Sprintf(`{"kinds":%s,"slots":%d}`, list, slots)).want(200).text("worker_id")}
}

func (k *worker) poll(most int, wait string) reply {
	k.t.Helper()
	return k.do("POST", "/v1/workers/"+k.id+"/lease", fmt.Sprintf(`{"max":%d,"wait":%q}`, most, wait))
}

func (k *worker) beat(wait string, tokens ...string) reply {
	k.t.Helper()
	list, err := json.Marshal(append([]string{}, tokens...))
	if err != nil {
		k.t.Fatal(err)
	}
	return k.do("POST", "/v1/workers/"+k.id+"/beat", fmt.Sprintf(`{"leases":%s,"wait":%q}`, list, wait))
}

// lease takes the one job that is there.
func (k *worker) lease() (token string, job map[string]any) {
	k.t.Helper()
	r := k.poll(1, "0s").want(200)
	list := r.leased()
	if len(list) != 1 {
		k.t.Fatalf("want one job, got %s", r.body)
	}
	return list[0]["lease"].(string), list[0]
}

// leased are the jobs in the answer to a poll.
func (r reply) leased() (list []map[string]any) {
	r.t.Helper()
	for _, job := range r.json()["jobs"].([]any) {
		list = append(list, job.(map[string]any))
	}
	return list
}

// state is what the answer says about a lease.
func (r reply) state(token string) any {
	r.t.Helper()
	return r.json()["leases"].(map[string]any)[token]
}

func (w *world) end(token, verb, body string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/leases/"+token+"/"+verb, body)
}

func (w *world) report(token string, lines ...string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/leases/"+token+"/events", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
}

// timeless runs a test in a bubble, where time passes only while everybody waits.
func timeless(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := startIn(t, t.TempDir(), func(p *parts) { p.listen = listenPiped() })
		defer w.close()
		f(t, w)
	})
}

// held starts a call and returns once it is held.
func held(call func() reply) <-chan reply {
	done := make(chan reply, 1)
	go func() { done <- call() }()
	synctest.Wait()
	return done
}

// ended is the answer of a call that was held and has to have ended by now.
func (w *world) ended(done <-chan reply) reply {
	w.t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		return r
	default:
		w.t.Fatal("the call is still held")
		return reply{}
	}
}

// pointsAt checks that a problem names a member.
func pointsAt(t *testing.T, problem map[string]any, pointer string) {
	t.Helper()
	if errs := fmt.Sprint(problem["errors"]); pointer != "" && !strings.Contains(errs, "pointer:"+pointer+"]") {
		t.Errorf("errors %s do not name %s", errs, pointer)
	}
}

func TestRegistrations(t *testing.T) {
	w := start(t)
	many := strings.Repeat(`"k",`, 999) + `"k"`
	for _, test := range []struct {
		name, body string
		status     int
		pointer    string
	}{
		{"nothing", ``, 422, "/kinds"},
		{"null", `null`, 422, "/kinds"},
		{"no kinds", `{"name":"a"}`, 422, "/kinds"},
		{"kinds empty", `{"kinds":[]}`, 422, "/kinds"},
		{"kinds as text", `{"kinds":"a"}`, 422, "/kinds"},
		{"kind empty", `{"kinds":["a",""]}`, 422, "/kinds/1"},
		{"kind upper case", `{"kinds":["A"]}`, 422, "/kinds/0"},
		{"kind too long", `{"kinds":["` + strings.Repeat("a", 65) + `"]}`, 422, "/kinds/0"},
		{"queue with a space", `{"kinds":["a"],"queues":["b c"]}`, 422, "/queues/0"},
		{"slots 0", `{"kinds":["a"],"slots":0}`, 422, "/slots"},
		{"slots -1", `{"kinds":["a"],"slots":-1}`, 422, "/slots"},
		{"slots too many", `{"kinds":["a"],"slots":10001}`, 422, "/slots"},
		{"slots broken", `{"kinds":["a"],"slots":1.5}`, 422, "/slots"},
		{"slots as text", `{"kinds":["a"],"slots":"1"}`, 422, "/slots"},
		{"name too long", `{"kinds":["a"],"name":"` + strings.Repeat("n", 129) + `"}`, 422, "/name"},
		{"unknown member", `{"kinds":["a"],"colour":"red"}`, 422, "/colour"},
		{"case variant", `{"Kinds":["a"]}`, 422, "/Kinds"},
		{"member twice", `{"kinds":["a"],"kinds":["b"]}`, 400, "/kinds"},
		{"cut off", `{"kinds":["a"`, 400, ""},
		{"trailing data", `{"kinds":["a"]}{}`, 400, ""},
		{"blank", ` `, 400, ""},

		{"least", `{"kinds":["a"]}`, 200, ""},
		{"most", `{"kinds":["` + strings.Repeat("a", 64) + `"],"queues":["q"],"slots":10000,"name":"` + strings.Repeat("n", 128) + `"}`, 200, ""},
		{"all queues", `{"kinds":["a"],"queues":[]}`, 200, ""},
		{"too many kinds", `{"kinds":[` + many + `,"k"]}`, 422, "/kinds"},
		{"too many queues", `{"kinds":["k"],"queues":[` + many + `,"k"]}`, 422, "/queues"},
		{"http", `{"kinds":["k","http"]}`, 422, "/kinds/1"},
		{"fanout", `{"kinds":["fanout"]}`, 422, "/kinds/0"},
		{"webhook", `{"kinds":["webhook"]}`, 422, "/kinds/0"},
		{"bulk", `{"kinds":["bulk"]}`, 422, "/kinds/0"},
		{"batch", `{"kinds":["batch"]}`, 422, "/kinds/0"},
		{"many kinds", `{"kinds":[` + many + `]}`, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := w.do("POST", "/v1/workers", test.body)
			if r.t = t; test.status != 200 {
				pointsAt(t, r.problem(test.status, "bad_message"), test.pointer)
				return
			}
			if m := r.want(200).json(); !strings.HasPrefix(m["worker_id"].(string), "wk_") || m["lease"] != "30s" || m["beat"] != "10s" || m["poll"] != "25s" {
				t.Errorf("registered: %v", m)
			}
		})
	}
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		w.do("POST", "/v1/workers", `{"kinds":["a"]}`, "Content-Type", media).problem(http.StatusUnsupportedMediaType, "unsupported")
	}
	if list := w.do("GET", "/v1/workers", "").json()["workers"].([]any); len(list) != 4 {
		t.Errorf("%d workers are known, want those four that were let in", len(list))
	}
}

func TestWorkerLife(t *testing.T) {
	w := start(t)
	k := w.worker(1, "print")
	if r := k.poll(1, "0s").want(200); r.body != `{"jobs":[],"leases":{},"directive":"none"}`+"\n" {
		t.Errorf("without a job: %s", r.body)
	}
	id := w.submit(`{"kind":"print","queue":"paper","input":{"pages":12345678901234567890},"tags":["a"],"timeout":"90s","retry":{"max_attempts":3}}`)
	token, job := k.lease()
	for member, want := range map[string]any{"id": id, "kind": "print", "queue": "paper", "attempt": json.Number("1"), "max_attempts": json.Number("3"), "timeout": "1m30s", "checkpoint": nil} {
		if job[member] != want {
			t.Errorf("%s: %v, want %v", member, job[member], want)
		}
	}
	if fmt.Sprint(job["input"], job["tags"]) != "map[pages:12345678901234567890] [a]" {
		t.Errorf("input and tags: %v %v", job["input"], job["tags"])
	}
	if doc := w.do("GET", "/v1/jobs/"+id, ""); doc.text("state") != "running" || strings.Contains(doc.body, strings.TrimPrefix(token, id+".")) {
		t.Errorf("leased: %s", doc.body)
	}
	if r := k.poll(1, "0s").want(200); len(r.leased()) != 0 || r.state(token) != "ok" {
		t.Errorf("with its slot taken: %s", r.body)
	}
	if r := k.beat("0s", token).want(200); r.body != `{"leases":{"`+token+`":"ok"},"directive":"none"}`+"\n" {
		t.Errorf("beat: %s", r.body)
	}
	if r := k.beat("0s", token, id+".wNOTHING", "x").want(200); r.state(token) != "ok" || r.state(id+".wNOTHING") != "lost" || r.state("x") != "lost" {
		t.Errorf("beat for what it has not: %s", r.body)
	}
	r := w.end(token, "complete", `{"result":{"sheets":1.0}}`).want(200)
	if m := r.json(); m["id"] != id || m["state"] != "succeeded" || fmt.Sprint(m["result"]) != "map[sheets:1.0]" || m["links"] == nil {
		t.Errorf("completed: %s", r.body)
	}
	if r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).has("AsyncResult", "200"); r.body != `{"sheets":1.0}`+"\n" {
		t.Errorf("the polling URL says %s", r.body)
	}
	if r := k.beat("0s", token).want(200); r.state(token) != "lost" {
		t.Errorf("beat after the end: %s", r.body)
	}
	w.submit(`{"kind":"print"}`)
	token, _ = k.lease()
	if r := w.end(token, "complete", "").want(200); r.json()["result"] != nil || r.text("state") != "succeeded" {
		t.Errorf("completed without a result: %s", r.body)
	}
}

func TestQuietAndTerminate(t *testing.T) {
	for _, directive := range []string{"quiet", "terminate"} {
		t.Run(directive, func(t *testing.T) {
			timeless(t, func(t *testing.T, w *world) {
				k, idle := w.worker(2, "k"), w.worker(1, "k")
				w.submit(`{"kind":"k"}`)
				token, _ := k.lease()
				polling := held(func() reply { return k.poll(1, "25s") })
				beating := held(func() reply { return k.beat("25s", token) })
				if r := w.do("POST", "/v1/workers/"+k.id+"/"+directive, "").want(200); r.text("directive") != directive {
					t.Errorf("%s", r.body)
				}
				if r := w.ended(beating).want(200); r.text("directive") != directive || r.state(token) != "ok" {
					t.Errorf("the beat ends with %s", r.body)
				}
				synctest.Wait()
				if len(polling) > 0 { // unless the beat has brought the news already
					if r := <-polling; r.text("directive") != directive || len(r.leased()) != 0 {
						t.Errorf("the poll ends with %s", r.body)
					}
				}
				id := w.submit(`{"kind":"k"}`)
				if r := k.poll(1, "3s").want(200); len(r.leased()) != 0 || r.text("directive") != directive {
					t.Errorf("a job for one that should take none: %s", r.body)
				}
				if _, job := idle.lease(); job["id"] != id {
					t.Errorf("another worker gets %v", job)
				}
				w.end(token, "complete", "").want(200) // what it has it may finish
			})
		})
	}
}

func TestUnregister(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k, other := w.worker(2, "k"), w.worker(1, "k")
		id := w.submit(`{"kind":"k"}`)
		token, _ := k.lease()
		done := held(func() reply { return k.poll(1, "25s") })
		if r := w.do("DELETE", "/v1/workers/"+k.id, "").want(http.StatusNoContent); r.body != "" {
			t.Errorf("unregistered: %q", r.body)
		}
		w.ended(done).problem(http.StatusNotFound, "not_found")
		k.poll(1, "0s").problem(http.StatusNotFound, "not_found")
		k.beat("0s", token).problem(http.StatusNotFound, "not_found")
		w.do("DELETE", "/v1/workers/"+k.id, "").problem(http.StatusNotFound, "not_found")
		if list := w.do("GET", "/v1/workers", "").json()["workers"].([]any); len(list) != 1 {
			t.Errorf("known are %v", list)
		}
		from := time.Now()
		list := other.poll(1, "1m").want(200).leased() // what it had is given back when its lease is over
		if passed := time.Since(from); len(list) != 1 || list[0]["id"] != id || list[0]["attempt"] != json.Number("1") || passed < 29*time.Second || passed > 35*time.Second {
			t.Fatalf("after %s: %v", passed, list)
		}
		w.end(token, "complete", "").problem(http.StatusConflict, "lease_lost")
		if r := other.beat("0s", list[0]["lease"].(string)); r.state(list[0]["lease"].(string)) != "ok" {
			t.Errorf("%s", r.body)
		}
	})
}

// A worker that registers again keeps its leases.
func TestLeasesMoveToANewRegistration(t *testing.T) {
	w := start(t)
	k := w.worker(2, "k")
	w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	w.do("DELETE", "/v1/workers/"+k.id, "").want(http.StatusNoContent)
	k = w.worker(1, "k")
	if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
		t.Errorf("%s", r.body)
	}
	w.submit(`{"kind":"k"}`)
	if r := k.poll(1, "0s").want(200); len(r.leased()) != 0 || r.state(token) != "ok" {
		t.Errorf("its slot is taken, but: %s", r.body)
	}
	w.end(token, "complete", "").want(200)
}

func TestLeasesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	w := startIn(t, dir, nil)
	k := w.worker(1, "k")
	id := w.submit(`{"kind":"k"}`)
	token, _ := k.lease()
	w.report(token, `{"n":1,"type":"output","text":"before\n"}`, `{"n":2,"type":"checkpoint","data":1}`).want(200)
	w.close()

	w = startIn(t, dir, nil)
	k.world = w
	k.beat("0s", token).problem(http.StatusNotFound, "not_found")
	k = w.worker(1, "k")
	if r := k.beat("0s", token).want(200); r.state(token) != "ok" {
		t.Errorf("%s", r.body)
	}
	if r := w.report(token, `{"n":2,"type":"checkpoint","data":2}`, `{"n":3,"type":"output","text":"after\n"}`).want(200); r.text("accepted_to") != "3" {
		t.Errorf("%s", r.body)
	}
	var output []string
	for _, e := range w.log() {
		if e.Type.String() == "job.output" {
			output = append(output, string(e.Data))
		}
	}
	if want := []string{`{"attempt":1,"start":1,"off":0,"stream":"stdout","text":"before\n"}`, `{"attempt":1,"start":1,"off":7,"stream":"stdout","text":"after\n"}`}; !slices.Equal(output, want) {
		t.Errorf("output: %q", output)
	}
	w.end(token, "complete", `{"result":1}`).want(200)
	if doc := w.do("GET", "/v1/jobs/"+id, "").json(); doc["state"] != "succeeded" || doc["attempt"] != json.Number("1") {
		t.Errorf("%v", doc)
	}
}

func TestListOfWorkers(t *testing.T) {
	w := start(t)
	if r := w.do("GET", "/v1/workers", "").want(200); r.body != `{"workers":[]}`+"\n" {
		t.Errorf("%s", r.body)
	}
	id := w.do("POST", "/v1/workers", `{"name":"<b>printer</b>","kinds":["a","b"],"queues":["q"],"slots":3}`).want(200).text("worker_id")
	k := &worker{w, id}
	job := w.submit(`{"kind":"a","queue":"q"}`)
	w.submit(`{"kind":"a"}`) // in a queue that it does not serve
	token, _ := k.lease()
	if list := k.poll(1, "0s").leased(); len(list) != 0 {
		t.Errorf("from another queue: %v", list)
	}
	r := w.do("GET", "/v1/workers", "").want(200)
	_, secret, _ := strings.Cut(token, ".")
	if secret == "" || strings.Contains(r.body, secret) {
		t.Errorf("the list of workers shows the lease %s: %s", token, r.body)
	}
	shown := r.json()["workers"].([]any)[0].(map[string]any)
	if ms := number(t, shown, "seen_ms"); ms > uint64(patience.Milliseconds()) {
		t.Errorf("seen %d ms ago", ms)
	}
	delete(shown, "seen_ms")
	want := map[string]any{"worker_id": id, "name": "<b>printer</b>", "kinds": []any{"a", "b"}, "queues": []any{"q"}, "slots": json.Number("3"), "running": []any{job}, "directive": "none"}
	if fmt.Sprint(shown) != fmt.Sprint(want) || len(shown) != len(want) {
		t.Errorf("%v, want %v", slices.Sorted(maps.Keys(shown)), want)
	}
}

// TestManyWorkers: however many poll at once, each job is given to one of them, and
// only those that are released or fail come again.
func TestManyWorkers(t *testing.T) {
	w := start(t)
	const jobs, workers, slots = 200, 8, 4
	var mu sync.Mutex
	ends := map[string]int{} // completions by job
	var everything sync.WaitGroup
	for range jobs {
		everything.Add(1)
	}
	over := make(chan struct{})
	var polling sync.WaitGroup
	for range workers {
		k := w.worker(slots, "k")
		polling.Go(func() {
			for n := 0; ; {
				select {
				case <-over:
					return
				default:
				}
				list := k.poll(2*slots, "100ms").want(200).leased()
				if len(list) > slots {
					t.Errorf("%d jobs for %d slots", len(list), slots)
				}
				for _, job := range list {
					token, id := job["lease"].(string), job["id"].(string)
					switch n++; {
					case n%5 == 0:
						w.end(token, "release", "").want(200)
					case n%7 == 0:
						w.end(token, "fail", "").want(200)
					default:
						w.report(token, `{"n":1,"type":"progress","percent":50}`).want(200)
						w.end(token, "complete", `{"result":true}`).want(200)
						mu.Lock()
						ends[id]++
						mu.Unlock()
						everything.Done()
					}
				}
			}
		})
	}
	for range jobs {
		w.submit(`{"kind":"k","retry":{"initial":"1ms","max_attempts":1000}}`)
	}
	everything.Wait()
	close(over)
	polling.Wait()
	for id, n := range ends {
		if n != 1 {
			t.Errorf("job %s was completed %d times", id, n)
		}
	}
	states := w.do("GET", "/v1/queues/default", "").json()["states"].(map[string]any)
	if len(ends) != jobs || states["succeeded"] != json.Number("200") || states["running"] != json.Number("0") {
		t.Errorf("%d jobs were completed; %v", len(ends), states)
	}
}

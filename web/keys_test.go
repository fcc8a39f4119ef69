package web_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/limit"
)

// made makes a key over HTTP and returns its id and what its holder sends.
func (w *world) made(body string) (id, text string) {
	w.t.Helper()
	r := w.do("POST", "/v1/keys", body).want(http.StatusCreated)
	return r.text("id"), r.text("key")
}

func TestKeyOverHTTP(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	before := time.Now()
	r := w.do("POST", "/v1/keys", `{"name":"shop","role":"submitter","team":"orders","scopes":["orders.read"],"plan":"gold","rate":"100/1m","quota":"10000/1d","budget":"50/30d","expires":"720h"}`).want(201)
	key := r.json()
	id, text := r.text("id"), r.text("key")
	r.has("Location", "/v1/keys/"+id, "Idempotency-Replayed", "")
	for name, want := range map[string]string{"name": "shop", "tenant": "default", "role": "submitter", "team": "orders", "scopes": "[orders.read]", "plan": "gold", "rate": "100/1m", "quota": "10000/1d", "budget": "50/30d",
		"state": "valid", "revoked_at": "<nil>", "links": "map[self:/v1/keys/" + id + "]"} {
		if fmt.Sprint(key[name]) != want {
			t.Errorf("%s is %v, want %s", name, key[name], want)
		}
	}
	if expires, err := time.Parse(time.RFC3339, r.text("expires")); err != nil || expires.Sub(before) < 719*time.Hour || expires.Sub(before) > 721*time.Hour {
		t.Errorf("expires %v %v", expires, err)
	}
	if !strings.Contains(r.text("notes"), "no plan gold") {
		t.Errorf("the notes are %v", key["notes"])
	}
	delete(key, "key")
	delete(key, "notes")
	for _, body := range []string{w.do("GET", "/v1/keys/"+id, "").want(200).body, w.do("PATCH", "/v1/keys/"+id, `{}`).want(200).body} {
		got := decoded(t, body)
		delete(got, "notes")
		if fmt.Sprint(got) != fmt.Sprint(key) {
			t.Errorf("%v, want %v", got, key)
		}
	}
	for _, path := range []string{"/v1/keys/" + id, "/v1/keys"} {
		if body := w.do("GET", path, "").want(200).body; strings.Contains(body, "jh_") || strings.Contains(body, "sha256") || strings.Contains(body, "hash") {
			t.Errorf("%s holds secrets: %s", path, body)
		}
	}

	w.do("PATCH", "/v1/keys/"+id, `{"name":null,"team":null,"scopes":null,"plan":null,"rate":null,"quota":null,"budget":null,"expires":null}`).want(200)
	w.with(text, "POST", "/v1/jobs", `{"kind":"nobody"}`).want(202)
	got := w.do("GET", "/v1/keys/"+id, "").json()
	for _, name := range []string{"team", "plan", "rate", "quota", "budget", "expires"} {
		if value, there := got[name]; !there || value != nil {
			t.Errorf("%s is %v", name, value)
		}
	}
	if got["name"] != id || fmt.Sprint(got["scopes"]) != "[]" {
		t.Errorf("the key is %v", got)
	}
	for body, pointer := range map[string]string{`{"role":null}`: "/role", `{"tenant":null}`: "/tenant", `{"rate":"x"}`: "/rate", `{"id":"key_x"}`: "/id", `{"state":"revoked"}`: "/state", `{"key":"jh_x"}`: "/key"} {
		p := w.do("PATCH", "/v1/keys/"+id, body).problem(422, "bad_message")
		if at := p["errors"].([]any)[0].(map[string]any)["pointer"]; at != pointer {
			t.Errorf("%s: %v", body, p)
		}
	}
	w.do("PATCH", "/v1/keys/"+id, `{"role":"viewer","role":"admin"}`).problem(400, "bad_message")
	w.do("POST", "/v1/keys", "").problem(415, "unsupported")

	w.do("DELETE", "/v1/keys/"+id, "").want(204)
	w.with(text, "GET", "/v1/jobs", "").unauthorized(badToken)
	w.do("DELETE", "/v1/keys/"+id, "").want(204)
	if got := w.do("GET", "/v1/keys/"+id, "").want(200).json(); got["state"] != "revoked" || got["revoked_at"] == nil {
		t.Errorf("the revoked key is %v", got)
	}
	w.do("PATCH", "/v1/keys/"+id, `{"team":"a"}`).problem(409, "conflict")
}

// TestFirstKeyOverHTTP: where there are no keys everybody may make the first one, which must be
// an admin's; from then on everybody needs one.
func TestFirstKeyOverHTTP(t *testing.T) {
	w := start(t)
	if r := w.do("GET", "/v1/keys", "").want(200); r.body != `{"keys":[]}`+"\n" {
		t.Errorf("no keys: %s", r.body)
	}
	for _, body := range []string{`{"role":"viewer"}`, `{"role":"admin","tenant":"acme"}`} {
		w.do("POST", "/v1/keys", body).problem(409, "conflict")
	}
	w.do("GET", "/v1/jobs", "").want(200)
	r := w.do("POST", "/v1/keys", `{"role":"admin","name":"root"}`, "Idempotency-Key", "first").want(201)
	if !strings.Contains(r.text("notes"), "first key") {
		t.Errorf("the answer does not say what it means: %s", r.body)
	}
	w.do("GET", "/v1/jobs", "").unauthorized("Bearer")
	w.do("POST", "/v1/keys", `{"role":"admin","name":"root"}`, "Idempotency-Key", "first").unauthorized("Bearer")
	w.bearer = r.text("key")
	if second := w.do("POST", "/v1/keys", `{"role":"viewer"}`).want(201); second.json()["notes"] != nil {
		t.Errorf("the second key: %s", second.body)
	}
	w.do("DELETE", "/v1/keys/"+r.text("id"), "").problem(409, "conflict")
	w.do("PATCH", "/v1/keys/"+r.text("id"), `{"role":"operator"}`).problem(409, "conflict")
	other, text := w.made(`{"role":"admin"}`)
	w.do("DELETE", "/v1/keys/"+r.text("id"), "").want(204) // its own
	w.do("GET", "/v1/keys", "").unauthorized(badToken)
	w.bearer = text
	w.do("DELETE", "/v1/keys/"+other, "").problem(409, "conflict")
}

// TestKeysOfTenants: keys of another tenant are answered to the letter like those that do not
// exist; the hub's own admins see all.
func TestKeysOfTenants(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	root := w.do("GET", "/v1/keys", "").json()["keys"].([]any)[0].(map[string]any)["id"].(string)
	boss, admin := w.made(`{"role":"admin","tenant":"acme","name":"boss"}`)
	w.with(admin, "POST", "/v1/keys", `{"role":"viewer","tenant":"default"}`).problem(403, "forbidden")
	w.with(admin, "PATCH", "/v1/keys/"+boss, `{"tenant":"default"}`).problem(403, "forbidden")
	w.with(admin, "POST", "/v1/keys", `{"role":"viewer","name":"`+root+`"}`).problem(422, "bad_message")
	for _, request := range []string{"GET", "PATCH", "DELETE"} {
		body := ""
		if request == "PATCH" {
			body = `{"team":"a"}`
		}
		there := w.with(admin, request, "/v1/keys/"+root, body)
		not := w.with(admin, request, "/v1/keys/key_aaaaaaaaaaaa", body)
		there.problem(404, "not_found")
		if strings.ReplaceAll(there.body, root, "X") != strings.ReplaceAll(not.body, "key_aaaaaaaaaaaa", "X") {
			t.Errorf("%s: %s and %s differ", request, there.body, not.body)
		}
	}
	r := w.with(admin, "POST", "/v1/keys", `{"role":"viewer","name":"own"}`).want(201)
	if r.text("tenant") != "acme" {
		t.Errorf("its tenant is %s", r.text("tenant"))
	}
	count := func(bearer, query string, want int) {
		t.Helper()
		if got := w.with(bearer, "GET", "/v1/keys"+query, "").want(200).json()["keys"].([]any); len(got) != want {
			t.Errorf("%s: %d keys, want %d", query, len(got), want)
		}
	}
	count(admin, "", 2)
	count(admin, "?tenant=default", 0)
	count(admin, "?cursor="+boss, 1)
	w.with(admin, "GET", "/v1/keys?cursor="+root, "").problem(400, "bad_message")
	count(w.bearer, "", 3)
	count(w.bearer, "?tenant=acme", 2)
	w.do("PATCH", "/v1/keys/"+r.text("id"), `{"tenant":"default","name":"moved"}`).want(200)
	w.with(r.text("key"), "GET", "/v1/jobs", "").want(200)
	count(admin, "", 1)
	w.do("DELETE", "/v1/keys/"+boss, "").want(204) // another tenant's last admin
}

func TestListOfKeys(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	var all []string
	for i := range 7 {
		id, _ := w.made(fmt.Sprintf(`{"role":"%s","team":"team%d"}`, []string{"viewer", "worker"}[i%2], i%3))
		all = append(all, id)
	}
	w.do("DELETE", "/v1/keys/"+all[6], "").want(204)
	pages := func(query string) (ids []string) {
		t.Helper()
		for path := "/v1/keys?limit=2&" + query; path != ""; {
			r := w.do("GET", path, "").want(200)
			page := r.json()
			for _, key := range page["keys"].([]any) {
				ids = append(ids, key.(map[string]any)["id"].(string))
			}
			path = ""
			if next, more := page["next_cursor"].(string); more {
				path, _, _ = strings.Cut(strings.TrimPrefix(r.header.Get("Link"), "<"), ">")
				if !strings.Contains(path, next) || len(page["keys"].([]any)) != 2 {
					t.Errorf("%s: Link %s, next_cursor %s", query, r.header.Get("Link"), next)
				}
			}
		}
		return ids
	}
	for query, want := range map[string][]string{
		"role=viewer":             {all[0], all[2], all[4], all[6]},
		"role=viewer&state=valid": {all[0], all[2], all[4]},
		"team=team1":              {all[1], all[4]},
		"state=revoked":           {all[6]},
		"state=expired":           nil,
		"team=nobody":             nil,
	} {
		if got := pages(query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := pages(""); len(got) != 8 {
		t.Errorf("all: %q", got)
	}
	for _, bad := range []string{"limit=0", "limit=501", "limit=x", "state=gone", "cursor=key_none", "bogus=1"} {
		w.do("GET", "/v1/keys?"+bad, "").problem(400, "bad_message")
	}
}

// TestNoKeyInAJob: the answers of an asynchronous batch are stored, so no key is made by one.
func TestNoKeyInAJob(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	const batch = `{"requests":[{"method":"POST","path":"/v1/keys","body":{"role":"admin"},"headers":{"Content-Type":"application/json"}}]}`
	id := w.do("POST", "/batch?async=true", batch).want(202).text("id")
	w.await(id, "succeeded")
	if r := w.do("GET", "/v1/jobs/"+id+"/response", ""); strings.Contains(r.body, "jh_") || !strings.Contains(r.body, `"status":422`) {
		t.Errorf("the answers are %s", r.body)
	}
	if r := w.do("POST", "/batch", batch).want(200); !strings.Contains(r.body, `"status":201`) {
		t.Errorf("a batch that is answered at once: %s", r.body)
	}
	if n := len(w.do("GET", "/v1/keys", "").json()["keys"].([]any)); n != 2 {
		t.Errorf("there are %d keys", n)
	}
}

func TestIdempotencyOfKeys(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	const body = `{"role":"viewer","name":"ci"}`
	first := w.do("POST", "/v1/keys", body, "Idempotency-Key", "k").want(201).has("Idempotency-Replayed", "")
	id := first.text("id")
	w.do("PATCH", "/v1/keys/"+id, `{"name":"new"}`).want(200)
	again := w.do("POST", "/v1/keys", body, "Idempotency-Key", `"k"`).want(201).has("Idempotency-Replayed", "true", "Location", "/v1/keys/"+id)
	if got := again.json(); got["id"] != id || got["name"] != "new" || got["key"] != nil || !strings.Contains(again.text("notes"), "can't be shown again") {
		t.Errorf("replayed: %s", again.body)
	}
	w.do("POST", "/v1/keys", `{"role":"viewer"}`, "Idempotency-Key", "k").problem(422, "conflict")
	w.do("POST", "/v1/keys", `{"role":"viewer"}`, "Idempotency-Key", "").problem(400, "bad_message")
	_, other := w.made(`{"role":"admin"}`)
	if id == w.with(other, "POST", "/v1/keys", body, "Idempotency-Key", "k").want(201).text("id") {
		t.Error("another caller's key is the same")
	}
	ids := sync.Map{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ids.Store(w.do("POST", "/v1/keys", `{"role":"worker"}`, "Idempotency-Key", "many").want(201).text("id"), true)
		})
	}
	all.Wait()
	n := 0
	for range ids.Range {
		n++
	}
	if n != 1 {
		t.Errorf("%d keys of one Idempotency-Key", n)
	}
	w.do("DELETE", "/v1/keys/"+id, "").want(204)
	if got := w.do("POST", "/v1/keys", body, "Idempotency-Key", "k").want(201).json(); got["state"] != "revoked" {
		t.Errorf("replayed after it was revoked: %v", got)
	}
}

// TestRightsOfAKeyChange: a change counts from the next request on, and for what is open.
func TestRightsOfAKeyChange(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	id, text := w.made(`{"role":"operator","name":"ci"}`)
	cookie := w.logIn(text)
	job := w.with(text, "POST", "/v1/jobs", `{"kind":"nobody"}`).want(202).text("id")
	token := w.with(text, "POST", "/v1/tokens", `{"jobs":["`+job+`"],"actions":["watch","cancel"]}`).want(200).text("token")
	w.with(text, "PUT", "/v1/schedules/nightly", `{"cron":"@daily","job":{"kind":"nobody"}}`).want(201)
	socket := w.dial("?all=1", "Authorization", "Bearer "+text)
	socket.until("subscribed")
	stream := w.stream("/v1/events?all=1", "Authorization", "Bearer "+text)
	held := make(chan reply, 1)
	go func() {
		held <- w.do("GET", "/v1/jobs/"+job+"?version=1", "", "Authorization", "Bearer "+text, "Prefer", "wait=20")
	}()
	w.do("PATCH", "/v1/keys/"+id, `{"role":"viewer"}`).want(200)
	if code := socket.closed(); code != 4002 {
		t.Errorf("the socket was closed with %d", code)
	}
	stream.rest()
	if r := <-held; r.status != 200 || r.text("state") != "queued" {
		t.Errorf("the poll: %d %s", r.status, r.body)
	}
	w.with(text, "POST", "/v1/jobs", `{"kind":"nobody"}`).problem(403, "forbidden")
	w.with(text, "GET", "/v1/jobs", "").want(200)
	w.form("/jobs/"+job+"/cancel", "", cookie).want(403)
	w.with(token, "GET", "/v1/jobs/"+job, "").want(200)
	w.with(token, "POST", "/v1/jobs/"+job+"/cancel", "").problem(403, "forbidden")
	w.do("PATCH", "/v1/keys/"+id, `{"role":"submitter"}`).want(200)
	w.with(token, "POST", "/v1/jobs/"+job+"/cancel", "").want(200)
}

// TestLimitsOfAKeyChange: what was used of a rate stays used when other keys change, and a new
// rate counts at once, also for a socket that stays open.
func TestLimitsOfAKeyChange(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	id, text := w.made(`{"role":"submitter","rate":"3/1h"}`)
	submit := func(status int) {
		t.Helper()
		w.with(text, "POST", "/v1/jobs", `{"kind":"nobody"}`).want(status)
	}
	submit(202)
	socket := w.dial("", "Authorization", "Bearer "+text) // counts as one
	w.made(`{"role":"viewer"}`)
	submit(202)
	submit(429)
	socket.send(`{"type":"submit","id":"a","job":{"kind":"nobody"}}`)
	if m := socket.until("error"); m["code"] != "rate_limited" {
		t.Errorf("over the rate: %v", m)
	}
	w.do("PATCH", "/v1/keys/"+id, `{"rate":"5/1h"}`).want(200)
	socket.send(`{"type":"submit","id":"b","job":{"kind":"nobody"}}`)
	socket.until("reply")
	w.do("PATCH", "/v1/keys/"+id, `{"rate":null}`).want(200)
	for range 9 {
		submit(202)
	}
	slow, err := limit.Compile(limit.Set{Scope: "plan slow", Name: "plan", Rules: []limit.Rule{{Rate: jobs.Rate{N: 1, Per: jobs.Duration(time.Hour)}, Per: limit.PerConsumer}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(web.Settings{Plans: map[string]*limit.RuleSet{"slow": slow}}, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.do("PATCH", "/v1/keys/"+id, `{"plan":"slow"}`).want(200); r.json()["notes"] != nil {
		t.Errorf("a plan that there is: %s", r.body)
	}
	submit(202)
	submit(429)
}

// TestScheduleOfAKeyThatMayNotSubmit: a schedule does not fire for a key whose role was changed.
func TestScheduleOfAKeyThatMayNotSubmit(t *testing.T) {
	w := start(t)
	w.bearer = w.key(auth.Admin, "default")
	id, text := w.made(`{"role":"operator"}`)
	who, err := w.keys.Authenticate(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.keys.CheckCaller("default", who.Caller()); err != nil {
		t.Error(err)
	}
	w.do("PATCH", "/v1/keys/"+id, `{"role":"viewer"}`).want(200)
	if err := w.keys.CheckCaller("default", who.Caller()); err == nil || !strings.Contains(err.Error(), "viewer") {
		t.Errorf("a viewer's schedule: %v", err)
	}
}

// TestKeysAreAudited: the log says who has made, changed and revoked a key, without its text.
func TestKeysAreAudited(t *testing.T) {
	var log bytes.Buffer
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	admin, text, err := w.keys.Create(auth.Key{Role: auth.Admin, Name: "alice"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.bearer = text
	id, secret := w.made(`{"role":"viewer","name":"ci"}`)
	w.do("PATCH", "/v1/keys/"+id, `{"role":"worker"}`).want(200)
	w.do("PATCH", "/v1/keys/"+id, `{"role":"worker"}`).want(200)
	w.do("PATCH", "/v1/keys/"+id, `{"role":"king"}`).want(422)
	w.do("DELETE", "/v1/keys/"+id, "").want(204)
	w.do("DELETE", "/v1/keys/"+id, "").want(204)
	w.close()
	by := " by=alice by_key=" + admin.ID + " address=127.0.0.1"
	of := "key=" + id + " name=ci tenant=default"
	for _, want := range []string{`msg="key created" ` + of + by + " role=viewer", `msg="key changed" ` + of + by + ` changes="role \"viewer\" → \"worker\""`, `msg="key revoked" ` + of + by} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("not once: %s in\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "jh_") {
		t.Errorf("a key is logged:\n%s", log.String())
	}
}

package web_test

import (
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

func TestTokens(t *testing.T) {
	w := start(t)
	viewer, submitter, other := w.key(auth.Viewer, "default"), w.key(auth.Submitter, "default"), w.key(auth.Admin, "other")
	w.bearer = submitter
	mine := w.submit(`{"kind":"nobody","queue":"reports","tags":["user:7"]}`)
	foreign := w.submit(`{"kind":"nobody","queue":"secret"}`)
	before := time.Now()
	r := w.with(viewer, "POST", "/v1/tokens", `{"jobs":["`+mine+`"]}`).want(200)
	until, err := time.Parse(time.RFC3339, r.text("expires_at"))
	if wait := until.Sub(before); err != nil || wait < 15*time.Minute-time.Second || wait > 15*time.Minute+patience {
		t.Errorf("expires_at %s is in %v", r.text("expires_at"), wait)
	}
	for grant, may := range map[string]string{
		`{"jobs":["MINE"]}`: "watch",
		`{"jobs":["` + strings.ToUpper(unknownID) + `","MINE"],"actions":["watch","cancel"]}`:             "watch cancel",
		`{"queues":["reports"],"actions":["watch"],"ttl":"24h"}`:                                          "watch",
		`{"tags":["user:7"],"actions":["watch","cancel"]}`:                                                "watch cancel",
		`{"tags":["user:7"],"actions":["cancel"]}`:                                                        "cancel",
		`{"jobs":["` + unknownID + `"],"queues":["report"],"tags":["user"],"actions":["watch","cancel"]}`: "",
		`{"jobs":["` + foreign + `"],"tags":["user:70"],"actions":["watch","cancel"]}`:                    "",
	} {
		id := w.submit(`{"kind":"nobody","queue":"reports","tags":["user:7"]}`)
		token := w.token(strings.Replace(grant, "MINE", id, 1))
		get, cancel := w.with(token, "GET", "/v1/jobs/"+id, ""), w.with(token, "DELETE", "/v1/jobs/"+id, "")
		switch may {
		case "watch":
			get.want(200)
			cancel.problem(403, "forbidden")
			w.with(token, "GET", "/v1/jobs/"+id+"/response", "").want(202)
		case "cancel":
			get.problem(403, "forbidden")
			cancel.want(200)
		case "watch cancel":
			get.want(200)
			cancel.want(200)
		default: // not even that it exists
			for _, r := range []reply{get, cancel} {
				r.problem(404, "not_found")
				unknown := w.with(token, "GET", "/v1/jobs/"+strings.Replace(unknownID, "0197", "0198", 1), "")
				if r.body != strings.Replace(unknown.body, strings.Replace(unknownID, "0197", "0198", 1), id, 1) {
					t.Errorf("%s differs from %s", r.body, unknown.body)
				}
			}
		}
		for _, request := range []string{"GET /v1/jobs", "GET /v1/jobs?kind=nobody", "GET /v1/queues", "GET /v1/queues/reports", "GET /v1/workers", "POST /v1/tokens", "POST /v1/jobs", "POST /v1/workers"} {
			method, path, _ := strings.Cut(request, " ")
			w.with(token, method, path, "").problem(403, "forbidden")
		}
		w.with(token, "POST", "/v1/jobs/"+id+"/retry", "").want(map[bool]int{true: 403, false: 404}[may != ""])
		w.with(token, "GET", "/", "").want(403)
		if another := w.submit(`{"kind":"nobody"}`); w.with(token, "GET", "/v1/jobs/"+another, "").status != 404 {
			t.Errorf("%s shows another job", grant)
		}
	}
	// What a token allows ends at its tenant.
	theirs := w.with(other, "POST", "/v1/tokens", `{"jobs":["`+mine+`"],"queues":["reports"],"tags":["user:7"],"actions":["watch","cancel"]}`).want(200).text("token")
	w.with(theirs, "GET", "/v1/jobs/"+mine, "").problem(404, "not_found")
	w.with(theirs, "DELETE", "/v1/jobs/"+mine, "").problem(404, "not_found")
	// A caller gives no more than it has.
	w.with(viewer, "POST", "/v1/tokens", `{"jobs":["`+mine+`"],"actions":["watch","cancel"]}`).problem(403, "forbidden")
	many := strings.TrimSuffix(strings.Repeat(`"q",`, 101), ",")
	for body, status := range map[string]int{`{`: 400, `{"jobs":["` + mine + `"]} {}`: 400, `{"queues":["a"],"queues":["b"]}`: 400, `{"jobs":["` + mine + `"],"all":true}`: 422, `{"Queues":["q"]}`: 422, `[]`: 422,
		`{}`: 422, `{"jobs":[]}`: 422, `{"jobs":["x"]}`: 422, `{"queues":["Q"]}`: 422, `{"tags":[""]}`: 422, `{"tags":["` + strings.Repeat("a", 300) + `"]}`: 422, `{"queues":[` + many + `]}`: 422,
		`{"queues":["q"],"actions":[]}`: 422, `{"queues":["q"],"actions":["submit"]}`: 422, `{"queues":["q"],"actions":["watch","watch","watch"]}`: 422, `{"queues":["q"],"ttl":"24h1s"}`: 422,
		`{"queues":["q"],"ttl":"0s"}`: 422, `{"queues":["q"],"ttl":"-1h"}`: 422, `{"queues":["q"],"ttl":"tomorrow"}`: 422, `{"queues":["q"],"ttl":900}`: 422, ``: 422} {
		w.do("POST", "/v1/tokens", body).problem(status, "bad_message")
	}
	w.do("POST", "/v1/tokens", `{"queues":["q"]}`, "Content-Type", "text/plain").problem(415, "unsupported")
	soon := w.token(`{"jobs":["` + mine + `"],"ttl":"1s"}`)
	w.with(soon, "GET", "/v1/jobs/"+mine, "").want(200)
	for end := time.Now().Add(patience); w.with(soon, "GET", "/v1/jobs/"+mine, "").status == 200; {
		if time.Now().After(end) {
			t.Fatal("a token does not end")
		}
	}
	w.with(soon, "GET", "/v1/jobs/"+mine, "").unauthorized(badToken)
}

package web_test

import (
	"net/http"
	"strings"
	"testing"

	"jobhub/jobs"
)

// The callbacks of a queue are shown, their secrets are not.
func TestCallbacksOfAQueueAreShown(t *testing.T) {
	w := start(t)
	secret := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if err := w.engine.Queues.Configure(t.Context(), jobs.DefaultTenant, "orders", func(s *jobs.QueueSettings) error {
		s.Callbacks = []jobs.Callback{{URL: "https://a.example/hook", Secrets: []jobs.Secret{jobs.Secret(secret)}, Disabled: true}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/queues", "/v1/queues/orders"} {
		a := w.do("GET", path, "")
		if a.status != http.StatusOK || strings.Contains(string(a.body), secret) || !strings.Contains(string(a.body), `"callbacks":[{"url":"https://a.example/hook","secret":"whsec_***","disabled":true}]`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// Only fan-outs have targets to repeat.
func TestRetryOfTargets(t *testing.T) {
	w := start(t)
	a := w.do("POST", "/v1/jobs", `{"kind":"echo"}`, "Prefer", "wait=20")
	id := strings.TrimPrefix(a.header.Get("Operation-Location"), "/v1/jobs/")
	for _, body := range []string{`{"targets":["a"]}`, `{"targets":[]}`, `{"targets":["a"],"input":1}`, `{"targets":"a"}`, `{"targets":[1]}`} {
		w.do("POST", "/v1/jobs/"+id+"/retry", body).problem(http.StatusUnprocessableEntity, "bad_message")
	}
}

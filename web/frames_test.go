package web_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jobhub/jobs"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFrames compares whole conversations with what they should be, object by object.
func TestFrames(t *testing.T) {
	for name, talk := range map[string]func(w *world) *client{
		"welcome": func(w *world) *client { return w.dial("") },

		"subscribe-job": func(w *world) *client {
			c := w.dial("")
			id := w.submit(`{"kind":"script","input":"a","tags":["invoice"]}`)
			w.await(id, "running")
			c.send(`{"type":"subscribe","id":"s1","job":"%s","snapshot":true}`, id)
			c.until("live")
			a := w.script("a")
			a.progress(40)
			c.until("job.progress")
			a.output("page 1\n")
			c.until("job.output")
			a.succeed(`{"pages":12345678901234567890}`)
			c.until("job.succeeded")
			return c
		},
		"subscribe-queue": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","queue":"emails"}`)
			c.until("live")
			w.submit(`{"kind":"nobody","queue":"others"}`)
			w.submit(`{"kind":"nobody","queue":"emails","priority":7,"delay":"1h"}`)
			c.until("job.scheduled")
			return c
		},
		"subscribe-all": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","all":true}`)
			c.until("live")
			w.submit(`{"kind":"echo","input":[1]}`)
			c.until("job.succeeded")
			w.submit(`{"kind":"script","input":"a","retry":{"max_attempts":1}}`)
			c.until("job.started")
			w.script("a").fail("out of paper")
			c.until("job.failed")
			return c
		},
		"wide-snapshot": func(w *world) *client {
			w.await(w.submit(`{"kind":"echo"}`), "succeeded")
			w.submit(`{"kind":"nobody","queue":"emails"}`)
			w.submit(`{"kind":"nobody","queue":"reports"}`)
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","all":true,"snapshot":true}`)
			c.until("live")
			return c
		},
		"resume-from-0":           resume(`"since":{"epoch":"EPOCH","seq":0}`),
		"resume-from-the-middle":  resume(`"since":{"epoch":"EPOCH","seq":2},"snapshot":true`),
		"resume-from-the-head":    resume(`"since":{"epoch":"EPOCH","seq":4}`),
		"resume-in-another-epoch": resume(`"since":{"epoch":"elsewhere","seq":2}`),
		"resume-in-the-future":    resume(`"since":{"epoch":"EPOCH","seq":5}`),
		"resume-behind-a-trim": func(w *world) *client {
			id := w.submit(`{"kind":"nobody"}`)
			w.submit(`{"kind":"nobody"}`)
			w.submit(`{"kind":"nobody"}`)
			if _, err := w.store.Trim(w.t.Context(), jobs.Trim{Seq: 2}); err != nil {
				w.t.Fatal(err)
			}
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","job":"%s","since":{"epoch":"%s","seq":1}}`, id, w.hub.Epoch())
			c.until("live")
			return c
		},
		"duplicate-id": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","all":true}`)
			c.until("live")
			c.send(`{"type":"subscribe","id":"s1","queue":"emails"}`)
			c.until("error")
			c.send(`{"type":"subscribe","id":"s1","view":"overview"}`)
			c.until("error")
			c.send(`{"type":"submit","id":"s1","job":{"kind":"nobody"},"watch":true}`)
			c.until("error")
			return c
		},
		"unknown-job": func(w *world) *client {
			c := w.dial("")
			for _, verb := range []string{"subscribe", "get", "cancel"} {
				for _, id := range []string{"0197f0a2-5c1e-7000-8000-000000a44f09", "not-an-id"} {
					c.send(`{"type":"%s","id":"m1","job":"%s"}`, verb, id)
					c.until("error")
				}
			}
			c.send(`{"type":"subscribe","id":"m1","view":"job:0197f0a2-5c1e-7000-8000-000000a44f09"}`)
			c.until("error")
			return c
		},
		"malformed": func(w *world) *client {
			c := w.dial("")
			for _, m := range []string{`nonsense`, `{"type":"get","id":"m1"`, `[]`, `{}`, `{"id":"m1"}`, `{"type":"dance","id":"m1"}`, `{"type":"subscribe","all":true}`,
				`{"type":"subscribe","id":"m1"}`, `{"type":"subscribe","id":"m1","all":true,"queue":"q"}`, `{"type":"subscribe","id":"m1","queue":""}`,
				`{"type":"subscribe","id":"m1","all":true,"progress":"some"}`, `{"type":"subscribe","id":"m1","id":"m2","all":true}`,
				`{"type":"subscribe","id":"m1","all":true,"since":{"epoch":"e","seq":-1}}`, `{"type":"subscribe","id":"m1","All":true}`,
				`{"type":"unsubscribe","id":"m1"}`, `{"type":"submit","id":"m1"}`, `{"type":"submit","id":"m1","job":{"kind":"A"}}`,
				`{"type":"submit","id":"m1","job":{"kind":"a"},"key":"é"}`, `{"type":"get","id":"m1","job":7}`} {
				c.send("%s", m)
				c.until("error")
			}
			c.send(`{"type":"ping"}`)
			c.until("pong")
			return c
		},
		"several-objects": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","queue":"emails"}` + "\n\n \n" + `nonsense` + "\n" + `{"type":"ping","t":[1,{"a":null}]}` + "\r\n" +
				`{"type":"unsubscribe","id":"s1"}` + "\n")
			c.until("reply")
			return c
		},
		"submit": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"submit","id":"m1","job":{"kind":"nobody","input":{"n":1.10}},"key":"k1"}`)
			c.until("reply")
			c.send(`{"type":"submit","id":"m2","job":{"kind":"nobody","input":{"n":1.10}},"key":"k1"}`)
			c.until("reply")
			c.send(`{"type":"submit","id":"m3","job":{"kind":"nobody"},"key":"k1"}`)
			c.until("error")
			return c
		},
		"submit-and-watch": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"submit","id":"m1","job":{"kind":"script","input":"a"},"watch":true,"key":"k1"}`)
			c.until("job.started")
			w.script("a").succeed("7")
			c.until("job.succeeded")
			c.send(`{"type":"submit","id":"m2","job":{"kind":"script","input":"a"},"watch":true,"key":"k1"}`)
			c.until("live")
			return c
		},
		"cancel-and-get": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"submit","id":"m1","job":{"kind":"nobody"},"watch":true}`)
			c.until("live")
			id := submitted(w)
			c.send(`{"type":"get","id":"m2","job":"%s"}`, id)
			c.until("reply")
			c.send(`{"type":"cancel","id":"m3","job":"%s"}`, id)
			c.until("job.cancelled")
			c.send(`{"type":"cancel","id":"m4","job":"%s"}`, id)
			c.until("reply")
			return c
		},
		"ping": func(w *world) *client {
			c := w.dial("")
			for _, t := range []string{`,"t":1e400`, `,"t":"x"`, ``, `,"id":"p","t":null`} {
				c.send(`{"type":"ping"%s}`, t)
				c.until("pong")
			}
			c.send(`{"type":"hello"}`)
			c.send(`{"type":"hello","id":"h","token":"jh_1"}`)
			c.until("reply")
			return c
		},
		"unsubscribe": func(w *world) *client {
			c := w.dial("")
			c.send(`{"type":"subscribe","id":"s1","queue":"emails"}`)
			c.until("live")
			c.send(`{"type":"unsubscribe","id":"s1"}`)
			c.until("reply")
			w.submit(`{"kind":"nobody","queue":"emails"}`)
			c.quiet()
			c.send(`{"type":"subscribe","id":"s1","queue":"emails"}`)
			c.until("live")
			return c
		},
		"query": func(w *world) *client {
			id := w.submit(`{"kind":"nobody"}`)
			c := w.dial("?job=" + id + "&epoch=" + w.hub.Epoch() + "&seq=0")
			c.until("live")
			c.send(`{"type":"subscribe","id":"q","all":true}`)
			c.until("error")
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := talk(start(t))
			c.quiet()
			compare(t, filepath.Join("testdata", "frames", name+".golden"), c.transcript())
		})
	}
}

// resume is a conversation that subscribes to a job with four events, of which
// another job has none.
func resume(since string) func(w *world) *client {
	return func(w *world) *client {
		id := w.submit(`{"kind":"script","input":"a"}`) // 1 and 2
		w.await(id, "running")
		w.submit(`{"kind":"nobody"}`) // 3
		w.script("a").succeed(`"done"`)
		w.await(id, "succeeded") // 4
		c := w.dial("")
		c.send(`{"type":"subscribe","id":"s1","job":"%s",%s}`, id, strings.Replace(since, "EPOCH", w.hub.Epoch(), 1))
		c.until("live")
		return c
	}
}

// submitted is the id of the newest job.
func submitted(w *world) string {
	w.t.Helper()
	list := w.do("GET", "/v1/jobs", "").json()["jobs"].([]any)
	return list[0].(map[string]any)["id"].(string)
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the conversation differs from %s. It is:\n%s", golden, got)
	}
}

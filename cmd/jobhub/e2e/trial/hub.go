package trial

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// Hub is a running jobhub serve.
type Hub struct {
	*Process
	Addr   string
	URL    string
	Data   string
	more   []string // further arguments
	Client client.Client
}

// StartHub starts a hub on an empty store. It ends with the test, which fails if the hub
// logged an error.
func StartHub(t *testing.T) *Hub {
	t.Helper()
	return StartHubAt(t, FreeAddr(t), t.TempDir())
}

// StartHubAt is StartHub with an address, a data folder and further arguments.
func StartHubAt(t *testing.T, addr, data string, more ...string) *Hub {
	t.Helper()
	h := &Hub{Addr: addr, Data: data, more: more}
	h.Process = Start(t, exec.Command(Program, h.Args()...))
	t.Cleanup(func() {
		for _, word := range []string{"level=ERROR", "panic:", "DATA RACE"} {
			if strings.Contains(h.Stderr.String(), word) {
				t.Errorf("the hub says\n%s", h.Stderr)
			}
		}
	})
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]
	h.Client = client.Client{Base: h.URL}
	return h
}

// Args are the arguments that start this hub.
func (h *Hub) Args() []string {
	return append([]string{"serve", "--addr", h.Addr, "--data", h.Data, "--egress-allow", "127.0.0.0/8", "--grace", "1s"}, h.more...)
}

// Restart starts the hub again where it was, after its end.
func (h *Hub) Restart() *Hub {
	h.T.Helper()
	return StartHubAt(h.T, h.Addr, h.Data, h.more...)
}

// FreeAddr returns a loopback address that nobody uses. It lies below the ports that
// the kernel gives to clients: else, while the hub is down, a client that connects to
// it could be given the hub's own port and keep it.
func FreeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// Answer is what the hub said to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends a request with headers given as "Name: value".
func (h *Hub) Send(ctx context.Context, method, path, body string, headers ...string) (Answer, error) {
	return h.SendBy(ctx, http.DefaultClient, method, path, body, headers...)
}

// SendBy is Send with another HTTP client.
func (h *Hub) SendBy(ctx context.Context, c *http.Client, method, path, body string, headers ...string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.URL+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := c.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, text}, err
}

// Call is Send for a hub that has to answer.
func (h *Hub) Call(method, path, body string, headers ...string) Answer {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), Patience)
	defer cancel()
	a, err := h.Send(ctx, method, path, body, headers...)
	if err != nil {
		h.T.Fatalf("%s %s: %v\n%s", method, path, err, h.Stderr)
	}
	return a
}

// IsJSON is a header line to send.
const IsJSON = "Content-Type: application/json"

// Submit submits a job, which has to be accepted.
func (h *Hub) Submit(body string, headers ...string) client.Job {
	h.T.Helper()
	a := h.Call("POST", "/v1/jobs", body, append(headers, IsJSON)...)
	if a.Status != http.StatusAccepted {
		h.T.Fatalf("submitting %s: %d %s", body, a.Status, a.Body)
	}
	var j client.Job
	h.Decode(a.Body, &j)
	return j
}

// Await returns a job as soon as it is as wanted.
func (h *Hub) Await(id string, wanted func(client.Job) bool) client.Job {
	h.T.Helper()
	late := time.Now().Add(Patience)
	path := "/v1/jobs/" + id
	for {
		var j client.Job
		h.Decode(h.Call("GET", path, "", "Prefer: wait=5").Body, &j)
		switch {
		case wanted(j):
			return j
		case j.Final() || time.Now().After(late):
			h.T.Fatalf("job is %s", j.Raw)
		}
		path = fmt.Sprintf("/v1/jobs/%s?version=%d", id, j.Version)
	}
}

// InState is for Await.
func InState(state string) func(client.Job) bool {
	return func(j client.Job) bool { return j.State == state }
}

// Jobs returns all jobs of the hub, page by page.
func (h *Hub) Jobs() (all []client.Job) {
	h.T.Helper()
	for o := (client.ListOptions{Limit: 500}); ; {
		page, err := h.Client.Jobs(h.T.Context(), o)
		if err != nil {
			h.T.Fatal(err)
		}
		all = append(all, page.Jobs...)
		if o.Cursor = page.NextCursor; o.Cursor == "" {
			return all
		}
	}
}

// Children are the jobs with that parent.
func (h *Hub) Children(id string) (all []client.Job) {
	h.T.Helper()
	var page struct {
		Jobs []client.Job `json:"jobs"`
	}
	h.Decode(h.Call("GET", "/v1/jobs?parent="+id, "").Body, &page)
	return page.Jobs
}

// Decode decodes JSON, or fails the test.
func (h *Hub) Decode(text []byte, v any) {
	h.T.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		h.T.Fatalf("%v: %s", err, text)
	}
}

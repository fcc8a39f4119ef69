package batch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/api"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// This file reads batches; batch_run.go serves their items,
// batch_job.go those of asynchronous ones.

const (
	Kind          = "batch"
	batchTimeout  = time.Hour // of an asynchronous batch
	batchAttempts = 3         // each goes on where the one before ended
)

// batchDocument is the JSON of a batch.
type batchDocument struct {
	Requests       *batchItems `json:"requests"`
	AtomicityGroup jobs.Value  `json:"atomicity_group"`
}

// batchItems stops reading at the first item too many.
type batchItems []batchItem

var errTooManyItems = errors.New("too many items")

func (list *batchItems) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindBeginArray {
		return json.UnmarshalDecode(d, (*[]batchItem)(list))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*list = batchItems{}
	for d.PeekKind() != jsontext.KindEndArray {
		if len(*list) == rest.MaxItems {
			return errTooManyItems
		}
		var item batchItem
		if err := json.UnmarshalDecode(d, &item); err != nil {
			return err
		}
		*list = append(*list, item)
	}
	_, err := d.ReadToken()
	return err
}

// batchItem is one request of a batch. What is wrong with its own request is its own
// answer's affair; what is wrong with how items hang together concerns them all.
type batchItem struct {
	ID             *string           `json:"id"`
	Method         string            `json:"method"`
	Path           string            `json:"path"`
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers"`
	Body           jobs.Value        `json:"body"` // a string is sent as it is, {"base64":"…"} as its bytes, all else as JSON
	DependsOn      []string          `json:"depends_on"`
	AtomicityGroup jobs.Value        `json:"atomicity_group"`

	after []int // indexes of DependsOn
}

// target is the path with its query; path and url are the same member.
func (i *batchItem) target() string { return i.Path + i.URL }

// decodeBatch reads a batch. Its error is a *jobs.Problem.
func decodeBatch(body []byte) ([]batchItem, error) {
	var doc batchDocument
	err := json.Unmarshal(body, &doc, json.RejectUnknownMembers(true)) // of a stored batch, too: whose levels were counted then
	if errors.Is(err, errTooManyItems) {
		return nil, jobs.NewProblem(jobs.TooLarge, "Batch too large", "A batch takes up to %d requests; send several.", rest.MaxItems)
	}
	if err != nil {
		return nil, jobs.DecodeProblem(err)
	}
	if doc.Requests == nil {
		return nil, rest.InvalidMember("/requests", "is required: an array of requests")
	}
	items := *doc.Requests
	if doc.AtomicityGroup != nil {
		return nil, malformedBatch("/atomicity_group", "calls over HTTP can't be taken back, so there is no all or nothing; leave it out")
	}
	ids := make(map[string]int, len(items))
	for i := range items {
		item := &items[i]
		at := fmt.Sprintf("/requests/%d", i)
		if item.AtomicityGroup != nil {
			return nil, malformedBatch(at+"/atomicity_group", "calls over HTTP can't be taken back, so there is no all or nothing; leave it out")
		}
		if item.ID != nil {
			if *item.ID == "" || len(*item.ID) > 128 {
				return nil, malformedBatch(at+"/id", "must be 1 to 128 bytes")
			}
			if first, taken := ids[*item.ID]; taken {
				return nil, malformedBatch(at+"/id", fmt.Sprintf("is that of request %d, too", first))
			}
			ids[*item.ID] = i
		}
		if isBatch(item.target()) {
			return nil, malformedBatch(at+"/path", "a batch can't hold another one")
		}
	}
	for i := range items {
		for k, id := range items[i].DependsOn {
			on, known := ids[id]
			if !known {
				return nil, malformedBatch(fmt.Sprintf("/requests/%d/depends_on/%d", i, k), "is the id of no request here")
			}
			items[i].after = append(items[i].after, on)
		}
	}
	if i := findCycle(items); i >= 0 {
		return nil, malformedBatch(fmt.Sprintf("/requests/%d/depends_on", i), "waits for itself in the end")
	}
	return items, nil
}

func malformedBatch(pointer, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Malformed batch", "See errors for what to correct; nothing was done.")
	p.Errors = []jobs.MemberError{{Pointer: pointer, Detail: detail}}
	return p
}

// isBatch reports whether a path with a query leads to this very endpoint.
func isBatch(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(path, "%") {
		path, _ = url.PathUnescape(path)
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	path = strings.TrimSuffix(path, "/")
	return path == "/batch" || path == "/v1/batch"
}

// findCycle returns the index of an item that waits for itself, or -1.
func findCycle(items []batchItem) int {
	left := make([]int, len(items)) // how many each waits for
	dependents := dependentsOf(items)
	var free []int
	for i := range items {
		if left[i] = len(items[i].after); left[i] == 0 {
			free = append(free, i)
		}
	}
	for len(free) > 0 {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		for _, d := range dependents[i] {
			if left[d]--; left[d] == 0 {
				free = append(free, d)
			}
		}
	}
	for i := range left {
		if left[i] > 0 {
			return i
		}
	}
	return -1
}

// dependentsOf says who waits for each item.
func dependentsOf(items []batchItem) map[int][]int {
	dependents := map[int][]int{}
	for i := range items {
		for _, on := range items[i].after {
			dependents[on] = append(dependents[on], i)
		}
	}
	return dependents
}

// postBatch is POST /batch and POST /v1/batch.
func (s *Server) postBatch(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.ReadJSON(w, r, rest.MaxBatch)
	if err == nil {
		err = jobs.CheckDepth(body)
	}
	if err != nil {
		return err
	}
	key, err := rest.IdempotencyKey(r, body)
	if err != nil {
		return err
	}
	async, err := wantsAsync(r)
	if err != nil {
		return err
	}
	items, err := decodeBatch(body)
	if err != nil {
		return err
	}
	if async {
		return s.submitBatch(w, r, body, key)
	}
	w.Header().Add("Vary", "Prefer")
	b := newBatch(s, r, items, rest.MaxAnswers)
	defer b.releaseAll()
	if key != nil { // a repeated batch finds the jobs of the first one
		b.key = itemKeys(key.Key)
	}
	ctx, cancel := s.WithClientGrace(r.Context())
	defer cancel()
	b.run(ctx)
	return rest.WriteJSON(w, http.StatusOK, b.document())
}

// submitBatch makes a batch a job of its own.
func (s *Server) submitBatch(w http.ResponseWriter, r *http.Request, body []byte, key *jobs.Key) error {
	input := jobs.Value(body)
	if err := input.Compact(); err != nil {
		return jobs.DecodeProblem(err)
	}
	wait, waiting, err := api.PreferredWait(r)
	if err != nil {
		return err
	}
	return s.api.Accept(w, r, jobs.Spec{Kind: Kind, Queue: Kind, Input: input, Timeout: batchTimeout, MaxAttempts: batchAttempts,
		Tenant: rest.Tenant(r), Caller: rest.Caller(r), Key: key, Via: jobs.Via{Trace: gateway.Trace(r.Header)}}, api.AcceptOptions{Async: true, Waiting: waiting, Wait: wait, Body: s.AcceptedBody})
}

// wantsAsync reports whether a request asks to be answered later: by ?async=true or by
// Prefer: respond-async (RFC 7240).
func wantsAsync(r *http.Request) (bool, error) {
	switch r.URL.Query().Get("async") {
	case "true":
		return true, nil
	case "", "false":
	default:
		return false, jobs.NewProblem(jobs.BadMessage, "Malformed query", "async takes true or false.")
	}
	return api.Prefers(r.Header, "respond-async"), nil
}

// appendResponse appends the answer to an item. Headers with several values are joined
// with commas.
func appendResponse(b []byte, item *batchItem, index, status int, header http.Header, body []byte) []byte {
	b = append(b, '{')
	if item.ID != nil {
		b = append(rest.AppendText(append(b, `"id":`...), *item.ID), ',')
	}
	b = strconv.AppendInt(append(b, `"index":`...), int64(index), 10)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = jobs.AppendHeader(append(b, `,"headers":`...), jobs.FlatHeader(header))
	b = append(append(b, `,"body":`...), jobs.BodyValue(header.Get("Content-Type"), body, answerDepth)...)
	return append(b, '}')
}

// answerDepth is how many levels stand around the body of an item's answer:
// {"responses":[{"body":…}]}.
const answerDepth = 3

// noAnswer stands for an answer that is not there yet.
var noAnswer = jsontext.Value("null")
